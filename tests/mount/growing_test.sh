#!/usr/bin/env bash
# Files that programs append to again and again: every line is kept, and the store does not take the file for each.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

stored_files() { find "$STAGEFS_ROOT/t/r/versions" -type f | wc -l; }
stored_bytes() { find "$STAGEFS_ROOT/t/r/versions" -type f -printf '%s\n' | awk '{s += $1} END {print s + 0}'; }
# append FROM TO: lines, each by a program of its own.
append() {
  for ((i = $1; i <= $2; ++i)); do echo "line $i of a log that is appended to" >> "$MNT/log" || return; done
}
lines() { for ((i = $1; i <= $2; ++i)); do echo "line $i of a log that is appended to"; done; }

test_appends_by_separate_programs_leave_one_version() {
  mounted
  before=$(stored_files)
  check "300 lines" append 1 300
  lines 1 300 > expected
  check "are all there" cmp expected "$MNT/log"
  check "another process sees all of it at once" \
    test "$(stagefs ls --json t/r:w log | grep -o '"size": *[0-9]*' | grep -o '[0-9]*')" = "$(wc -c < expected)"
  equals "as added" "A  log" "$(status)"
  one_is_left() { test $(($(stored_files) - before)) = 1; }
  check "in the end one version is left" eventually one_is_left
  check "the file" cmp expected "$MNT/log"
  check "fsck finds nothing" stagefs fsck t/r
}
test_appends_to_a_large_file_take_little_room() {
  mounted
  cp data/big "$MNT/log"
  before=$(($(stored_bytes) - 3000000))
  for i in {1..20}; do echo "line $i" >> "$MNT/log"; done
  { cat data/big && for i in {1..20}; do echo "line $i"; done; } > expected
  check "all is there" cmp expected "$MNT/log"
  check "and commit has it" stagefs commit -m log t/r:w
  check "the commit's file is the whole one" grep -q "$(sha256sum < expected | cut -d' ' -f1)" \
    <(stagefs ls --json t/r:w log)
  little() { test $(($(stored_bytes) - before)) -lt 7000000; }
  check "the store has two of it" eventually little
}
test_what_was_committed_or_read_by_hash_stays() {
  mounted
  append 1 1
  check "it is committed" stagefs commit -m one t/r:w
  append 2 2
  read_hash=$(xattr sha256 "$MNT/log")
  check "its next state is read by its hash" cmp "$MNT/log" "$MNT/.stagefs/versions/$read_hash"
  append 3 3
  append 4 4
  gone=$(sha256sum < <(lines 1 3) | cut -d' ' -f1)
  is_gone() { test -z "$(find "$STAGEFS_ROOT/t/r/versions" -path "*${gone:4}*")"; }
  check "the state that nobody wanted goes" eventually is_gone
  check "the one that was read is there" cmp <(lines 1 2) "$MNT/.stagefs/versions/$read_hash"
  check "the committed one" cmp <(lines 1 1) "$MNT/.stagefs/versions/$(sha256sum < <(lines 1 1) | cut -d' ' -f1)"
  check "fsck finds nothing" stagefs fsck t/r
}
test_what_is_being_copied_is_copied_whole() {
  mounted
  append 1 50
  lines 1 50 > expected
  first=$(sha256sum < expected | cut -d' ' -f1)
  is_gone() { test -z "$(find "$STAGEFS_ROOT/t/r/versions" -path "*${first:4}*")"; }
  check "it is staged" stagefs status t/r:w
  mkfifo copied go
  python3 - "$MNT" << 'PYTHON' &
import os, sys
source, copy = os.open(sys.argv[1] + "/log", os.O_RDONLY), os.open(sys.argv[1] + "/copy", os.O_WRONLY | os.O_CREAT)
while os.copy_file_range(source, copy, 1 << 20):
    pass
writer = os.open(sys.argv[1] + "/log", os.O_WRONLY | os.O_APPEND)
open("copied", "w").close()
open("go").read()
os.close(copy)
os.write(writer, b"the end\n")
os.close(writer)
PYTHON
  copier=$!
  cat copied
  for i in 51 52 53; do
    append $i $i
    done
  check "meanwhile it grows, and what is copied leaves the store" eventually is_gone
  : > go
  ends_well "the copy" "$copier"
  check "has all of it" cmp expected "$MNT/copy"
  check "and who had it open for writing appends to what is there" cmp <(lines 1 53 && echo the end) "$MNT/log"
}
test_lines_survive_kill_9() {
  mounted
  check "40 lines" append 1 40
  pid=$(daemon_pid)
  kill -9 "$pid" && ended "$pid"
  check "the next mount" mount_w
  check "has them" cmp <(lines 1 40) "$MNT/log"
  equals "staged" "A  log" "$(status)"
}
test_what_others_stage_comes_after_what_was_closed() {
  mounted
  append 1 3
  check "another process stages a file there" stage_elsewhere log "$CAT"
  check "it is what everybody sees" eventually cmp data/cat "$MNT/log"
  check "nothing was recovered" test ! -e "$STAGEFS_ROOT/t/r/recovered/list"
}
test_another_mount_sees_each_line() {
  mounted
  mkdir second && check "a second mount" stagefs mount t/r:w second
  for i in 1 2 3 4; do
    append $i $i
    check "line $i is seen there" eventually cmp "$MNT/log" second/log
  done
  check "it goes on from there" sh -c "echo 'line 5 of a log that is appended to' >> second/log"
  check "and here" eventually cmp <(lines 1 5) "$MNT/log"
  check "which goes" stagefs unmount second
}

run_cases
