#!/usr/bin/env python3
"""talk.py [--drive LETTER:] [--only-talk] COMMAND...: lets two agents exchange a message through two processes of the program, over MCP
on standard input and output, and has the program open databases of its predecessors. Prints how long it took; status 1 when something is
not as it should be. Needs nothing but Python's standard library.

COMMAND starts the program, such as `team-table` or `wine64 team-table.exe`. --drive is where the program sees this system's files. With
--only-talk it opens no older database, and TALK_DB names the one for the talk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent.parent / "tests/data"
MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "src/storage/sqlite/migrations"
TOOLS = 13


def environment(home: Path, db: str) -> dict[str, str]:
    """Nothing of the caller's configuration reaches the program."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TEAM_TABLE_")}
    return {**kept, "HOME": str(home), "TEAM_TABLE_DB": db}


class Process:
    """One process of the program, as an MCP client sees it."""

    def __init__(self, command: list[str], home: Path, db: str):
        self.begin = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        cwd=home, env=environment(home, db), encoding="utf-8")
        self.number = 0
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "talk", "version": "1"}}
        self.server = self.ask("initialize", client)["serverInfo"]
        self.answered = time.monotonic() - self.begin
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def write(self, message: dict) -> None:
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict) -> dict:
        self.number += 1
        self.write({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
        raise RuntimeError(f"{method}: the program ended: {self.process.stderr.read()[-500:]}")

    def call(self, tool: str, **arguments) -> dict:
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {result}")
        return result["structuredContent"]

    def end(self) -> None:
        """Closes its input, which ends it."""
        self.process.stdin.close()
        if status := self.process.wait(20):
            raise RuntimeError(f"status {status}: {self.process.stderr.read()[-500:]}")


def expect(what: str, found, wanted) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {found!r}, not {wanted!r}")


def talk(command: list[str], home: Path, drive: str) -> str:
    db = os.environ.get("TALK_DB") or f"{drive}{home / 'table.db'}"
    begin = time.monotonic()
    alice = Process(command, home, db)
    expect("tools", len(alice.ask("tools/list", {})["tools"]), TOOLS)
    bob = Process(command, home, db)
    tokens = {name: process.call("register", name=name)["token"] for name, process in (("alice", alice), ("bob", bob))}
    text = "Hällo Bob, 漢字 🙂\r\nsecond line"
    sent = alice.call("send_message", sender="alice", recipient="bob", content=text, token=tokens["alice"])
    [message] = bob.call("get_messages", agent_name="bob", token=tokens["bob"])["messages"]
    expect("the message", (message["id"], message["sender"], message["content"]), (sent["id"], "alice", text))
    bob.call("send_message", sender="bob", recipient="alice", content="Ready.", token=tokens["bob"], reply_to=sent["id"])
    [reply] = alice.call("get_messages", agent_name="alice", token=tokens["alice"])["messages"]
    expect("the reply", (reply["content"], reply["reply_to"]), ("Ready.", sent["id"]))
    took = time.monotonic() - begin
    alice.end()
    bob.end()
    return f"{alice.server['version']}: initialize after {alice.answered * 1000:.0f} ms, two agents talked after {took:.2f} s"


def open_python(command: list[str], home: Path, drive: str) -> str:
    """The database of the Python Team Table 0.2.1, with its tokens."""
    path = home / "python.db"
    with sqlite3.connect(path) as old:
        old.executescript((DATA / "python-0.2.1.sql").read_text())
    old.close()
    process = Process(command, home, f"{drive}{path}")
    process.call("heartbeat", name="alice", token="alice-python-token")
    members = process.call("list_members", agent_name="alice", token="alice-python-token", include_inactive=True)["members"]
    expect("members", len(members), 4)
    process.end()
    return "opened the database of the Python Team Table 0.2.1"


def open_first_schema(command: list[str], home: Path, drive: str) -> str:
    """An empty database of this program's first schema."""
    path = home / "first.db"
    with sqlite3.connect(path) as old:
        old.executescript((MIGRATIONS / "0001_init.sql").read_text())
        old.execute(f"PRAGMA application_id = {0x5454_626C}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    process = Process(command, home, f"{drive}{path}")
    process.call("register", name="alice")
    process.end()
    with sqlite3.connect(path) as new:
        [[version]] = new.execute("PRAGMA user_version")
    if version < 7:
        raise RuntimeError(f"the schema is still {version}")
    return f"opened a database of schema 1, which is schema {version} now"


def main() -> None:
    command = sys.argv[1:]
    drive = ""
    if command[:1] == ["--drive"]:
        drive, command = command[1], command[2:]
    parts = [talk, open_python, open_first_schema]
    if command[:1] == ["--only-talk"]:
        parts, command = [talk], command[1:]
    command = [os.path.abspath(word) if os.sep in word and Path(word).exists() else word for word in command]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for part in parts:
            try:
                print(part(command, Path(folder), drive), flush=True)
            except (RuntimeError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as problem:
                sys.exit(f"FAILED {part.__name__}: {problem}")


if __name__ == "__main__":
    main()
