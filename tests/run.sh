#!/usr/bin/env bash
# Runs tests and adds them up. Usage: tests/run.sh BUILD_FOLDER [PATTERN]: those whose name contains it (tests/names.sh), of
# the unit tests those with such a name or tag; `unit` means all of these.
# TOOLS=1 runs the longer tests instead: programs, file managers in real windows, and the POSIX suites.
# Fails when a test fails, or when a mount, a process or a temporary file is left. Only what this run itself started counts:
# it is marked with STAGEFS_TEST_RUN, the run's temporary folder.
set -u
out=$(realpath "$1")
pattern=${2:-}
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tests/names.sh
. tests/names.sh
export STAGEFS_BINARY=$out/stagefs BUILD=${BUILD:-release} HTTP=${HTTP:-1}
folder=$(mktemp -d "${TMPDIR:-/tmp}/stagefs-test-XXXXXX")
chmod 755 "$folder"  # PostgreSQL becomes another user.
log=$folder.log
export TMPDIR=$folder STAGEFS_TEST_RUN=$folder
# Sanitizers end with a status of their own, so that no test takes a report for an ordinary failure.
export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99:detect_leaks=1} UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99:die_after_fork=0}

# Processes of this run, but for this script's own, which got no mark.
processes() {
  { pgrep -f -- "$folder/"
    env -u STAGEFS_TEST_RUN grep -lszF "STAGEFS_TEST_RUN=$folder" /proc/[0-9]*/environ | cut -d/ -f3; } | sort -u
}
left() {
  grep -F " $folder/" /proc/self/mounts
  processes | while read -r pid; do echo "process $pid: $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline")"; done
  find "$folder" -mindepth 1 -maxdepth 1
}
clean_up() {
  export -n STAGEFS_TEST_RUN
  processes | xargs --no-run-if-empty kill 2> /dev/null
  grep -F " $folder/" /proc/self/mounts | cut -d' ' -f2 | while read -r path; do umount -l "$path" || fusermount3 -uz "$path"; done
  chmod -R u+w "$folder"
  rm -rf "$folder" "$log"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 skipped=0
scripts=(tests/checks/*.sh tests/mount/*_test.sh tests/faults/*_test.sh tests/fuzz/*_test.sh tests/http/*_test.sh tests/upgrade/*_test.sh)
# What is not about a repository's places is the same wherever they are.
[ -z "${STAGEFS_TEST_PLACES:-}" ] || scripts=(tests/mount/*_test.sh tests/http/*_test.sh)
[ "${TOOLS:-0}" = 0 ] || scripts=(tests/programs/*_test.sh tests/desktop/*_test.sh tests/posix/*_test.sh)
[ "${CLUSTER:-0}" = 0 ] || scripts=(tests/cluster/*_test.sh)

# run_units SPEC…: unit tests that Catch2 knows by this.
run_units() {
  echo "== unit_tests"
  timeout 1800 "$out/unit_tests" "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  cases=$(sed -nE 's/^All tests passed \(.* in ([0-9]+) test cases?\)$/\1 0/p; s/^test cases: +[0-9]+ \| +([0-9]+) passed.*\| +([0-9]+) failed.*/\1 \2/p; s/^test cases: +[0-9]+ \| +([0-9]+) failed.*/0 \1/p' "$log" | tail -n 1)
  read -r good bad <<< "${cases:-0 1}"
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  passed=$((passed + good)) failed=$((failed + bad))
}
run_script() {
  echo "== $1"
  local began=$SECONDS
  CASE=$pattern timeout 3600 bash "$1" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  bad=$(grep -c '^not ok' "$log")
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    echo "not ok - $1 ended with status $status"
    bad=1
  fi
  passed=$((passed + $(grep -c '^ok' "$log"))) failed=$((failed + bad))
  skipped=$((skipped + $(grep -c '^skip' "$log")))
  echo "-- $((SECONDS - began)) s"
}

if [ "${TOOLS:-0}${CLUSTER:-0}" = 00 ]; then
  # Some tests look into the folders of an embedded repository.
  not=${STAGEFS_TEST_PLACES:+"~[embedded]"}
  if [ -z "$pattern" ] || [ "$pattern" = unit ]; then
    run_units ${not:+"$not"}
  else
    named=$(sed 's/[][,\\"]/\\&/g' <<< "$pattern") spec=
    for way in "*$named*$not" "[$named]$not"; do
      ! "$out/unit_tests" --list-tests "$way" | grep -qE '^[1-9][0-9]* (matching )?test case' || spec=${spec:+$spec,}$way
    done
    [ -z "$spec" ] || run_units "$spec"
  fi
fi
for script in "${scripts[@]}"; do
  [ "$script" != tests/checks/asan_works.sh ] || continue
  [ "$HTTP" = 1 ] || [[ $script != tests/http/* ]] || continue
  if means "$pattern" "$script"; then run_script "$script"; fi
done

export -n STAGEFS_TEST_RUN
# A daemon that was told to end may be ending still.
for _ in $(seq 50); do
  new=$(left)
  [ -n "$new" ] || break
  read -r -t 0.1 _ <> <(:) || :
done
if [ -n "$new" ]; then
  echo "not ok - the tests left something behind:"
  sed 's/^/  /' <<< "$new"
  failed=$((failed + 1))
fi
echo
[ $((passed + failed + skipped)) -gt 0 ] || echo "nothing is named like '$pattern'"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
