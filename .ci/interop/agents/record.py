"""record.py TEAM_TABLE PORT CAST: three real clients at one table, as an asciinema recording.

One person types one sentence; two idle agents are woken. The clients are real, what stands in for their models is model.py with
story.json. Needs HOME to be a scratch folder, tmux, asciinema, and the clients on the path. docs/three-agents.svg is made of it:

    python3 model.py 8950 "$HOME/model.log" story.json &
    python3 record.py target/release/team-table 8950 docs/three-agents.cast
    npx svg-term-cli --in docs/three-agents.cast --out docs/three-agents.svg --window --no-cursor
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from waking import BINARY, CLAUDE, FOLDER, HOME, TMUX, log, prepare, screen, seated, table, typed, wait_for

CAST = pathlib.Path(sys.argv[3])
COLUMNS, ROWS = 150, 40
RECORDER = ["tmux", "-L", "team-table-recorder"]
SENTENCE = "Ask bob whether migration 7 is safe, then have cleo deploy it."
# Longest pause in the recording, in seconds.
PAUSE = 1.5


def pane(number, title, command, environment):
    words = {"HOME": HOME, "PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    line = " ".join(f"{key}={value}" for key, value in {**words, **environment}.items())
    start = {
        0: ["new-session", "-d", "-s", "table", "-x", str(COLUMNS), "-y", str(ROWS)],
        1: ["split-window", "-h", "-t", "table:0.0"],
        2: ["split-window", "-v", "-t", "table:0.1"],
    }[number]
    subprocess.run([*TMUX, *start, f"cd {FOLDER}; env -i {line} {command}"], check=True)
    # The clients change their titles.
    subprocess.run([*TMUX, "set", "-p", "-t", f"table:0.{number}", "@title", title], check=True)


def seat():
    pane(0, "ada: Claude Code, a person types here", f"{BINARY} run claude --name ada", CLAUDE)
    options = {
        "status": "off", "pane-border-status": "top", "pane-border-format": " #{@title} ",
        "pane-border-style": "fg=colour110", "pane-active-border-style": "fg=colour110",
    }
    for option, value in options.items():
        subprocess.run([*TMUX, "set", "-g", option, value], check=True)
    pane(1, "bob: Codex, idle", "codex --dangerously-bypass-hook-trust", {"LAB_KEY": "x"})
    pane(2, "cleo: Claude Code, idle", f"{BINARY} run claude --name cleo --role coder", CLAUDE)
    for name in ("ada", "cleo"):
        wait_for(f"{name} sits", lambda: seated(name))
    time.sleep(6)  # Codex has no sign that it takes what is typed
    typed("table:0.1", "You review here.")
    asked = lambda entry: any("You review here" in text for _, _, text in entry["news"])
    wait_for("codex has begun its turn", lambda: next(filter(asked, log()), None))
    wait_for("bob sits", lambda: seated("bob"))
    time.sleep(4)
    subprocess.run([*TMUX, "select-pane", "-t", "table:0.0"], check=True)


def record(raw):
    watch = f"env -u TMUX LANG=C.UTF-8 TERM=xterm-256color asciinema rec --overwrite -q -c '{' '.join(TMUX)} attach -t table' {raw}"
    subprocess.run([*RECORDER, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), watch], check=True)
    time.sleep(2)
    for letter in SENTENCE:
        subprocess.run([*TMUX, "send-keys", "-t", "table:0.0", "-l", letter], check=True)
        time.sleep(0.05)
    time.sleep(1)
    subprocess.run([*TMUX, "send-keys", "-t", "table:0.0", "Enter"], check=True)
    wait_for("cleo deploys", lambda: "I deploy it now" in screen("table:0.2") or None)
    time.sleep(4)
    subprocess.run([*TMUX, "detach-client", "-s", "table"], check=True)
    wait_for("the recording ends", lambda: subprocess.run([*RECORDER, "has-session"], capture_output=True).returncode or None)


def shorten(raw):
    """The recording with shorter pauses, and without what names this machine."""
    head, *lines = raw.read_text().splitlines()
    size = {key: json.loads(head)[key] for key in ("version", "width", "height")}
    kept, at, before = [size], 0.0, 0.0
    for when, kind, text in map(json.loads, lines):
        if "[detached" not in text:
            at += min(when - before, PAUSE)
            kept.append([round(at, 3), kind, text])
        before = when
    CAST.write_text("".join(json.dumps(line) + "\n" for line in kept))


def main():
    FOLDER.mkdir(exist_ok=True)
    prepare()
    # A first start compiles the policies.
    subprocess.run([BINARY], stdin=subprocess.DEVNULL, check=True)
    table("setup", "codex", "--name", "bob", "--role", "reviewer", "--allow-tools", "--yes")
    try:
        seat()
        record(HOME / "raw.cast")
    finally:
        for server in (TMUX, RECORDER):
            subprocess.run([*server, "kill-server"], capture_output=True)
        subprocess.run(["codex", "app-server", "daemon", "stop"], capture_output=True)
    shorten(HOME / "raw.cast")


main()
