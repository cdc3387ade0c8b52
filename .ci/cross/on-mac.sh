#!/usr/bin/env bash
# on-mac.sh PROGRAM: what only a real Mac can show. Runs the program in a folder of its own, as a person would, and says what
# failed; nothing outside that folder is changed. Needs python3.
set -euo pipefail

program=$(cd "$(dirname "${1:?usage: on-mac.sh PROGRAM}")" && pwd)/$(basename "$1")
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home NO_COLOR=1
db=$home/.team-table/team_table.db
failed=0
check() { # TITLE COMMAND...
  local title=$1 said; shift
  if said=$("$@" 2>&1); then echo "ok $title"; else echo "FAILED $title: $(tail -n 3 <<< "$said")"; failed=1; fi
}
says() { # PATTERN COMMAND...
  local pattern=$1 said; shift
  said=$("$@" 2>&1); grep -qE -- "$pattern" <<< "$said" || { echo "$said"; return 1; }
}
register() { printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"register","arguments":{"name":"%s"}}}\n' "$1" | "$program"; }
killed_daemon_frees_its_lease() {
  "$program" poll alice > "$home/poll.log" 2>&1 &
  local daemon=$!
  until grep -q answering "$home/poll.log"; do kill -0 "$daemon" || return 1; done
  kill -KILL "$daemon"; wait "$daemon" || true
  "$program" poll alice --once
}
another_process_is_seen() {   # a message by one process wakes the long poll of another: the watch on the log file
  python3 - "$program" <<'PY'
import json, subprocess, sys, time
def start():
    return subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
def call(process, name, **arguments):
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    process.stdin.write(json.dumps(request) + "\n"); process.stdin.flush()
def answer(process):
    return json.loads(process.stdout.readline())["result"]["structuredContent"]
bob, carl = start(), start()
call(bob, "register", name="bob"); token = answer(bob)["token"]
call(carl, "register", name="carl"); other = answer(carl)["token"]
call(bob, "get_messages", agent_name="bob", token=token, wait_seconds=30)
began = time.monotonic()
call(carl, "send_message", sender="carl", token=other, recipient="bob", content="hello")
answer(carl)
assert answer(bob)["messages"], "the long poll found nothing"
took = time.monotonic() - began
assert took < 1, f"seen only after {took:.2f} s"
PY
}

check "starts" says '^team-table [0-9]' "$program" --version
check "its signature is taken" codesign --verify "$program"
check "demo" says 'its audit chain is whole' "$program" demo
check "serves on standard input and output" says tt_ register alice
check "doctor" "$program" doctor
check "compiled policies are in the Library" test -d "$home/Library/Caches/team-table"
check "the database is this user's alone" says '^-rw-------' ls -l "$db"
check "a dead daemon's lease is free at once" killed_daemon_frees_its_lease
check "another process is seen within a second" another_process_is_seen
check "setup can be tried" "$program" setup --dry-run
exit $failed
