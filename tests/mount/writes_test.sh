#!/usr/bin/env bash
# Writing: what is staged, when, and with which times and modes.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"
in_store() { find "$STAGEFS_ROOT/t/r/versions" "$STAGEFS_ROOT/t/r/cache" -type f -name "${1#??}" 2> /dev/null | wc -l; }

test_a_written_file_is_staged_at_close() {
  mounted
  check "cp" cp data/cat "$MNT/w"
  equals "it is staged" "A  w" "$(status)"
  equals "content that is known adds nothing to the store" 1 "$(in_store "$CAT")"
}
test_many_files_are_open_at_once() {
  versions
  mount_with_few_files() { (ulimit -Sn 100 && mount_w); }
  check "mount in the background returns once the mount answers" mount_with_few_files
  check "many files can be open, whatever the shell's limit" python3 -c '
import sys
files = [open(f"{sys.argv[1]}/open{i}", "w") for i in range(200)]
for file in files: file.write("x"); file.flush()
for file in files: file.close()' "$MNT"
}
test_redirection_and_append() {
  mounted
  check "redirection, append and read back" sh -c "(echo one; echo two) > $MNT/r; echo three >> $MNT/r; printf 'one\ntwo\nthree\n' | cmp - $MNT/r"
}
test_truncate_by_path() {
  mounted
  echo one > "$MNT/r"
  check "truncate by path" sh -c "truncate -s 3 $MNT/r && printf one | cmp - $MNT/r"
  equals "is staged at once" "$(printf one | sha256sum | cut -d' ' -f1)" "$(xattr sha256 "$MNT/r")"
}
test_an_empty_file() {
  mounted
  check "an empty new file" sh -c ": > $MNT/empty && test -f $MNT/empty && test ! -s $MNT/empty"
  check "it is staged" eventually sh -c "$STAGEFS_BINARY status t/r:w | grep -qx 'A  empty'"
}
test_in_the_middle_and_behind_the_end() {
  mounted
  cp data/cat "$MNT/w"
  check "write in the middle" sh -c "printf X | dd of=$MNT/w bs=1 seek=1 conv=notrunc status=none && printf 'cXt\n' | cmp - $MNT/w"
  check "holes" sh -c "truncate -s 100000 $MNT/hole && printf end >> $MNT/hole && test \$(stat -c %s $MNT/hole) = 100003"
  check "fallocate" sh -c "fallocate -l 5000 $MNT/alloc && test \$(stat -c %s $MNT/alloc) = 5000"
}
# Kilobytes.
taken() { du -sk "$@" | cut -f1; }
are_few() { [ "$1" -lt 20000 ] || { echo "  $1 KB"; return 1; }; }
test_holes_stay_holes() {
  mounted
  truncate -s 100M "$MNT/image"
  check "a hole takes no room" are_few "$(taken "$MNT/image")"
  printf x | dd of="$MNT/image" bs=1 seek=50M conv=notrunc status=none
  check "nor around a byte" are_few "$(taken "$MNT/image")"
  check "nor in the store" are_few "$(taken "$STAGEFS_ROOT")"
  cp "$MNT/image" "$MNT/copy" && head -c 100M /dev/zero > zeros && cp --sparse=always zeros "$MNT/zeros"
  tar -C "$MNT" -Scf holes.tar image && mkdir "$MNT/out" && tar -C "$MNT/out" -xSf holes.tar
  check "nor copied, made by cp or in an archive" are_few "$(taken "$MNT/copy" "$MNT/zeros" "$MNT/out" holes.tar | sort -n | tail -1)"
  truncate -s 200M local && printf y >> local && stagefs put t/r local > sum && ln "$MNT/.stagefs/versions/$(cut -d' ' -f1 sum)" "$MNT/put"
  check "nor what is put" are_few "$(taken "$MNT/put" "$STAGEFS_ROOT" | sort -n | tail -1)"
  check "unmount" unmount_w && mount_w
  check "another mount says so, too" are_few "$(taken "$MNT/image" "$MNT/copy" "$MNT/put" | sort -n | tail -1)"
  check "what is sought is found" python3 - "$MNT/image" "$MNT/.stagefs/versions/$(xattr sha256 "$MNT/image")" "$MNT/copy" << 'EOF'
import os, sys
for path in sys.argv[1:]:
    file = os.open(path, os.O_RDONLY)
    size, at = 100 << 20, 50 << 20
    assert os.fstat(file).st_size == size
    assert os.lseek(file, 0, os.SEEK_HOLE) == 0 and os.lseek(file, at, os.SEEK_DATA) == at, path
    assert 0 < os.lseek(file, 0, os.SEEK_DATA) <= at < os.lseek(file, at, os.SEEK_HOLE) <= at + (1 << 20), path
    assert os.pread(file, 3, at - 1) == b"\0x\0" and os.pread(file, 1, size - 1) == b"\0", path
EOF
  check "nothing is damaged" stagefs fsck t/r
}
test_dd_with_fsync() {
  mounted
  check "dd with fsync" dd if=data/big of="$MNT/dd" bs=64k conv=fsync status=none
  check "dd gave the same bytes" cmp data/big "$MNT/dd"
}
test_names() {
  mounted
  refuses "a directory is not a file" "Is a directory" sh -c "echo x > $MNT"
  check "255-byte names work" touch "$MNT/$(printf 'n%.0s' $(seq 255))"
  refuses "256-byte names do not" "too long" touch "$MNT/$(printf 'n%.0s' $(seq 256))"
  check "names that are not UTF-8 work" sh -c "printf x > \"$MNT/\$(printf 'a\377b')\" && ls $MNT | grep -q a"
}
test_times_are_kept() {
  mounted
  check "times are kept to the nanosecond" sh -c "touch -d '2001-02-03 04:05:06.123456789 UTC' $MNT/t && test \"\$(TZ=UTC stat -c %y $MNT/t)\" = '2001-02-03 04:05:06.123456789 +0000'"
}
# later FILE COMMAND…: it sets the file's times.
later() {
  touch -h -d @1000 "$1"
  equals "the time of $2 is kept" 1000 "$(stat -c %Y "$1")"
  "${@:2}"
  check "$2 sets the time" test "$(stat -c %Y "$1")" -gt 1000
}
test_times_of_what_stays_as_it_is() {
  mounted
  printf 12345 > "$MNT/five" && : > "$MNT/empty" && ln -s five "$MNT/link"
  stagefs commit t/r:w -m base > /dev/null
  later "$MNT/five" truncate -s 5 "$MNT/five"
  later "$MNT/five" python3 -c 'import sys; file = open(sys.argv[1], "r+"); file.truncate(5)' "$MNT/five"
  later "$MNT/empty" sh -c ": > $MNT/empty"
  later "$MNT/link" touch -h "$MNT/link"
  touch -h -d @2000 "$MNT/link" && touch -d @3000 "$MNT/five"
  check "unmount" unmount_w && mount_w
  equals "a link's own is kept, too" "2000 3000" "$(stat -c %Y "$MNT/link" "$MNT/five" | xargs)"
  equals "nothing is staged by it" "" "$(status | grep -v link)"
}
test_modes_and_owners() {
  mounted
  check "the exec bit is kept" sh -c "cp /bin/true $MNT/prog && chmod 755 $MNT/prog && $MNT/prog && test \$(stat -c %a $MNT/prog) = 755"
  check "chown succeeds and changes nothing" sh -c "chown 1234 $MNT/prog && test \$(stat -c %u $MNT/prog) = $(id -u)"
  check "st_blocks is filled" test "$(stat -c %b "$MNT/prog")" -gt 0
}
modes() { (cd "$MNT" && stat -c %a "$@") | xargs; }
test_permissions_are_kept_in_the_workspace() {
  mounted -o allow_other
  cp data/cat "$MNT/base" && mkdir "$MNT/plain" && cp data/dog "$MNT/plain/dog" && stagefs commit t/r:w -m base > /dev/null
  (umask 077 && cp data/cat "$MNT/made" && mkdir "$MNT/.ssh") && cp data/cat "$MNT/.ssh/key"
  install -m 4751 data/cat "$MNT/tool" && chmod 600 "$MNT/base" "$MNT/.ssh/key" && chmod 0 "$MNT/plain"
  equals "what is made and what is set" "600 700 600 751 600 0" "$(modes made .ssh .ssh/key tool base plain)"
  equals "an unchanged file stays unchanged" "A  .ssh/key A  made A  tool" "$(status | xargs -d'\n')"
  check "who else looks on" mkdir mnt2
  check "has a mount" stagefs mount t/r:w "$WORK/mnt2"
  equals "it shows them" "600 751 600 0" "$(cd mnt2 && stat -c %a made tool base plain | xargs)"
  check "they are set there" chmod 640 "$WORK/mnt2/made"
  check "and seen here" eventually sh -c "test \$(stat -c %a $MNT/made) = 640"
  echo more >> "$MNT/made" && mv "$MNT/made" "$MNT/moved" && ln "$MNT/moved" "$MNT/linked" && cp -p "$MNT/moved" "$MNT/copied"
  equals "who writes, renames, links and copies keeps them" "640 640 640" "$(modes moved linked copied)"
  check "what the mount shows anyway is nothing of its own" chmod 644 "$MNT/linked"
  equals "so it keeps nothing" 0 "$(sql 'SELECT count(*) FROM staged_entry WHERE permissions = 420')"  # 0644
  check "unmount" unmount_w && mount_w -o umask=002,allow_other
  equals "another mount, with other masks" "640 664 700 600 751 600 0" "$(modes moved linked .ssh .ssh/key tool base plain)"
  check "a commit has the exec bit alone" stagefs commit t/r:w -m all
  check "which the mount shows" eventually sh -c "test \$(stat -c %a $MNT/moved) = 664"
  equals "for all that it committed, and the unchanged keep theirs" "664 775 664 775 600 0" \
    "$(modes moved .ssh .ssh/key tool base plain)"
  check "the other mount, too" eventually sh -c "test \"\$(cd mnt2 && stat -c %a moved .ssh .ssh/key tool base plain | xargs)\" = '644 755 644 755 600 0'"
  check "the other mount ends" stagefs unmount "$WORK/mnt2"
}
test_permissions_that_nobody_asked_for_are_the_mounts() {
  mounted -o umask=007
  (umask 022 && cp data/cat "$MNT/cat" && mkdir "$MNT/folder" && umask 077 && mkdir "$MNT/mine" && : > "$MNT/key")
  equals "as umask= says, or less" "660 770 700 600" "$(modes cat folder mine key)"
}
test_what_cannot_be_made() {
  mounted
  refuses "no devices" "not permitted" mknod "$MNT/dev" c 1 3
  refuses "no trash" "not permitted" mkdir "$MNT/.Trash-0"
}
test_statfs() {
  mounted
  if [ -n "${STAGEFS_VERSIONS:-}" ]; then
    skip "statfs is the store's" "the versions are in S3"
  else
    equals "statfs is the store's" "$(stat -f -c %b "$STAGEFS_ROOT")" "$(stat -f -c %b "$MNT")"
  fi
}
test_scratch_names() {
  mounted
  echo j > "$MNT/.DS_Store" && echo j > "$MNT/x.part" && echo j > "$MNT/y.part"
  equals "a scratch name is kept and not staged, an unfinished file is where no finished one is beside it" 2 \
    "$(status | grep -cx 'A  [xy].part')"
  : > "$MNT/y"
  equals "once there is one it is scratch" "?  .DS_Store ?  y.part" "$(status | sed -n 's/ (scratch, never staged)//p' | xargs -d'\n')"
  mv "$MNT/x.part" "$MNT/x"
  check "renamed to a real name it is staged" sh -c "$STAGEFS_BINARY status t/r:w | grep -qx 'A  x'"
}
test_nothing_is_left_in_incoming() {
  with_folder
  echo x > "$MNT/x" && rm "$MNT/x"
  check "unmount" unmount_w
  equals "nothing is left in incoming" "" "$(ls -A "$STAGEFS_ROOT/t/r/incoming")"
  check "fsck" stagefs fsck t/r
}
run_cases
