"""The software bill of materials: what is compiled into the program, as CycloneDX 1.6, from cargo's own resolution."""

import json
import subprocess
import tomllib
import uuid

from formats import stamp
from project import NAME, ROOT, TARGETS, Project


def compiled_in(target: str) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """What the program depends on at run time for a target, each with what it depends on: no build scripts, macros or tests."""
    command = ["cargo", "tree", "--locked", "--package", NAME, "--edges", "normal,no-proc-macro", "--target", target,
               "--prefix", "depth", "--format", " {p}", "--charset", "ascii"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.splitlines()
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    above: list[tuple[str, str]] = []
    for line in lines:
        depth, name, version, *_ = line.split()
        one = name, version.removeprefix("v")
        found.setdefault(one, set())
        del above[int(depth):]
        if above:
            found[above[-1]].add(one)
        above.append(one)
    return found


def licences() -> dict[tuple[str, str], str]:
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return {(package["name"], package["version"]): package["license"] for package in metadata["packages"]}


def sbom(project: Project) -> bytes:
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    licence = licences()
    depends: dict[tuple[str, str], set[tuple[str, str]]] = {}
    targets: dict[tuple[str, str], list[str]] = {}
    for target in TARGETS:
        for one, others in compiled_in(target).items():
            depends.setdefault(one, set()).update(others)
            targets.setdefault(one, []).append(target)

    def component(one: tuple[str, str]) -> dict:
        name, version = one
        out = {"type": "application" if name == NAME else "library", "bom-ref": f"{name}@{version}", "name": name,
               "version": version, "purl": f"pkg:cargo/{name}@{version}"}
        if licence[one]:
            out["licenses"] = [{"expression": licence[one].replace("/", " OR ")}]
        if checksum := sums[one]:
            out["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if len(targets[one]) < len(TARGETS):
            out["properties"] = [{"name": "team-table:target", "value": target} for target in targets[one]]
        return out

    main = NAME, project.version
    return (json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{project.repository}/{project.version}/{project.commit}')}",
        "metadata": {"timestamp": stamp(project.epoch), "component": component(main)},
        "components": [component(one) for one in sorted(depends) if one != main],
        "dependencies": [{"ref": "@".join(one), "dependsOn": ["@".join(other) for other in sorted(depends[one])]}
                         for one in sorted(depends)],
    }, indent=1) + "\n").encode()
