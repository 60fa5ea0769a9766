#!/usr/bin/env bash
# The kept inputs of each fuzzing target, run once.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "${HTTP:-1}" = 1 ] || { skip "fuzzing inputs" "the fuzzer covers HTTP, too"; exit 0; }
for corpus in "$TOP"/tests/fuzz/corpus/*; do
  export FUZZ_TARGET=${corpus##*/}
  check "$FUZZ_TARGET: $(find "$corpus" -type f | wc -l) inputs" "$(dirname "$STAGEFS_BINARY")/fuzz" "$corpus"/*
done
