#!/usr/bin/env bash
# Runs the tests on a build that counts, and shows which lines and branches of core they reached. Branches that only
# an exception takes do not count: nothing here throws. Usage: coverage.sh BUILD_FOLDER [PATTERN]
# Processes that a test kills count nothing.
set -u
out=$1
cd "$(dirname "$0")/../.." || exit 2
find "$out" -name '*.gcda' -delete
tests/run.sh "$@"
status=$?
mkdir -p "$out/report"
gcovr --root . --object-directory "$out" --filter 'core/' --exclude-throw-branches --exclude-unreachable-branches \
  --html-details "$out/report/index.html" --print-summary --sort-uncovered "$out/core" || exit 1
echo "The report: $out/report/index.html"
exit $status
