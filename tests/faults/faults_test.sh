#!/usr/bin/env bash
# The power goes, the process is killed, the disk fails: at any change of the disk that a mixed load makes.
# FAULT_CUTS, FAULT_SHARE and FAULT_CROSSINGS=1 ask for more than a quick look; FAULT_SEED replays one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
here=$TOP/tests/faults
case ${BUILD:-release} in asan | tsan) skip "power cuts and failing disks" "what is preloaded does not go with a sanitizer"; exit 0 ;; esac
[ "${HTTP:-1}" = 1 ] || { skip "power cuts and failing disks" "the load posts by HTTP, too"; exit 0; }
cd "$WORK" || exit 1
check "what writes the changes down" cc -O1 -Wall -Wextra -Werror -shared -fPIC -o disk.so "$here/disk.c" -ldl
shows "what was acknowledged is there after ${FAULT_CUTS:-150} cuts" \
  python3 -B "$here/cuts.py" "$STAGEFS_BINARY" "$WORK/disk.so" 120 "${FAULT_CUTS:-150}" ${FAULT_SEED:+"$FAULT_SEED"}
shows "a disk that fails is told, and nothing else is harmed" \
  python3 -B "$here/failures.py" "$STAGEFS_BINARY" "$WORK/disk.so" "${FAULT_SHARE:-0.1}" ${FAULT_SEED:+"$FAULT_SEED"}
shows "a crash after a crash, and trouble while recovering, end as recovery does" \
  python3 -B "$here/recovery.py" "$STAGEFS_BINARY" "$WORK/disk.so" "${FAULT_SHARE:-0.03}" ${FAULT_SEED:+"$FAULT_SEED"}
shows "two doors on one path leave what was acknowledged last, wherever a kill comes" \
  python3 -B "$here/crossings.py" "$STAGEFS_BINARY" "${FAULT_CROSSINGS:-10}" ${FAULT_SEED:+"$FAULT_SEED"}
unset STAGEFS_INDEX STAGEFS_VERSIONS
chmod 755 "$WORK"  # PostgreSQL becomes another user.
start_postgres "$WORK"
DAEMONS=$postgres
shows "a repository that moves is all there, wherever it is killed, and whoever else is alive" \
  python3 -B "$here/moves.py" "$STAGEFS_BINARY" "$WORK/disk.so" "$postgres_url" "${FAULT_SHARE:-0.02}" ${FAULT_SEED:+"$FAULT_SEED"}
