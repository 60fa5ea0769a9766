#!/usr/bin/env bash
# Copies: staged by hash where the program lets the kernel copy, else ordinary files; and the hashes that files tell.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"
bytes_read() { awk '/^bytes_read/{print $2}' "$MNT/.stagefs/stats"; }

test_a_copy_reads_no_byte() {
  mounted
  before=$(bytes_read)
  check "cp of a version" cp "$MNT/.stagefs/versions/$BIG" "$MNT/big1"
  check "cp inside the mount" cp "$MNT/big1" "$MNT/big2"
  equals "neither read a byte" "$before" "$(bytes_read)"
  check "the copies are whole" sh -c "cmp data/big $MNT/big1 && cmp data/big $MNT/big2"
}
test_a_copy_by_reading_and_writing() {
  mounted
  ln "$MNT/.stagefs/versions/$BIG" "$MNT/big1"
  check "cp with read and write" sh -c "cp --reflink=never --sparse=always $MNT/big1 $MNT/big3 && cmp data/big $MNT/big3"
  equals "two names, one version" "$BIG $BIG" "$(for f in big1 big3; do xattr sha256 "$MNT/$f"; echo; done | xargs)"
}
test_a_partial_copy_is_an_ordinary_file() {
  mounted
  ln "$MNT/.stagefs/versions/$BIG" "$MNT/big1"
  check "a partial copy is an ordinary file" sh -c "dd if=$MNT/big1 of=$MNT/part bs=1000 count=7 status=none && head -c 7000 data/big | cmp - $MNT/part"
}
test_extended_attributes() {
  mounted
  ln "$MNT/.stagefs/versions/$BIG" "$MNT/big1"
  equals "the hash" "$BIG" "$(xattr sha256 "$MNT/big1")"
  equals "the status" added "$(xattr status "$MNT/big1")"
  equals "they are not listed" "" "$(getfattr --absolute-names -d "$MNT/big1")"
  refuses "a foreign xattr cannot be set" "not supported" setfattr -n user.x -v y "$MNT/big1"
}
run_cases
