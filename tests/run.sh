#!/usr/bin/env bash
# Runs every test and adds them up. Usage: tests/run.sh BUILD_FOLDER [PATTERN]
# TOOLS=1 runs the longer tests instead: programs, file managers in real windows, and the POSIX suites.
# Fails when a test fails, or when a mount, a process or a temporary file is left.
set -u
out=$(realpath "$1")
pattern=${2:-}
cd "$(dirname "$0")/.." || exit 2
export STAGEFS_BINARY=$out/stagefs BUILD=${BUILD:-release} HTTP=${HTTP:-1}
export TMPDIR=${TMPDIR:-/tmp}
# Sanitizers end with a status of their own, so that no test takes a report for an ordinary failure.
export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99:detect_leaks=1} UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99:die_after_fork=0}

passed=0 failed=0 skipped=0
left() {
  grep -F ' fuse.stagefs ' /proc/self/mounts
  pgrep -f -- "$STAGEFS_BINARY" | while read -r pid; do echo "process $pid: $(tr '\0' ' ' < "/proc/$pid/cmdline")"; done
  find "$TMPDIR" -maxdepth 1 -name 'stagefs-test-*'
}
before=$(left)
log=$(mktemp)

scripts=(tests/checks/*.sh tests/mount/*.sh tests/faults/*_test.sh tests/fuzz/*_test.sh tests/http/*.sh)
# What is not about a repository's places is the same wherever they are.
[ -z "${STAGEFS_TEST_PLACES:-}" ] || scripts=(tests/mount/*.sh tests/http/*.sh)
[ "${TOOLS:-0}" = 0 ] || scripts=(tests/programs/*_test.sh tests/desktop/*_test.sh tests/posix/*_test.sh)
[ "${CLUSTER:-0}" = 0 ] || scripts=(tests/cluster/*_test.sh)
if [ "${TOOLS:-0}${CLUSTER:-0}" = 00 ] && { [ -z "$pattern" ] || [ "$pattern" = unit ]; }; then
  echo "== unit_tests"
  # Some tests look into the folders of an embedded repository.
  timeout 1800 "$out/unit_tests" ${STAGEFS_TEST_PLACES:+"~[embedded]"} 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  cases=$(sed -nE 's/^All tests passed \(.* in ([0-9]+) test cases?\)$/\1 0/p; s/^test cases: +[0-9]+ \| +([0-9]+) passed.*\| +([0-9]+) failed.*/\1 \2/p; s/^test cases: +[0-9]+ \| +([0-9]+) failed.*/0 \1/p' "$log" | tail -n 1)
  read -r good bad <<< "${cases:-0 1}"
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  passed=$((passed + good)) failed=$((failed + bad))
fi
for script in "${scripts[@]}"; do
  [ "$(basename "$script")" != asan_works.sh ] || continue
  [ -z "$pattern" ] || [[ $script == *$pattern* ]] || continue
  [ "$HTTP" = 1 ] || [[ $script != tests/http/* ]] || continue
  echo "== $script"
  timeout 3600 bash "$script" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  bad=$(grep -c '^not ok' "$log")
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    echo "not ok - $script ended with status $status"
    bad=1
  fi
  passed=$((passed + $(grep -c '^ok' "$log"))) failed=$((failed + bad))
  skipped=$((skipped + $(grep -c '^skip' "$log")))
done
rm -f "$log"

new=$(comm -13 <(sort <<< "$before") <(left | sort))
if [ -n "$new" ]; then
  echo "not ok - the tests left something behind:"
  sed 's/^/  /' <<< "$new"
  failed=$((failed + 1))
fi
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
