#!/usr/bin/env bash
# wine-shim.sh: gives the Wine of Debian 12 (8.0) the one library that a Rust program needs and it lacks, bcryptprimitives.dll, from
# whose only function the standard library takes random bytes. Without it every Rust program ends at once with status 53.
#
#   WINEPREFIX   Wine's folder; it is made if it is not there
set -euo pipefail

wine=/usr/lib/wine/wine64
system=${WINEPREFIX:?names the folder of Wine}/drive_c/windows/system32
export WINEDEBUG=${WINEDEBUG:--all}
[ -d "$system" ] || "$wine" cmd /c exit > /dev/null 2>&1 || true
[ -d "$system" ] || { echo "wine-shim: Wine made no $system" >&2; exit 1; }
[ ! -e "$system/bcryptprimitives.dll" ] || exit 0
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cat > "$scratch/shim.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length); /* RtlGenRandom */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) { return SystemFunction036(buffer, (ULONG)length); }
C
x86_64-w64-mingw32-gcc -shared -O -s -o "$scratch/bcryptprimitives.dll" "$scratch/shim.c" -ladvapi32
cp "$scratch/bcryptprimitives.dll" "$system/"
