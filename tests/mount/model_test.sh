#!/usr/bin/env bash
# Random operations through all doors beside a plain map. A million: tests/mount/model.py BINARY 1000000 [SEED].
set -u
: "${STAGEFS_BINARY:?run through tests/run.sh}"
[ "$HTTP" = 1 ] || { echo "skip - random operations beside a plain map: without HTTP"; exit 0; }
operations=${MODEL_OPERATIONS:-12000}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if python3 "$(dirname "$0")/model.py" "$STAGEFS_BINARY" "$operations" > "$log" 2>&1; then
  echo "ok - $operations random operations through all doors leave what a plain map says"
else
  echo "not ok - $operations random operations through all doors leave what a plain map says"
fi
sed 's/^/  /' "$log"
