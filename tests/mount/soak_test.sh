#!/usr/bin/env bash
# A mixed load for a while: SOAK_SECONDS (default 20; a real soak is 1200 or more).
set -u
: "${STAGEFS_BINARY:?run through tests/run.sh}"
[ "$HTTP" = 1 ] || { echo "skip - a soak: without HTTP"; exit 0; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if python3 "$(dirname "$0")/soak.py" "$STAGEFS_BINARY" "${SOAK_SECONDS:-20}" > "$log" 2>&1; then
  echo "ok - a mixed load does not make the daemon grow"
else
  echo "not ok - a mixed load does not make the daemon grow"
fi
sed 's/^/  /' "$log"
