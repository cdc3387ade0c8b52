#!/usr/bin/env bash
# build.sh [OUT.wasm]: builds the policy. Needs Python 3.10 with venv.
set -euo pipefail
cd "$(dirname "$0")"
out=$(realpath -m "${1:-four-eyes.wasm}")
if ! cmp -s requirements.txt .venv/requirements.txt; then
  python3 -m venv --clear .venv
  .venv/bin/pip install -q --disable-pip-version-check -r requirements.txt
  cp requirements.txt .venv
fi
# Python's own libraries ask for WASI; here every such call is a trap, because a policy imports nothing.
.venv/bin/componentize-py -q -d ../../wit/v1 -w authorization componentize --stub-wasi policy -o "$out"
python3 embed_cases.py "$out" cases.toml
echo "$out: $(stat -c %s "$out") bytes"
