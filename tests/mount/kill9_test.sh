#!/usr/bin/env bash
# kill -9 at random moments: KILL_ROUNDS of them (default 200; 20 under a sanitizer).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rounds=${KILL_ROUNDS:-$([ "${BUILD:-release}" = release ] && echo 200 || echo 20)}
if python3 "$(dirname "$0")/kill9.py" "$STAGEFS_BINARY" "$rounds" ${KILL_SEED:+"$KILL_SEED"}; then
  echo "ok - everything acknowledged survives $rounds kills"
else
  echo "not ok - something acknowledged was lost; KILL_SEED replays it"
fi
