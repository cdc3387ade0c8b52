#!/usr/bin/env bash
# build.sh [OUT.wasm]: builds the policy. Needs clang and a C library for wasm32 (Debian: clang and wasi-libc), and
# wasm-component-ld with wasm-ld (both come with every rustup toolchain since 1.82; or wasi-sdk, which has it all).
set -euo pipefail
cd "$(dirname "$0")"
out=$(realpath -m "${1:-tidy-titles.wasm}")
die() { echo "$*" >&2; exit 1; }

command -v clang > /dev/null || die "no clang: apt-get install clang wasi-libc"
SYSROOT=${SYSROOT:-/usr}   # where include/wasm32-wasi and lib/wasm32-wasi are
[ -e "$SYSROOT/lib/wasm32-wasi/libc.a" ] || die "no wasi-libc in $SYSROOT: apt-get install wasi-libc, or set SYSROOT"
linker=$(command -v wasm-component-ld || true)
if [ -z "$linker" ] || [[ $linker == */.cargo/bin/* ]]; then
  linker=$(compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/wasm-component-ld") || die "no wasm-component-ld: install Rust 1.82"
fi
wasm_ld=$(command -v wasm-ld || compgen -G "$(dirname "$linker")/gcc-ld/wasm-ld") || die "no wasm-ld"

objects=$(mktemp -d)
trap 'rm -r "$objects"' EXIT
compile() { clang --target=wasm32-wasi -isystem "$SYSROOT/include/wasm32-wasi" -Os -flto -std=gnu11 -Wall -Wextra -Werror -c "$@"; }
for source in policy.c json.c bindings/policy.c; do
  compile "$source" -o "$objects/${source//\//-}.o"
done
clang --target=wasm32-wasi -c sections.s -I . -I ../../src/guest -o "$objects/sections.o"
"$linker" --wasm-ld-path "$wasm_ld" --wasi-adapter none --no-entry --gc-sections --strip-all -z stack-size=65536 \
  -L "$SYSROOT/lib/wasm32-wasi" "$objects"/*.o -lc -o "$out"
echo "$out: $(stat -c %s "$out") bytes"
