#!/bin/sh
# Compile amx_check.c on Linux, with the flags of setup.py: sh scripts/amx_check.sh PROGRAM. Then run PROGRAM where the
# processor has AMX.
set -e
cd "$(dirname "$0")/.."
made=$(mktemp -d)
level="-O3 -std=c11 -ffp-contract=off -fno-math-errno -fno-trapping-math -mfma -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16"
${CC:-cc} $level -mamx-tile -mamx-bf16 -DPRODUCT=by_processor -c scripts/amx_check.c -o "$made/by_processor.o"
${CC:-cc} $level -DMG_AMX_IN_C -DPRODUCT=in_c -c scripts/amx_check.c -o "$made/in_c.o"
${CC:-cc} -O2 -std=c11 -static scripts/amx_check.c microgpt_simd/team.c "$made"/*.o -lm -pthread -o "$1"
rm -r "$made"
