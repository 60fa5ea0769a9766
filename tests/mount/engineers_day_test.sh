#!/usr/bin/env bash
# The day's work of README.md with DAY_FILES files (50,000; fewer where each is an object in S3, and with sanitizers): how long it
# takes, and how many processes.
# In memory where a gigabyte of it is free: this is about stagefs, not about how quick a disk makes and forgets files.
room=$(df --output=avail -k /dev/shm 2> /dev/null | tail -n 1)
[ "${room:-0}" -lt 1000000 ] || export TMPDIR=/dev/shm
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
files=50000
[ -z "${STAGEFS_VERSIONS:-}" ] || files=2000
[ "${BUILD:-release}" = release ] || files=5000
day() { python3 -B "$TOP/tests/mount/engineers_day.py" "$1" "${DAY_FILES:-$files}" "$TOP/README.md"; }
day make && day run || echo "not ok - engineers_day.py ended with status $?"
