#!/usr/bin/env bash
# frameworks.sh FOLDER: writes what a linker must know of macOS' Security and CoreFoundation, which are on Macs only: the names that
# the crates declare of each. Rust links to them for the certificates that the system trusts.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1

sources() {   # CRATE: the folder of its sources, as the lock file has it
  cargo metadata --locked --format-version 1 --filter-platform aarch64-apple-darwin 2> /dev/null \
    | python3 -c 'import json, os, sys
print(*(os.path.dirname(it["manifest_path"]) for it in json.load(sys.stdin)["packages"] if it["name"] == sys.argv[1]))' "$1"
}

stub() {   # FRAMEWORK CRATE
  local names
  names=$(grep -rhoE '^ *pub (fn|static( mut)?) [A-Za-z_][A-Za-z0-9_]*' "$(sources "$2")/src" | awk '{ print "_" $NF }' | sort -u | paste -sd, | sed 's/,/, /g')
  mkdir -p "$folder/$1.framework"
  cat > "$folder/$1.framework/$1.tbd" <<STUB
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/System/Library/Frameworks/$1.framework/Versions/A/$1'
current-version: 1
compatibility-version: 1
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ $names ]
...
STUB
}

stub Security security-framework-sys
stub CoreFoundation core-foundation-sys
