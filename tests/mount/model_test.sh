#!/usr/bin/env bash
# Random operations through all doors beside a plain map: MODEL_OPERATIONS of them (default 12,000).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
operations=${MODEL_OPERATIONS:-12000}
if [ "${HTTP:-1}" = 1 ]; then
  shows "$operations random operations through all doors leave what a plain map says" \
    python3 -B "$TOP/tests/mount/model.py" "$STAGEFS_BINARY" "$operations" ${MODEL_SEED:+"$MODEL_SEED"}
else
  skip "random operations beside a plain map" "some come by HTTP"
fi
