#!/usr/bin/env bash
# build.sh [OUT.wasm]: builds the policy. Needs Node.js 20 and npm.
set -euo pipefail
cd "$(dirname "$0")"
out=$(realpath -m "${1:-money-and-production.wasm}")
npm ci --silent --no-audit --no-fund
node build.mjs "$out"
echo "$out: $(stat -c %s "$out") bytes"
