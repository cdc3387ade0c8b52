#!/usr/bin/env bash
# setup.sh: gives a Debian 12 machine a rustc that can build for wasm32-unknown-unknown, where
# `rustup target add wasm32-unknown-unknown` cannot download. Prints the path of that rustc.
#
#   WASM_PREFIX   where to put it (default ~/.cache/team-table/wasm-toolchain); nothing else is written
#   JOBS          parallel jobs while std is built (default: all cores)
#
# Debian ships a compiler (rustc-web) and the standard library's sources (rust-web-src) of the same version. Both are unpacked
# under the prefix without being installed, std is built once from the sources, and the linkers are borrowed from the
# rustup toolchain, which has had wasm-component-ld since Rust 1.82. 137 MB to download, two minutes on two cores, 474 MB kept.
# A second run finds the work done.
set -euo pipefail

TARGET=wasm32-unknown-unknown
HOST=x86_64-unknown-linux-gnu
PREFIX=$(realpath -m "${WASM_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/team-table/wasm-toolchain}")
USR=$PREFIX/usr
RUSTC=$PREFIX/bin/rustc
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

builds_wasm() {   # a library that needs std, compiled and linked
  local dir; dir=$(mktemp -d)
  echo '#[unsafe(no_mangle)] pub extern "C" fn digits(n: u32) -> usize { n.to_string().len() }' > "$dir/probe.rs"
  if "$RUSTC" --target $TARGET --crate-type cdylib --edition 2024 -o "$dir/probe.wasm" "$dir/probe.rs" > "$dir/log" 2>&1
  then rm -r "$dir"
  else [ "${1:-}" != loud ] || cat "$dir/log" >&2; rm -r "$dir"; return 1
  fi
}

if [ -x "$RUSTC" ] && builds_wasm; then echo "$RUSTC"; exit; fi
[ "$(uname -m)" = x86_64 ] || die "written for x86_64, this is $(uname -m)"
LINKERS=$(rustc --print sysroot)/lib/rustlib/$HOST/bin
[ -x "$LINKERS/rust-lld" ] && [ -x "$LINKERS/wasm-component-ld" ] || die "no rust-lld and wasm-component-ld in $LINKERS"

# The lists first, always: stale ones offer an older compiler, whose std does not build this way.
say "refreshing the package lists"
apt-get update -qq
depends() { apt-cache depends "$1" | sed -n 's/^ *Depends: //p'; }
std=$(depends libstd-rust-web-dev | grep -m1 '^libstd-rust-web-[0-9]') || die "the package lists have no rustc-web"
llvm=$(depends "$std" | grep -m1 '^libllvm[0-9]')
rm -rf "$PREFIX"; mkdir -p "$PREFIX/debs" "$PREFIX/bin"
cd "$PREFIX/debs"
say "downloading rustc-web, rust-web-src, $std and $llvm"
unpack() { apt-get -qq download "$@" 2> >(grep -v unsandboxed >&2 || true); for deb in ./*.deb; do dpkg -x "$deb" "$PREFIX"; done; }
unpack rustc-web rust-web-src libstd-rust-web-dev "$std" "$llvm"

libraries=$USR/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
missing() { ldd "$libraries"/*.so* 2>/dev/null | sed -n 's/^\s*\(\S*\) => not found/\1/p' | sort -u | tr '\n' ' '; }
if [ -n "$(missing)" ]; then   # a very bare machine lacks what LLVM links to
  say "fetching what LLVM links to: $(missing)"
  # shellcheck disable=SC2046  # one word per package
  unpack $(depends "$llvm" | grep -vE '^(libc6|libgcc-s1|libstdc\+\+6)$') libbsd0 libmd0 libicu72 liblzma5
  [ -z "$(missing)" ] || die "still missing: $(missing)"
fi

cat > "$RUSTC" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$USR/bin/rustc" "\$@"
WRAPPER
chmod +x "$RUSTC"
rm -rf "${USR:?}/lib/rustlib/$HOST/bin"; mkdir -p "$USR/lib/rustlib/$HOST"
ln -s "$LINKERS" "$USR/lib/rustlib/$HOST/bin"

sources=$(readlink -f "$USR/lib/rustlib/src/rust")
[ -d "$sources/library/vendor" ] || die "rust-web-src has no vendored crates: is it older than the compiler?"
say "building std of $("$RUSTC" -V) for $TARGET"
commit=$("$RUSTC" -vV | sed -n 's/^commit-hash: //p')
# Paths as in the official builds; where two prefixes fit, the last one counts.
flags=(-Zforce-unstable-if-unmarked -Cembed-bitcode=yes
       "--remap-path-prefix=$sources=/rustc/$commit" "--remap-path-prefix=$sources/library/vendor=/rust/deps")
cd "$PREFIX"
env -u RUSTFLAGS -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET RUSTC="$RUSTC" RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DIST_DEBUG=0 \
  CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; echo "${flags[*]}")" \
  cargo build -q --locked --offline -Zavoid-dev-deps -j "${JOBS:-$(nproc)}" --profile dist --target $TARGET \
    --config 'source.crates-io.replace-with="vendored-sources"' \
    --config "source.vendored-sources.directory=\"$sources/library/vendor\"" \
    --manifest-path "$sources/library/sysroot/Cargo.toml" --target-dir "$PREFIX/std" \
    --features 'panic-unwind backtrace' 2> >(grep -v -e 'dropping unsupported crate type' -e '^$' >&2 || true)
rm -rf "$USR/lib/rustlib/$TARGET"; mkdir -p "$USR/lib/rustlib/$TARGET/lib"
cp "$PREFIX"/std/$TARGET/dist/deps/*.rlib "$USR/lib/rustlib/$TARGET/lib/"
rm -f "$USR/lib/rustlib/$TARGET/lib"/libsysroot-*

builds_wasm loud || die "the toolchain does not build a library for $TARGET"
rm -rf "$PREFIX/std" "$PREFIX/debs" "$USR/src" "$USR/lib/rustlib/src" "$USR/share"
say "done: $(du -sh "$PREFIX" | cut -f1) in $PREFIX"
echo "$RUSTC"
