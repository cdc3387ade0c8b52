#!/usr/bin/env bash
# setup.sh TARGET...: gives a Debian 12 machine a rustc with the standard library of other targets, where
# `rustup target add TARGET` cannot download. Prints the path of that rustc.
#
#   CROSS_PREFIX  where to put it (default ~/.cache/team-table/cross-toolchain); nothing else is written
#   JOBS          parallel jobs while std is built (default: all cores)
#
# As .ci/wasm/setup.sh: Debian's compiler (rustc-web) and the standard library's sources (rust-web-src) of the same version
# are unpacked under the prefix without being installed, and std is built from the sources, which needs no linker for
# the target. 137 MB to download, one to two minutes a target on two cores, 1.4 GB kept with five targets. A second run finds the work
# done.
set -euo pipefail

HOST=x86_64-unknown-linux-gnu
PREFIX=$(realpath -m "${CROSS_PREFIX:-${XDG_CACHE_HOME:-$HOME/.cache}/team-table/cross-toolchain}")
USR=$PREFIX/usr
RUSTC=$PREFIX/bin/rustc
libraries=$USR/lib/x86_64-linux-gnu
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
[ $# -gt 0 ] || die "usage: setup.sh TARGET..."
[ "$(uname -m)" = x86_64 ] || die "written for x86_64, this is $(uname -m)"

has_std() { compgen -G "$USR/lib/rustlib/$1/lib/libstd[-.]*rlib" > /dev/null; }

toolchain() {
  local std llvm linkers
  linkers=$(rustc --print sysroot)/lib/rustlib/$HOST/bin
  [ -x "$linkers/rust-lld" ] || die "no rust-lld in $linkers"
  # The lists first, always: stale ones offer an older compiler, whose std does not build this way.
  say "refreshing the package lists"
  apt-get update -qq
  depends() { apt-cache depends "$1" | sed -n 's/^ *Depends: //p'; }
  std=$(depends libstd-rust-web-dev | grep -m1 '^libstd-rust-web-[0-9]') || die "the package lists have no rustc-web"
  llvm=$(depends "$std" | grep -m1 '^libllvm[0-9]')
  rm -rf "$PREFIX"
  mkdir -p "$PREFIX/debs" "$PREFIX/bin"
  cd "$PREFIX/debs"
  unpack() { apt-get -qq download "$@" 2> >(grep -v unsandboxed >&2 || true); for deb in ./*.deb; do dpkg -x "$deb" "$PREFIX"; done; }
  say "downloading rustc-web, rust-web-src, $std and $llvm"
  unpack rustc-web rust-web-src libstd-rust-web-dev "$std" "$llvm"
  missing() { LD_LIBRARY_PATH=$libraries ldd "$libraries"/*.so* 2> /dev/null | sed -n 's/^\s*\(\S*\) => not found/\1/p' | sort -u | tr '\n' ' '; }
  if [ -n "$(missing)" ]; then   # a very bare machine lacks what LLVM links to
    say "fetching what LLVM links to: $(missing)"
    # shellcheck disable=SC2046  # one word per package
    unpack $(depends "$llvm" | grep -vE '^(libc6|libgcc-s1|libstdc\+\+6)$') libbsd0 libmd0 libicu72 liblzma5
    [ -z "$(missing)" ] || die "still missing: $(missing)"
  fi
  # Not for sh, which drops variables with a hyphen in their names, such as cargo's CARGO_BIN_EXE_team-table.
  cat > "$RUSTC.new" <<WRAPPER
#!/bin/bash
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$USR/bin/rustc" "\$@"
WRAPPER
  chmod +x "$RUSTC.new"
  rm -rf "${USR:?}/lib/rustlib/$HOST/bin"
  mkdir -p "$USR/lib/rustlib/$HOST"
  ln -s "$linkers" "$USR/lib/rustlib/$HOST/bin"
  rm -rf "$PREFIX/debs" "$USR/share"
  # Nobody links to std as a shared library, and making one needs the target's linker here.
  sed -i 's/^crate-type = \["dylib", "rlib"\]/crate-type = ["rlib"]/' "$(readlink -f "$USR/lib/rustlib/src/rust")"/library/{std,test}/Cargo.toml
  mv "$RUSTC.new" "$RUSTC"   # last: it says that the toolchain is whole
}

build_std() {
  local target=$1 sources commit flags lib
  sources=$(readlink -f "$USR/lib/rustlib/src/rust")
  [ -d "$sources/library/vendor" ] || die "rust-web-src has no vendored crates: is it older than the compiler?"
  say "building std of $("$RUSTC" -V) for $target"
  commit=$("$RUSTC" -vV | sed -n 's/^commit-hash: //p')
  # Paths as in the official builds; where two prefixes fit, the last one counts.
  flags=(-Zforce-unstable-if-unmarked -Cembed-bitcode=yes
         "--remap-path-prefix=$sources=/rustc/$commit" "--remap-path-prefix=$sources/library/vendor=/rust/deps")
  cd "$PREFIX"
  env -u RUSTFLAGS -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET RUSTC="$RUSTC" RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DIST_DEBUG=0 \
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; echo "${flags[*]}")" \
    cargo build -q --locked --offline -Zavoid-dev-deps -j "${JOBS:-$(nproc)}" --profile dist --target "$target" \
      --config 'source.crates-io.replace-with="vendored-sources"' \
      --config "source.vendored-sources.directory=\"$sources/library/vendor\"" \
      --manifest-path "$sources/library/sysroot/Cargo.toml" --target-dir "$PREFIX/std" \
      --features 'panic-unwind backtrace' 2> >(grep -v -e 'dropping unsupported crate type' -e '^$' >&2 || true)
  lib=$USR/lib/rustlib/$target/lib
  rm -rf "$lib" "$lib.new"
  mkdir -p "$lib.new"
  cp "$PREFIX/std/$target/dist/deps/"*.rlib "$lib.new/"
  rm -f "$lib.new"/libsysroot-*
  mv "$lib.new" "$lib"
  rm -rf "$PREFIX/std"
}

[ -x "$RUSTC" ] || toolchain
for target; do has_std "$target" || build_std "$target"; done
echo "$RUSTC"
