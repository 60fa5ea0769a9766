#!/usr/bin/env bash
# Folders: renamed whole, and listed as they are, from memory or not.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_a_renamed_folder_is_one_line() {
  with_folder
  stagefs commit t/r:w -m first > /dev/null
  check "mv of a folder" mv "$MNT/drop" "$MNT/moved"
  equals "is one line" "R  drop -> moved (3 files)" "$(status)"
  equals "--expand shows each file" 6 "$(stagefs status --expand t/r:w | grep -c '^[AD]  ')"
}
test_unstage_brings_a_renamed_folder_back() {
  with_folder
  stagefs commit t/r:w -m first > /dev/null
  mv "$MNT/drop" "$MNT/moved"
  check "unstage brings it back" stagefs unstage t/r:w moved
  check "the mount sees it within a second" eventually test -f "$MNT/drop/cat"
  check "and no longer the other" eventually test ! -e "$MNT/moved"
}

# A folder whose names the kernel knows is listed from memory, until anything changes.
many_names() {
  mounted
  seq -f "$CAT  many/%04.0f" 0 2499 | stagefs stage t/r:w - > /dev/null
  eventually test -e "$MNT/many/0001" && stat "$MNT"/many/* > stats && listed > listing || echo "not ok - there are not many names"
}
listed() { ls -l "$MNT/many" > /dev/null && ls "$MNT/many"; }
in_core() { stagefs ls t/r:w many | awk '{ print $NF }'; }
agrees() { # WHAT COMMAND…: after it has run, listings agree with core, each time.
  local what=$1 i
  shift
  check "$what" "$@"
  for i in 1 2 3; do equals "is listed, time $i" "$(in_core | md5sum)" "$(listed | md5sum)"; done
}
test_many_names_are_listed() {
  many_names
  agrees "names that are looked up" sh -c "stat $MNT/many/* > stats"
  check "many names go" rm -r "$MNT/many"
  check "with their folder" test ! -e "$MNT/many"
}
test_a_listing_after_own_changes() {
  many_names
  agrees "a name that goes" rm "$MNT/many/0700"
  agrees "a link" ln "$MNT/many/0001" "$MNT/many/link"
  agrees "a rename" mv "$MNT/many/0002" "$MNT/many/renamed"
  agrees "a new file" cp data/dog "$MNT/many/new"
  agrees "a symbolic link by hash" ln -s "$DOG3" "$MNT/many/by-hash"
  agrees "a manifest that is dropped" sh -c "echo '$CAT  dropped' > $MNT/.stagefs/inbox/many/in.sum"
}
test_a_listing_after_others_changes() {
  many_names
  agrees "what another process stages" stage_elsewhere many/theirs "$CAT"
  agrees "what another process removes" stagefs rm t/r:w many/0003
}
test_a_file_that_is_being_written_is_listed() {
  many_names
  exec 8> "$MNT/many/open"
  check "a file that is being written is listed" sh -c "ls $MNT/many | grep -qx open"
  rm "$MNT/many/open"
  check "and no longer when it is removed" sh -c "! ls $MNT/many | grep -qx open"
  exec 8>&-
}
test_a_small_buffer_and_names_that_go() {
  mounted
  check "a listing of 2 KiB at a time, whose names are removed, goes on right after them" python3 - "$MNT" <<'PY'
import ctypes, os, struct, sys
os.chdir(sys.argv[1]); os.mkdir('d'); libc = ctypes.CDLL(None, use_errno=True)
for i in range(300): open('d/' + 'x' * 130 + str(i), 'w').close()
def listed(fd):  # As musl's readdir() does it.
    buffer = ctypes.create_string_buffer(2048)
    while (size := libc.syscall(217, fd, buffer, len(buffer))) > 0:
        at, names = 0, []
        while at < size:
            inode, offset, length = struct.unpack_from('QQH', buffer, at)
            names.append((buffer.raw[at + 19:at + length].split(b'\0')[0].decode(), offset, inode)); at += length
        yield [name for name in names if name[0] not in ('.', '..')]
    assert size == 0, ctypes.get_errno()
fd = os.open('d', os.O_RDONLY)
names = [name for page in listed(fd) for name in page]
assert len(names) == len(set(name for name, _, _ in names)) == 300, len(names)
assert all(os.stat('d/' + name).st_ino == inode for name, _, inode in names)
os.remove('d/' + names[50][0])
for descriptor in fd, os.open('d', os.O_RDONLY):
    os.lseek(descriptor, names[119][1], os.SEEK_SET)
    assert [name for page in listed(descriptor) for name, _, _ in page] == [name for name, _, _ in names[120:]]
for page in listed(os.open('d', os.O_RDONLY)):
    for name, _, _ in page: os.remove('d/' + name)
os.rmdir('d')
PY
}
test_inodes_are_the_same_after_a_remount() {
  with_folder
  mkdir -p "$MNT/a/b" && echo 1 > "$MNT/a/b/c"
  stagefs commit t/r:w -m all > /dev/null
  inodes() { (cd "$MNT" && find . -printf '%i %p\n' | LC_ALL=C sort -k 2); }
  inodes > before
  unmount_w && mount_w
  cat "$MNT/drop/dog" > /dev/null
  equals "inodes are the same" "$(cat before)" "$(inodes)"
  inode=$(stat -c %i "$MNT/drop/cat") && mv "$MNT/drop/cat" "$MNT/drop/renamed" && echo new > "$MNT/drop/cat"
  equals "a renamed file keeps its own" "$inode" "$(stat -c %i "$MNT/drop/renamed")"
  check "another file at the old name has another" test "$inode" != "$(stat -c %i "$MNT/drop/cat")"
}
test_names_that_would_control_a_terminal() {
  mounted
  (cd "$MNT" && echo > $'a\n-  false' && echo > $'b\e[31m' && ln -s $'x\e[32m' $'l\xc2\x9b31m')
  quoted() { ! stagefs "$@" 2>&1 | LC_ALL=C grep -aE $'\e|^-  false|^two|\xc2\x9b'; }
  check "status quotes them" quoted status t/r:w
  check "diff quotes them" quoted diff t/r:w
  check "ls quotes them" quoted ls t/r:w
  check "commit quotes them" quoted commit t/r:w -m $'one\ntwo\e[31m'
  check "log quotes them" quoted log t/r
}
run_cases
