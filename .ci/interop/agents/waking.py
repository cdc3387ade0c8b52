"""waking.py TEAM_TABLE: real clients in terminals, seated by `team-table setup`, woken by messages of another process.

Run by .ci/clients, which puts the clients on the path and gives a scratch HOME. The models are stood in for by model.py. A line per
check; status 1 when one failed. What it drives: Claude Code (two sessions in one folder), Codex,
opencode, Qwen Code and Gemini CLI.
"""

import html
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time

BINARY = sys.argv[1]
HOME = pathlib.Path(os.environ["HOME"])
FOLDER = HOME / "project"
DB = HOME / ".team-table" / "team_table.db"
LOG = HOME / "model.log"
PORT = int(sys.argv[2])
KEY = "sk-ant-test-000-0123456789abcdefghij"
TMUX = ["tmux", "-L", "team-table-clients"]
# Which terminal shows whom.
TERMINALS = {"agent": "first", "agent-2": "second", "agent-3": "codex", "agent-4": "opencode", "agent-5": "qwen", "agent-6": "gemini", "solo": "once", "ada": "ada", "bob": "bob"}
SEATED = ["claude", "codex", "opencode", "qwen", "gemini"]
PATIENCE = 60
CLAUDE = {
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{PORT}", "ANTHROPIC_API_KEY": KEY,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
}
failed = False


def report(title, problem=None):
    global failed
    failed = failed or bool(problem)
    print(f"FAILED {title}: {problem}" if problem else f"ok {title}", flush=True)


def wait_for(what, ask, patience=PATIENCE):
    """The first answer that is not None, and how long it took."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        answer = ask()
        if answer is not None:
            return answer, time.monotonic() - start
        time.sleep(0.02)
    raise TimeoutError(what)


def ask(sql, *values):
    with sqlite3.connect(f"file:{DB}?mode=ro", uri=True, timeout=10) as db:
        return db.execute(sql, values).fetchall()


def table(*arguments, text=""):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, input=text)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments}: {done.stderr}")
    return done.stdout


def log():
    return [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []


class Sender:
    """An agent that is no client: it speaks MCP over stdio."""

    def __init__(self, name):
        self.process = subprocess.Popen([BINARY, "--db", DB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name, self.count = name, 0
        self.token = self.call("register", name=name)["token"]

    def call(self, tool, **arguments):
        self.count += 1
        params = {"name": tool, "arguments": arguments}
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": self.count, "method": "tools/call", "params": params}) + "\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())["result"]
        if result.get("isError"):
            raise RuntimeError(result["structuredContent"])
        return result["structuredContent"]

    def send(self, to, content):
        return self.call("send_message", sender=self.name, recipient=to, content=content, token=self.token)


def terminal(name, command, **environment):
    words = " ".join(f"{key}={value}" for key, value in environment.items())
    line = f"cd {FOLDER}; env -i HOME={HOME} PATH={os.environ['PATH']} TERM=xterm-256color {words} {command}"
    subprocess.run([*TMUX, "new-session", "-d", "-s", name, "-x", "140", "-y", "40", line], check=True)


def typed(name, text):
    subprocess.run([*TMUX, "send-keys", "-t", name, "-l", text], check=True)
    time.sleep(0.5)  # a line that comes with its end in one piece counts as pasted
    subprocess.run([*TMUX, "send-keys", "-t", name, "Enter"], check=True)


def stop_clients():
    """With Codex' daemon, which outlives its terminals, and what the daemon leaves."""
    subprocess.run([*TMUX, "kill-server"], capture_output=True)
    subprocess.run(["codex", "app-server", "daemon", "stop"], capture_output=True)
    subprocess.run(["pkill", "-f", f"^{HOME}/.codex/.*pid-update-loop$"], check=False)


def screen(name):
    return subprocess.run([*TMUX, "capture-pane", "-p", "-t", name], capture_output=True, text=True).stdout


def seated(name):
    rows = ask(
        "SELECT s.id FROM seat_members m JOIN seats s ON s.id = m.seat_id JOIN members a ON a.id = m.member_id"
        " WHERE a.name = ? AND a.active = 1 AND s.busy = 0",
        name,
    )
    return rows[0][0] if rows else None


def read(message):
    rows = ask("SELECT read_at FROM inbox WHERE message_id = ? AND read_at IS NOT NULL", message)
    return rows[0][0] if rows else None


def prepare():
    (HOME / ".claude").mkdir(exist_ok=True)
    (HOME / ".codex").mkdir(exist_ok=True)
    project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    (HOME / ".claude.json").write_text(json.dumps({
        "hasCompletedOnboarding": True, "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []}, "projects": {str(FOLDER): project},
    }))
    (HOME / ".claude" / "settings.json").write_text(json.dumps({
        "permissions": {"allow": ["mcp__plugin_team-table_team-table", "Bash(sleep:*)"]},
    }, indent=2) + "\n")
    (HOME / ".config" / "opencode").mkdir(parents=True, exist_ok=True)
    lab = {"npm": "@ai-sdk/openai-compatible", "name": "lab", "options": {"baseURL": f"http://127.0.0.1:{PORT}/v1", "apiKey": "x"}, "models": {"m": {"name": "m"}}}
    (HOME / ".config" / "opencode" / "opencode.json").write_text(json.dumps({
        "provider": {"lab": lab}, "model": "lab/m", "small_model": "lab/m", "autoupdate": False, "share": "disabled",
    }, indent=2) + "\n")
    (HOME / ".qwen").mkdir(exist_ok=True)
    (HOME / ".qwen" / "settings.json").write_text(json.dumps({"security": {"auth": {"selectedType": "openai"}}}, indent=2) + "\n")
    (HOME / ".gemini").mkdir(exist_ok=True)
    (HOME / ".gemini" / "settings.json").write_text(json.dumps({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        # What takes the end of a background program for the start of a turn.
        "experimental": {"modelSteering": True}, "tools": {"shell": {"backgroundCompletionBehavior": "inject"}},
    }, indent=2) + "\n")
    (HOME / ".codex" / "config.toml").write_text(f"""model = "m"
model_provider = "lab"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.lab]
name = "lab"
base_url = "http://127.0.0.1:{PORT}/v1"
wire_api = "responses"
env_key = "LAB_KEY"
supports_websockets = false

[projects."{FOLDER}"]
trust_level = "trusted"
""")


def files():
    kept = {}
    for name in (".claude/settings.json", ".codex/config.toml", ".config/opencode/opencode.json", ".qwen/settings.json", ".gemini/settings.json"):
        kept[name] = (HOME / name).read_bytes()
    ours = [*(HOME / ".team-table").glob("integrations/**/*"), *(HOME / ".config" / "opencode").glob("plugin/*")]
    kept["integrations"] = sorted(str(path) for path in ours)
    return kept


def claude(name, command="claude"):
    terminal(name, command, **CLAUDE)


def woken(title, sender, to, others=()):
    before = {name: ask("SELECT count(*) FROM inbox i JOIN members a ON a.id = i.member_id WHERE a.name = ? AND read_at IS NOT NULL", name) for name in others}
    sent = sender.send(to, f"for {to}: please look")
    try:
        _, took = wait_for("the message is read", lambda: read(sent["id"]))
    except TimeoutError:
        report(title, f"not woken: {sent}\n{screen(TERMINALS[to])}")
        return
    report(f"{title}, read after {took:.1f} s, seen: {sent['seen']}", None if took < 3 else "more than 3 s")
    for name, count in before.items():
        now = ask("SELECT count(*) FROM inbox i JOIN members a ON a.id = i.member_id WHERE a.name = ? AND read_at IS NOT NULL", name)
        report(f"{title}: {name} is left alone", None if now == count else f"{now}")


def codex(name, title="codex"):
    """Its hooks are trusted as a person does it. A flag that goes around that keeps the session out of Codex' daemon."""
    terminal(title, "codex", LAB_KEY="x")
    wait_for("codex asks whether the hooks are trusted", lambda: "Hooks need review" in screen(title) or None)
    report("codex asks whether five hooks are trusted", None if "5 hooks" in screen(title) else screen(title))
    typed(title, "2")  # Trust all and continue
    time.sleep(5)  # its screen has no sign that it takes what is typed
    typed(title, f"hello from a person at {title}")
    first_turn(title, name)


def first_turn(title, name):
    """The end of the first turn: a session is idle between its start and that, too."""
    heard = lambda: next((True for entry in log() if any(f"person at {title}" in text for _, _, text in entry["news"])), None)
    wait_for(f"{title} has begun its turn", heard)
    wait_for(f"{title} sits", lambda: seated(name))
    time.sleep(2)  # opencode ends its turn before it takes the next prompt


def shows_with_a_result(news, text):
    """Whether one request holds a tool's result, other than that of get_messages, and the notice of this message."""
    words = html.unescape(" ".join(words for _, _, words in news))
    return any("tool_result" == kind or "tool" == role for role, kind, _ in news) and "<team-table" in words and text in words and '"messages"' not in words


def in_turn(title, terminal_name, to, sender, prompt):
    """A message that comes while a tool of six seconds runs."""
    typed(terminal_name, prompt)
    busy = "SELECT 1 FROM seats s JOIN seat_members m ON m.seat_id = s.id JOIN members a ON a.id = m.member_id WHERE a.name = ? AND s.busy = 1"
    wait_for("the turn runs", lambda: (ask(busy, to) or [None])[0])
    time.sleep(1.5)  # into the six seconds
    text = f"while {title} works"
    sent = sender.send(to, text)
    wait_for("the message is read", lambda: read(sent["id"]))
    # The tool's result and the notice come in one request: the model sees the message before it is asked again.
    told = [entry for entry in log() if shows_with_a_result(entry["news"], text)]
    report(f"{title} in a turn sees it at its next step, seen: {sent['seen']}", None if told and sent["seen"] == "next_step" else f"{sent} {len(told)}")


def elsewhere():
    """A table on another machine: another database, behind a server; the clients know its address and a token."""
    global DB
    DB = HOME / "elsewhere" / "table.db"
    command = [BINARY, "--db", DB, "--transport", "sse", "--host", "127.0.0.1", "--port", "0"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        address = next(line.split("address=")[1].split()[0] for line in server.stderr if "address=" in line)
        threading.Thread(target=lambda: server.stderr.read(), daemon=True).start()
        url = f"http://{address}"
        sender = Sender("sender")
        for name, client in (("ada", "claude"), ("bob", "codex")):
            table("setup", client, "--url", url, "--token-stdin", "--yes", text=sender.call("register", name=name)["token"])
            if client == "claude":
                claude("ada")
            else:
                codex("bob", "bob")
            wait_for(f"{name} sits at the table elsewhere", lambda: seated(name))
            woken(f"{client} at a table elsewhere, idle", sender, name)
            wait_for(f"{name} is idle", lambda: seated(name))
        in_turn("claude at a table elsewhere", "ada", "ada", sender, '[[tool:Bash {"command": "sleep 6"}]]')
        stop_clients()
        table("setup", "--undo", "--yes", "claude", "codex", "--url", url)
        report("undo: no token is left", "credentials.toml" if (HOME / ".team-table" / "credentials.toml").exists() else None)
        # A killed client's seat is given up by what waited for its rings.
        wait_for("ada's seat is given up", lambda: None if ask("SELECT 1 FROM seats WHERE client = 'claude'") else True)
        waits = ["pgrep", "-f", f"{BINARY} ring pid:"]
        wait_for("nothing waits for the rings of a session that is over", lambda: subprocess.run(waits, capture_output=True).returncode == 1 or None)
        report("nothing waits for the rings of a session that is over")
    finally:
        server.terminate()
        server.wait()


def main():
    FOLDER.mkdir(exist_ok=True)
    prepare()
    before = files()
    table("setup", *SEATED, "--name", "agent", "--allow-tools", "--yes")
    once = files()
    table("setup", *SEATED, "--name", "agent", "--allow-tools", "--yes")
    report("setup twice changes nothing", None if files() == once else "files differ")
    # One agent sends more than thirty messages a minute below; and a first start compiles the policies.
    subprocess.run([BINARY], stdin=subprocess.DEVNULL, check=True)
    table("policy", "disable", "rate-limit")
    claude("first")
    wait_for("the first session sits", lambda: seated("agent"))
    claude("second")
    wait_for("the second session sits", lambda: seated("agent-2"))
    report("two sessions of one folder are two seats")
    sender = Sender("sender")
    woken("claude code idle", sender, "agent-2", ["agent"])
    woken("claude code idle, the other", sender, "agent", ["agent-2"])

    wait_for("the first session is idle", lambda: seated("agent"))
    wakes = lambda: ask("SELECT count(*) FROM decisions WHERE hook = 'wake' AND outcome = 'allow'")[0][0]
    before_fifty = wakes()
    last = [sender.send("agent", f"number {n}")["id"] for n in range(50)][-1]
    wait_for("fifty messages are read", lambda: read(last))
    rung = wakes() - before_fifty
    # One while it is idle; those that come while its turn runs are seen at its next step.
    report(f"fifty messages: {rung} wake(s)", None if rung <= 2 else "more than two")

    wait_for("the first session is idle", lambda: seated("agent"))
    in_turn("claude code", "first", "agent", sender, '[[tool:Bash {"command": "sleep 6"}]]')

    codex("agent-3")
    woken("codex idle", sender, "agent-3", ["agent", "agent-2"])
    wait_for("codex is idle", lambda: seated("agent-3"))
    in_turn("codex", "codex", "agent-3", sender, '[[tool:exec_command {"cmd": "sleep 6"}]]')

    terminal("opencode", "opencode", OPENCODE_DISABLE_MODELS_FETCH="1", OPENCODE_DISABLE_AUTOUPDATE="1")
    wait_for("opencode takes what is typed", lambda: "Ask anything" in screen("opencode") or None)
    typed("opencode", "hello from a person at opencode")
    first_turn("opencode", "agent-4")
    woken("opencode idle", sender, "agent-4", ["agent", "agent-2", "agent-3"])
    wait_for("opencode is idle", lambda: seated("agent-4"))
    in_turn("opencode", "opencode", "agent-4", sender, '[[tool:bash {"command": "sleep 6", "description": "wait"}]]')

    terminal("qwen", f"{BINARY} run qwen -- --approval-mode yolo", OPENAI_API_KEY="x", OPENAI_BASE_URL=f"http://127.0.0.1:{PORT}/v1", OPENAI_MODEL="m")
    wait_for("qwen takes what is typed", lambda: "Type your message" in screen("qwen") or None)
    typed("qwen", "hello from a person at qwen")
    first_turn("qwen", "agent-5")
    woken("qwen code idle", sender, "agent-5", ["agent", "agent-2", "agent-3", "agent-4"])
    wait_for("qwen is idle", lambda: seated("agent-5"))
    in_turn("qwen code", "qwen", "agent-5", sender, '[[tool:run_shell_command {"command": "python3 -c \\"import time; time.sleep(6)\\"", "is_background": false}]]')

    gemini = {"GEMINI_API_KEY": "x", "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{PORT}", "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    terminal("gemini", "gemini -m gemini-2.5-flash --approval-mode yolo", **gemini)
    wait_for("gemini takes what is typed", lambda: "Type your message" in screen("gemini") or None)
    typed("gemini", "hello from a person at gemini")
    first_turn("gemini", "agent-6")
    in_turn("gemini cli", "gemini", "agent-6", sender, '[[tool:run_shell_command {"command": "sleep 6"}]]')

    wait_for("gemini is idle", lambda: seated("agent-6"))
    typed("gemini", f'[[tool:run_shell_command {{"command": "{BINARY} wait", "is_background": true}}]]')
    wait_for("a program waits in gemini's session", lambda: (ask("SELECT 1 FROM seats WHERE wake = 'wait:' AND busy = 0") or [None])[0])
    woken("gemini cli idle, with a program that waits", sender, "agent-6", ["agent", "agent-2"])

    typed("first", '[[tool:send_message {"sender": "agent", "recipient": "agent-2", "content": "PING"}]]')
    wait_for("the budget is spent", lambda: (ask("SELECT id FROM escalations WHERE hook = 'wake' AND status = 'open'") or [None])[0], 240)
    messages = ask("SELECT count(*) FROM messages WHERE content = 'PING'")[0][0]
    time.sleep(3)
    more = ask("SELECT count(*) FROM messages WHERE content = 'PING'")[0][0]
    report(f"two agents that answer each other for ever stop after {more} messages, and a person is asked", None if more - messages <= 1 else f"{messages}, then {more}")
    open_ones = json.loads(table("escalation", "list", "--json"))["escalations"]
    report("one question is open", None if len(open_ones) == 1 else open_ones)
    for name in list(TERMINALS.values())[:6]:
        (HOME / f"{name}.txt").write_text(screen(name))

    stop_clients()
    processes = subprocess.run(["pgrep", "-f", f"{BINARY} hook"], capture_output=True, text=True).stdout
    report("no process of ours waits for a seat", processes or None)
    table("setup", "--undo", "--yes", *SEATED)
    after = files()
    # Claude Code's own command leaves two empty objects in its settings.
    settings = json.loads(after[".claude/settings.json"])
    for left in ("enabledPlugins", "extraKnownMarketplaces"):
        if settings.get(left) == {}:
            del settings[left]
    report("undo: claude code's settings", None if settings == json.loads(before[".claude/settings.json"]) else f"{settings}")
    # All write into it by themselves.
    for name in (".config/opencode/opencode.json", ".qwen/settings.json", ".gemini/settings.json"):
        report(f"undo: {name} has nothing of ours", None if b"team-table" not in after[name] else after[name].decode())
    report("undo: our folder", None if not after["integrations"] else after["integrations"])
    claude("once", f"{BINARY} run claude --name solo")
    wait_for("a session that nothing was installed for sits", lambda: seated("solo"))
    woken("claude code that was started with run", sender, "solo")
    report("run installs nothing", None if files()[".claude/settings.json"] == after[".claude/settings.json"] else "settings differ")
    stop_clients()
    elsewhere()
    log_file = HOME / ".team-table" / "hooks.log"
    report("no hook failed", log_file.read_text() if log_file.exists() else None)


if __name__ == "__main__":
    try:
        main()
    except (TimeoutError, RuntimeError, subprocess.CalledProcessError) as problem:
        report("waking", f"{problem}\n" + "\n".join(screen(name) for name in TERMINALS.values()))
    finally:
        stop_clients()
    sys.exit(1 if failed else 0)
