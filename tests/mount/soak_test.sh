#!/usr/bin/env bash
# A mixed load for SOAK_SECONDS (default 20; a real soak is 1,200 or more).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if [ "${HTTP:-1}" = 1 ]; then
  shows "a mixed load does not make the daemon grow" python3 -B "$TOP/tests/mount/soak.py" "$STAGEFS_BINARY" "${SOAK_SECONDS:-20}"
else
  skip "a soak" "some of its load comes by HTTP"
fi
