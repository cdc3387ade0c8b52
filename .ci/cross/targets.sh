# shellcheck shell=bash disable=SC2034,SC2154  # for those who include it; root is that of lib.sh
# The targets that are released, and what the scripts of .ci/cross and .ci/packages must know of each.
targets=(
  x86_64-unknown-linux-musl
  aarch64-unknown-linux-musl
  x86_64-pc-windows-gnu
  x86_64-apple-darwin
  aarch64-apple-darwin
)

# binary_of TARGET: where .ci/cross/build leaves the program.
binary_of() {
  local end=
  [[ $1 != *-windows-* ]] || end=.exe
  echo "$root/target/cross/$1/release/team-table$end"
}

# commit_and_date: what `team-table --version` names; TEAM_TABLE_COMMIT if it is set.
commit_and_date() {
  local mark=
  if [ -n "${TEAM_TABLE_COMMIT:-}" ]; then echo "$TEAM_TABLE_COMMIT"; return; fi
  git -C "$root" diff-index --quiet HEAD || mark=-modified
  TZ=UTC git -C "$root" log -1 --date=format-local:%F --format="%H %cd" | sed -E "s/^(.{7})[^ ]*/\1$mark/"
}
