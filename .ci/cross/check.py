#!/usr/bin/env python3
"""check.py [--drive LETTER:] COMMAND...: what the program must do on each system, driven from this one: `demo`, four processes on one database
of which some are killed, a policy that is exchanged while processes run, modules that trap, loop and overflow, and `setup --dry-run`.
COMMAND starts the program, such as `wine64 team-table.exe` or `qemu-aarch64-static team-table`; --drive is where it sees this system's files.
Prints a line per check; status 1 when one failed. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parent.parent / "packages"))
from talk import Process, environment, expect, talk  # noqa: E402

PATIENCE = 120  # seconds; emulators are slow
PROCESSES, SENDS, KILLS = 4, 25, 6
GUESTS = Path(__file__).resolve().parent / "guests"
# What each module does, and a word of what is recorded about it.
HOSTILE = {"traps": "unreachable", "recurses": "stack", "loops_in_call": "fuel", "returns_wild_pointer": "bounds",
           "grows_in_call": "memory", "returns_gigabytes": "fuel"}
NAMED = 'builtins = "named"\n'
NONE = f'{NAMED}[[policy]]\nname = "rate-limit"\nmodule = "builtin:rate-limit"\nmode = "off"\n'


class Table:
    """A database of its own, and the command line at it."""

    def __init__(self, command: list[str], home: Path, drive: str, name: str):
        self.command, self.home = command, home
        self.folder = home / name
        self.folder.mkdir()
        self.db = f"{drive}{self.folder / 'table.db'}"
        self.policies = self.folder / "policies"

    def start(self) -> Process:
        return Process(self.command, self.home, self.db)

    def run(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run([*self.command, *arguments], cwd=self.home, env=environment(self.home, self.db), timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
        if done.returncode != status:
            raise RuntimeError(f"{' '.join(arguments)}: status {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
        return done.stdout

    def set(self, text: str) -> None:
        """Writes the set as a person would: beside it, then in its place."""
        self.policies.mkdir(exist_ok=True)
        fresh = self.policies / "policy-set.new"
        fresh.write_text(text)
        fresh.replace(self.policies / "policy-set.toml")


def until(what: str, ask) -> object:
    """What `ask` says when it says something; it is asked again and again."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise RuntimeError(f"in vain: {what}")


def refusal(process: Process, tool: str, **arguments) -> str:
    """The words of a refusal; nothing when the call was carried out."""
    result = process.ask("tools/call", {"name": tool, "arguments": arguments})
    return json.dumps(result) if result.get("isError") else ""


def demo(table: Table) -> str:
    begin = time.monotonic()
    table.run("demo")
    return f"demo in {time.monotonic() - begin:.1f} s"


def talks(table: Table) -> str:
    return talk(table.command, table.folder, table.db.removesuffix(str(table.folder / "table.db")))


def kills(table: Table) -> str:
    """Each of four processes sends; one after the other is killed while they do. What was acknowledged is there, once."""
    first = table.start()
    tokens = {f"agent{at}": first.call("register", name=f"agent{at}")["token"] for at in range(PROCESSES)}
    table.set(NONE)
    acknowledged: list[set[str]] = [set() for _ in range(PROCESSES)]
    killed: list[str] = []
    problems: list[str] = []
    lock = threading.Lock()
    waits: list[float] = []

    def work(at: int) -> None:
        name, process = f"agent{at}", table.start()
        for number in range(SENDS):
            mark = f"{name}-{number}"
            while True:
                try:
                    begin = time.monotonic()
                    process.call("send_message", sender=name, recipient="agent0", content=mark, idempotency_key=mark, token=tokens[name])
                    acknowledged[at].add(mark)
                    waits.append(time.monotonic() - begin)
                    break
                except (OSError, ValueError, RuntimeError) as problem:
                    # It was killed: begin another, and send the same again.
                    try:
                        process.process.wait(0 if name not in killed else 10)
                        process = table.start()
                    except subprocess.TimeoutExpired:
                        problems.append(f"{mark}: {problem}")
                        return
            with lock:
                # At every eighth message: an end in the middle of what the others write.
                if number % 8 == at and len(killed) < KILLS:
                    process.process.kill()
                    killed.append(name)
        process.process.kill()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise RuntimeError(problems[0])
    found: list[str] = []
    while page := first.call("get_messages", agent_name="agent0", token=tokens["agent0"], limit=50)["messages"]:
        found += [message["content"] for message in page]
    wanted = sorted(set().union(*acknowledged))
    expect("messages", (len(wanted), sorted(found) == wanted), (PROCESSES * SENDS, True))
    first.end()
    verified = table.run("audit", "verify")
    waits.sort()
    return (f"{PROCESSES} processes, {len(killed)} killed: {len(found)} of {len(wanted)} messages there, once each; p50 "
            f"{waits[len(waits) // 2] * 1000:.0f} ms, p99 {waits[-2] * 1000:.0f} ms; {verified.strip().splitlines()[-1]}")


def swap(table: Table) -> str:
    """A set file that forbids, and one that allows again: two running processes follow without being started again."""
    one, other = table.start(), table.start()
    token = one.call("register", name="alice")["token"]
    forbids = f'{NAMED}[[policy]]\nname = "tool-authorization"\nmodule = "builtin:tool-authorization"\n[policy.settings.roles.agent]\ndeny = ["broadcast"]\n'

    def refused(process: Process) -> bool:
        return "tool-authorization" in refusal(process, "broadcast", sender="alice", content="all", token=token)

    begin = time.monotonic()
    table.set(forbids)
    for process in (one, other):
        until("broadcast is refused", lambda process=process: refused(process))
    took = time.monotonic() - begin
    table.set(NONE)
    for process in (one, other):
        until("broadcast is allowed", lambda process=process: not refused(process))
    table.run("policy", "install", "builtin:rate-limit")
    listed = table.run("policy", "list", "--json")
    expect("rate-limit is listed", "rate-limit" in listed, True)
    table.run("policy", "disable", "rate-limit")
    table.run("policy", "enable", "rate-limit")
    one.end()
    other.end()
    return f"two processes followed a changed set after {took * 1000:.0f} ms, and back"


def hostile(table: Table) -> str:
    """The modules fail, their calls are refused, the reason is recorded, and the process lives."""
    table.policies.mkdir()
    process = table.start()
    token = process.call("register", name="alice")["token"]
    for name, word in HOSTILE.items():
        (table.policies / f"{name}.wasm").write_bytes((GUESTS / f"{name}.wasm").read_bytes())
        # A limit that none of them reaches before it does what it is for.
        table.set(f'{NAMED}[[policy]]\nname = "guest"\nmodule = "{name}.wasm"\nmode = "enforce"\n[policy.limits]\nmillis = 5000\n')
        until(f"{name} refuses", lambda: "guest" in refusal(process, "heartbeat", name="alice", token=token))
        log = table.run("policy", "log", "--json", "--limit", "1").lower()
        if word not in log:
            raise RuntimeError(f"{name}: {word!r} is not recorded: {log[:600]}")
        table.set(NONE)
        until("it is gone", lambda: not refusal(process, "heartbeat", name="alice", token=token))
    process.end()
    return f"{len(HOSTILE)} modules that trap, recurse, loop, point nowhere, grow and overflow: refused, and the process lives"


def setup(table: Table) -> str:
    said = table.run("setup", "--dry-run", "--name", "agent", "claude")
    expect("setup says what it would do", "claude" in said.lower(), True)
    return "setup --dry-run"


def main() -> None:
    command, drive = sys.argv[1:], ""
    if command[:1] == ["--drive"]:
        drive, command = command[1], command[2:]
    command = [os.path.abspath(word) if os.sep in word and Path(word).exists() else word for word in command]
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for part in (demo, talks, kills, swap, hostile, setup):
            try:
                print("ok", part(Table(command, Path(folder), drive, part.__name__)), flush=True)
            except (RuntimeError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as problem:
                failed = True
                print(f"FAILED {part.__name__}: {problem}", flush=True)
    sys.exit(failed)


main()
