#!/usr/bin/env bash
# Runs the tests on a build that counts, and shows which lines and branches of core they reached. Not counted: branches
# that only an exception takes (nothing here throws), and the one that passes an error on to the caller
# (STAGEFS_RETURN_IF_ERROR), which the tests of failing disks take at random. Processes that a test kills count nothing.
# Usage: coverage.sh BUILD_FOLDER [PATTERN]
set -u
out=$1
cd "$(dirname "$0")/../.." || exit 2
find "$out" -name '*.gcda' -delete
tests/run.sh "$@"
status=$?
mkdir -p "$out/report"
gcovr --root . --object-directory "$out" --filter 'core/' --exclude-throw-branches --exclude-unreachable-branches \
  --exclude-branches-by-pattern '.*STAGEFS_(ASSIGN_OR_RETURN|RETURN_IF_ERROR).*' \
  --html-details "$out/report/index.html" --print-summary --sort-uncovered "$out/core" || exit 1
echo "The report: $out/report/index.html"
exit $status
