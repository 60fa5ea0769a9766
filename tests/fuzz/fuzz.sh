#!/usr/bin/env bash
# Fuzzes each target for SECONDS_EACH (default 600), with AddressSanitizer and UBSan; what it finds is in build/fuzz/.
# Usage: tests/fuzz/fuzz.sh BUILD_FOLDER [TARGET…]
set -eu
fuzzer=$(realpath "$1")/fuzz
shift
cd "$(dirname "$0")/corpus"
[ $# -gt 0 ] || set -- *
found=0
for target in "$@"; do
  mkdir -p "../../../build/fuzz/$target"
  (
    cd "../../../build/fuzz/$target"
    mkdir -p corpus
    FUZZ_TARGET=$target "$fuzzer" -max_total_time="${SECONDS_EACH:-600}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      corpus "../../../tests/fuzz/corpus/$target" > log 2>&1
  ) && result="nothing found" || { result="FOUND SOMETHING: see build/fuzz/$target/log" found=1; }
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "../../../build/fuzz/$target/log") inputs, $result"
done
exit $found
