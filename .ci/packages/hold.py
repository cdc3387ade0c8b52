"""hold.py WHAT ARGUMENT...: holds one thing of the packages against what it must be, for .ci/packages/check; prints one line."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import signal as signals
import subprocess
import sys
import zipfile
from pathlib import Path


def listed(folder: str) -> str:
    """release.json names every file with its size and sum, and no other."""
    release = json.loads(Path(folder, "release.json").read_text())
    named = {file["file"]: (file["size"], file["sha256"]) for file in release["files"]}
    there = {path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in Path(folder).iterdir()
             if path.name not in ("release.json", "SHA256SUMS")}
    return "same" if named == there else f"differs: {named.keys() ^ there.keys() or 'sizes or sums'}"


def bill(path: str) -> str:
    """What is compiled in is in the bill, each with a licence; build scripts, macros and test libraries are not."""
    found = json.loads(Path(path).read_text())
    names = {component["name"] for component in found["components"]}
    refs = {component["bom-ref"] for component in [*found["components"], found["metadata"]["component"]]}
    problems = [component["name"] for component in found["components"] if "licenses" not in component]
    problems += {"wasmtime", "libsqlite3-sys", "ring"} - names
    problems += {"insta", "proptest", "cc", "serde_derive"} & names
    problems += [one["ref"] for one in found["dependencies"] if not set(one["dependsOn"]) <= refs]
    return "right" if not problems else f"wrong: {problems}"


def record(path: str) -> str:
    """Every file of a wheel is in its record with its sum."""
    archive = zipfile.ZipFile(path)
    name = next(name for name in archive.namelist() if name.endswith("/RECORD"))
    rows = {path: digest for path, digest, _ in csv.reader(io.StringIO(archive.read(name).decode()))}

    def digest(name: str) -> str:
        return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()

    bad = [one for one in archive.namelist() if one != name and rows.pop(one, "") != digest(one)]
    return "whole" if not bad and list(rows) == [name] and archive.testzip() is None else f"not whole: {bad} {list(rows)}"


def signal(shim: str, db: str) -> str:
    """A signal to the Node.js process ends the program, too."""
    process = subprocess.Popen([shim], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env={**os.environ, "TEAM_TABLE_DB": db})
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "hold", "version": "1"}}
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}).encode() + b"\n")
    process.stdin.flush()
    if b'"id":1' not in process.stdout.readline():
        return "no answer"
    process.send_signal(signals.SIGTERM)
    # The program holds the other end of the pipe, and our end of its input stays open: only the signal ends it.
    process.stdout.read()
    process.wait(20)
    return "ended"


def addresses(folder: str) -> str:
    """Formula, Scoop manifest and server.json name files that are here, with their sums."""
    pairs = re.findall(r'url "(.*?)"\s+sha256 "(.*?)"', Path(folder, "team-table.rb").read_text())
    scoop = json.loads(Path(folder, "team-table.json").read_text())["architecture"]["64bit"]
    server = json.loads(Path(folder, "server.json").read_text())
    bundles = [package for package in server["packages"] if package["registryType"] == "mcpb"]
    pairs += [(scoop["url"], scoop["hash"]), *((bundle["identifier"], bundle["fileSha256"]) for bundle in bundles)]
    wrong = [url for url, digest in pairs
             if hashlib.sha256(Path(folder, url.rsplit("/", 1)[1]).read_bytes()).hexdigest() != digest]
    return "all right" if len(pairs) == 10 and not wrong else f"{len(pairs)} addresses, wrong: {wrong}"


print({"listed": listed, "bill": bill, "record": record, "signal": signal, "addresses": addresses}[sys.argv[1]](*sys.argv[2:]))
