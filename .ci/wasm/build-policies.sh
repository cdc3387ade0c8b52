#!/usr/bin/env bash
# build-policies.sh [--check]: builds the built-in policies into policies/dist/ and writes manifest.toml beside them.
#
# The manifest says from which sources and by which rustc each component was made, so that a test without any wasm
# toolchain (policies/manifest) sees when one was forgotten. With --check nothing is
# written: everything is built anew elsewhere, and a byte that differs from what is committed fails.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
policies=(question-detection rate-limit reply-cap tool-authorization wake-cap)
cd "$root"

check=
case ${1:-} in
  '') out=$root/policies/dist ;;
  --check) check=1; out=$(mktemp -d); trap 'rm -r "$out"' EXIT ;;
  *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

if [ -z "${RUSTC:-}" ]; then
  if compgen -G "$(rustc --print target-libdir --target wasm32-unknown-unknown)/libstd*.rlib" > /dev/null
  then RUSTC=rustc
  else RUSTC=$("$here/setup.sh")
  fi
fi
export RUSTC

mkdir -p "$out"
for policy in "${policies[@]}"; do
  "$here/build-guest.sh" "$policy" "$out/$policy.wasm"
done
env -u RUSTC cargo run -q --locked -p policies-manifest -- "$root" "$out" "$("$RUSTC" -V)"

if [ -n "$check" ]; then
  status=0
  for file in manifest.toml "${policies[@]/%/.wasm}"; do
    cmp "$out/$file" "policies/dist/$file" || status=1
  done
  [ $status = 0 ] || { echo "policies/dist is not what its sources build; run $0" >&2; exit 1; }
fi
(cd "$out" && wc -c -- *.wasm)
