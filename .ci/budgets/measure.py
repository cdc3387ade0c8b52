#!/usr/bin/env python3
"""measure.py BINARY BUDGETS [--write]: counts the instructions of the commonest calls, per call over stdio, and compares them with the budgets.

The program runs under callgrind with a table of 20 agents and the built-in policies. A count is that of the whole process while it answers
ROUNDS calls of one kind, divided by ROUNDS: JSON-RPC, facts, policies, the transaction and what is recorded, in a commit of its own. The smallest of REPEATS
counts stands: what is more is the threads' waiting for each other. `hook` is a whole process of `team-table hook claude prompt`.

A count that is more than 3% above its budget fails. One that is more than 3% below asks for a lower budget; --write writes all of
them down. Needs valgrind, nothing else.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parent.parent / "packages"))
from talk import Process, environment  # noqa: E402

AGENTS, WARM, ROUNDS, REPEATS = 20, 30, 30, 2
# Seconds between two calls: longer than a record waits for others to share its commit, so that each call pays for its own.
PACE = 0.04
ALLOWED = 0.03
# Nobody is refused for having called too often; the limits are counted all the same.
SET = '[[policy]]\nname = "rate-limit"\nmodule = "builtin:rate-limit"\n[policy.settings]\nmax_messages = 1000000\nmax_changes = 1000000\n'


def callgrind(folder: Path, *options: str) -> list[str]:
    return ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={folder}/out", *options]


def total(file: Path) -> int:
    [found] = re.findall(r"^(?:summary|totals): (\d+)", file.read_text(errors="replace"), re.MULTILINE)[:1]
    return int(found)


class Measured:
    """A table, and a process at it that is counted."""

    def __init__(self, binary: str, home: Path):
        self.binary, self.home, self.db = binary, home, str(home / "table.db")
        (home / "policies").mkdir(mode=0o700)
        (home / "policies/policy-set.toml").write_text(SET)
        first = Process([binary], home, self.db)
        self.tokens = {f"agent{at}": first.call("register", name=f"agent{at}")["token"] for at in range(AGENTS)}
        first.call("create_task", creator="agent0", title="a task", token=self.tokens["agent0"])
        first.end()
        self.process = Process([*callgrind(home), binary], home, self.db)
        self.dumps = 0

    def control(self, option: str) -> None:
        subprocess.run(["callgrind_control", option, str(self.process.process.pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def count(self, call) -> int:
        for at in range(WARM):
            call(at)
        counts = []
        for _ in range(REPEATS):
            self.control("--zero")
            for at in range(ROUNDS):
                call(at)
                time.sleep(PACE)
            self.control("--dump")
            self.dumps += 1
            counts.append(total(Path(f"{self.home}/out.{self.dumps}")) // ROUNDS)
        return min(counts)

    def calls(self) -> dict[str, object]:
        def name(at: int) -> str:
            return f"agent{at % AGENTS}"

        def ask(tool: str, at: int, **arguments) -> dict:
            return self.process.call(tool, **arguments, token=self.tokens[name(at)])

        return {
            "list_members": lambda at: ask("list_members", at),
            "list_tasks": lambda at: ask("list_tasks", at),
            "get_messages": lambda at: ask("get_messages", at, agent_name=name(at)),
            "send_message": lambda at: ask("send_message", at, sender=name(at), recipient=name(at + 1), content=f"Step {at} is done."),
            "share_context": lambda at: ask("share_context", at, agent_name=name(at), key=f"key{at % AGENTS}", value=f"value {at}"),
            "create_task": lambda at: ask("create_task", at, creator=name(at), title=f"task {at}"),
        }

    def hook(self) -> int:
        """The one that runs with each prompt, where nothing has come."""
        counts = []
        for at in range(REPEATS):
            folder = self.home / f"hook{at}"
            folder.mkdir()
            asked = json.dumps({"session_id": "s", "cwd": str(self.home), "hook_event_name": "UserPromptSubmit", "prompt": "go on"})
            subprocess.run([*callgrind(folder), self.binary, "hook", "claude", "prompt"], input=asked, text=True, check=True,
                           cwd=self.home, env=environment(self.home, self.db), stdout=subprocess.DEVNULL)
            counts.append(total(folder / "out"))
        return min(counts)


def main(binary: str, budgets: Path, write: bool) -> int:
    known = tomllib.loads(budgets.read_text()) if budgets.exists() else {}
    found = {}
    with tempfile.TemporaryDirectory() as home:
        measured = Measured(binary, Path(home))
        for kind, call in measured.calls().items():
            found[kind] = measured.count(call)
        measured.process.process.kill()
        measured.process.process.wait()
        found["hook"] = measured.hook()
    failed = 0
    for kind, count in found.items():
        budget = known.get(kind)
        above = count / budget - 1 if budget else 0
        line = f"{kind:14} {count:>10,} instructions" + (f", budget {budget:,} ({above:+.1%})" if budget else "")
        if not budget and not write:
            line, failed = f"FAILED {line}: it has no budget", failed + 1
        elif above > ALLOWED and not write:
            line, failed = f"FAILED {line}", failed + 1
        elif above < -ALLOWED and not write:
            line += ": lower the budget"
        print(line)
    if write:
        text = "".join(f"{kind} = {count}\n" for kind, count in found.items())
        budgets.write_text(f"# Instructions per call; measure.py says what is counted, and writes this.\n{text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), "--write" in sys.argv[3:]))
