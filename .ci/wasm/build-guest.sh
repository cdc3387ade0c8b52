#!/usr/bin/env bash
# build-guest.sh PACKAGE OUT.wasm: builds a policy of this workspace into a component, with the toolchain at hand:
# rustup's if it has the wasm32-unknown-unknown target, else the one that setup.sh makes. $RUSTC overrules both.
#
# wasm-component-ld links the core module and wraps it into a component in one go. Paths are mapped away, so that the bytes
# do not depend on where the workspace, cargo's home or the target directory lie. Two versions of rustc do give two results.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
package=$1 out=$(realpath -m "$2")
TARGET=wasm32-unknown-unknown
has_std() { compgen -G "$("$1" --print target-libdir --target $TARGET)/libstd*.rlib" > /dev/null; }

if [ -z "${RUSTC:-}" ]; then
  if has_std rustc; then RUSTC=rustc; else RUSTC=$("$here/setup.sh"); fi
fi
export RUSTC
# A target directory of its own: cargo tells compilers apart only by version text, and this one is never the workspace's.
target=${GUEST_TARGET_DIR:-$root/target/guest}
flags=("--remap-path-prefix=$root=/src" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/cargo")
cd "$root"
env -u RUSTFLAGS -u CARGO_TARGET_DIR CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; echo "${flags[*]}")" \
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld \
  cargo build -q --locked --lib -p "$package" --profile guest --target $TARGET --target-dir "$target"

built=$target/$TARGET/guest/${package//-/_}.wasm
# Bytes 4 to 7: 0d000100 is a component, 01000000 a core module.
[ "$(od -An -tx1 -j4 -N4 "$built" | tr -d ' ')" = 0d000100 ] || { echo "$built is not a component" >&2; exit 1; }
install -D -m 644 "$built" "$out"
