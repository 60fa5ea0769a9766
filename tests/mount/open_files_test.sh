#!/usr/bin/env bash
# Files that are open while things happen to their names.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_a_folder_with_a_file_being_written_is_not_empty() {
  mounted
  check "a folder with a file being written is not empty" python3 - "$MNT" <<'PY'
import errno, os, sys
m = sys.argv[1]
os.mkdir(m + '/from'); os.mkdir(m + '/full')
f = open(m + '/full/new', 'w')  # Nothing is staged of it before it is closed.
for attempt in (lambda: os.rename(m + '/from', m + '/full'), lambda: os.rmdir(m + '/full')):
    try:
        attempt()
        sys.exit('it went')
    except OSError as error:
        assert error.errno == errno.ENOTEMPTY, error
f.write('kept'); f.close()
assert open(m + '/full/new').read() == 'kept'
os.remove(m + '/full/new'); os.rmdir(m + '/full'); os.rmdir(m + '/from')
PY
}
test_rename_while_it_is_written() {
  mounted
  check "rename of an open dirty file" python3 - "$MNT" <<'PY'
import os, sys
m = sys.argv[1]
f = open(m + '/one', 'w'); f.write('abc'); f.flush()
os.rename(m + '/one', m + '/two'); f.write('def'); f.close()
assert open(m + '/two').read() == 'abcdef' and not os.path.exists(m + '/one')
PY
  equals "nothing is staged under the name that went" "A  two" "$(status)"
}
test_link_and_unlink_while_it_is_written() {
  mounted
  check "a link of an open dirty file" python3 - "$MNT" <<'PY'
import os, sys
m = sys.argv[1]
f = open(m + '/three', 'w'); f.write('linked'); f.flush()
os.link(m + '/three', m + '/four'); os.unlink(m + '/three'); f.write(' more'); f.close()
assert open(m + '/four').read() == 'linked' and not os.path.exists(m + '/three')
PY
  equals "only the link is staged" "A  four" "$(status)"
}
test_a_removed_file_can_still_be_used() {
  mounted
  check "a removed file can still be used" python3 - "$MNT" <<'PY'
import os, sys
m = sys.argv[1]
f = open(m + '/five', 'w+'); f.write('gone'); f.flush(); os.unlink(m + '/five')
f.seek(0); assert f.read() == 'gone'; f.write('x'); f.close()
assert not os.path.exists(m + '/five')
PY
  equals "and is not staged" "" "$(status)"
}
test_a_reader_keeps_what_is_replaced() {
  mounted
  check "a reader keeps what is replaced" python3 - "$MNT" <<'PY'
import os, sys
m = sys.argv[1]
g = open(m + '/old', 'w'); g.write('old'); g.close()
r = open(m + '/old'); open(m + '/new', 'w').write('new'); os.rename(m + '/new', m + '/old')
assert r.read() == 'old' and open(m + '/old').read() == 'new'
PY
  equals "one file is staged" "A  old" "$(status)"
}
test_mmap_writes_after_close() {
  mounted
  check "mmap writes after close are staged" python3 - "$MNT" <<'PY'
import mmap, os, sys
p = sys.argv[1] + '/map'
fd = os.open(p, os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8192)
m = mmap.mmap(fd, 8192); os.close(fd); m[0:5] = b'hello'; m[8187:8192] = b'world'; m.flush(); m.close()
data = open(p, 'rb').read(); assert data[:5] == b'hello' and data[-5:] == b'world', data[:8]
PY
  check "they are in the store" eventually sh -c "test \$(getfattr --absolute-names --only-values -n user.stagefs.sha256 $MNT/map) = \$(sha256sum < $MNT/map | cut -d' ' -f1)"
}
test_rename_noreplace_and_exchange() {
  mounted
  check "RENAME_NOREPLACE and EXCHANGE" python3 - "$MNT" <<'PY'
import ctypes, os, sys
m = sys.argv[1]; c = ctypes.CDLL(None, use_errno=True)
def ren(a, b, flags): return c.renameat2(-100, a.encode(), -100, b.encode(), flags)
open(m + '/x', 'w').write('x'); open(m + '/y', 'w').write('y')
assert ren(m + '/x', m + '/y', 1) == -1 and ctypes.get_errno() == 17
assert ren(m + '/x', m + '/y', 2) == 0 and open(m + '/x').read() == 'y' and open(m + '/y').read() == 'x'
PY
}
test_readers_see_what_is_being_written() {
  mounted
  exec 8> "$MNT/busy"
  echo now >&8
  exec 9<> "$MNT/busy2"
  printf half >&9
  equals "readers see what is being written" half "$(cat "$MNT/busy2")"
  exec 8>&- 9>&-
}
run_cases
