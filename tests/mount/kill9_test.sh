#!/usr/bin/env bash
# kill -9 at random moments: KILL_ROUNDS of them (default 200; 20 under a sanitizer); KILL_SEED replays them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rounds=${KILL_ROUNDS:-$([ "${BUILD:-release}" = release ] && echo 200 || echo 20)}
shows "everything acknowledged survives $rounds kills" \
  python3 -B "$TOP/tests/mount/kill9.py" "$STAGEFS_BINARY" "$rounds" ${KILL_SEED:+"$KILL_SEED"}
if [ -z "${STAGEFS_INDEX:-}" ]; then
  shows "also while another process has long turns" \
    env HOLD=1 python3 -B "$TOP/tests/mount/kill9.py" "$STAGEFS_BINARY" $((rounds / 10)) ${KILL_SEED:+"$KILL_SEED"}
else
  skip "also while another process has long turns" "the turns are SQLite's"
fi
