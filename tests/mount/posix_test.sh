#!/usr/bin/env bash
# What POSIX and Linux promise of a folder beyond what the other tests here show; the suites are in tests/posix.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
mount_w
python3 "$here/posix.py" "$MNT"
check "it can be removed" sh -c "rm -r $MNT/* && test -z \"\$(ls -A $MNT)\""
equals "and nothing of it is staged" "" "$(stagefs status t/r:w)"
check "the mount ends" unmount_w
