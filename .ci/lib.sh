# shellcheck shell=bash
# What .ci/run, .ci/clients, .ci/interop/run and .ci/console/run share. Everything they install or write lies under target/ci.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$root/target/ci
mkdir -p "$work"

section() { printf '\n== %s (at %d s)\n' "$*" "$SECONDS"; }
die() { echo "$*" >&2; exit 1; }

# debian COMMAND PACKAGE...: installs Debian packages where the command is missing; with install=no it says what is missing.
debian() {
  if command -v "$1" > /dev/null; then return; fi
  [ "${install:-yes}" = yes ] || die "$1 is missing: install it (Debian: ${*:2}), or run .ci/run --install"
  [ -n "${lists_are_fresh:-}" ] || apt-get update -qq
  lists_are_fresh=yes
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${@:2}" > /dev/null
}

# scratch_home NAME: an empty home directory, and nothing of the caller's configuration.
scratch_home() {
  unset "${!TEAM_TABLE_@}"
  export NO_COLOR=1 HOME=$work/home/$1
  rm -rf "$HOME"
  mkdir -p "$HOME"
}

# python_env NAME: an environment with what .ci/interop/python/NAME.txt pins, at $work/NAME.
python_env() {
  local pins=$root/.ci/interop/python/$1.txt env=$work/$1
  if cmp -s "$pins" "$env/pins.txt"; then return; fi
  debian pip3 python3 python3-venv python3-pip
  rm -rf "$env"
  python3 -m venv "$env"
  "$env/bin/pip" install -q --no-deps -r "$pins"
  cp "$pins" "$env/pins.txt"
}

# node_env FOLDER: what .ci/FOLDER/package-lock.json pins, at $work under the folder's last name; its own Node.js is among it.
node_env() {
  local pins=$root/.ci/$1 env=$work/${1##*/}
  if cmp -s "$pins/package-lock.json" "$env/node_modules/pins.json"; then return; fi
  debian npm npm
  mkdir -p "$env"
  cp "$pins/package.json" "$pins/package-lock.json" "$env"
  npm ci --prefix "$env" --no-audit --no-fund --loglevel=error > /dev/null
  cp "$pins/package-lock.json" "$env/node_modules/pins.json"
}

# free_port: one below the range that outgoing connections take theirs from, so that it stays free over a restart.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do :; done
  echo "$port"
}

# serve BINARY: starts the network server on a database of its own under $HOME; sets $url. It ends with the script, or
# with the next one.
serve() {
  local port; port=$(free_port)
  [ -z "${server:-}" ] || kill "$server"
  url=http://127.0.0.1:$port
  TEAM_TABLE_DB=$HOME/network.db "$1" --transport streamable-http --host 127.0.0.1 --port "$port" 2>> "$HOME/server.log" &
  server=$!
  trap 'kill $server' EXIT
  for _ in {1..100}; do
    if curl -sf "$url/readyz" > /dev/null; then return; fi
    kill -0 $server || break
    sleep 0.1
  done
  die "the server does not come up: $(tail -n 3 "$HOME/server.log")"
}

# report TITLE MESSAGE: one line per check. Without a message the check passed.
report() { if [ -z "${2:-}" ]; then echo "ok $1"; else echo "FAILED $1: $2"; fi; }

# expect TITLE STATUS PATTERN COMMAND...: the command exits with STATUS and its output has a line like PATTERN.
expect() {
  local title=$1 status=$2 pattern=$3 output actual=0; shift 3
  output=$("$@" < /dev/null 2>&1) || actual=$?
  if [ "$actual" != "$status" ]; then report "$title" "status $actual, not $status: $(tail -n 3 <<< "$output" | tr '\n' ' ')"
  elif ! grep -qE -- "$pattern" <<< "$output"; then report "$title" "no line like $pattern: ${output:0:400}"
  else report "$title"; fi
}

# tally COMMAND...: runs a function that reports, prints the totals, and fails if anything did. Errors do not stop the
# function: what needed the failed step reports it.
tally() {
  local log=$work/$1.log status=0 passed failed
  ("$@") | tee "$log" || status=$?
  passed=$(grep -c '^ok ' "$log" || true) failed=$(grep -c '^FAILED ' "$log" || true)
  [ "$status" = 0 ] || echo "$1 broke off with status $status"
  echo "$passed passed, $failed failed"
  [ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
