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
test_disk_stays_in_proportion_to_what_is_appended() {
  mounted
  check "at no time twice the file's size and a fifth" python3 - "$MNT/log" "$STAGEFS_ROOT/t/r" << 'PYTHON'
import os, subprocess, sys, threading
log, repository = sys.argv[1:]
def room():
    files = {}
    for folder, _, names in list(os.walk(f"{repository}/versions")) + list(os.walk(f"{repository}/incoming")):
        for name in names:
            try:
                found = os.stat(f"{folder}/{name}")
                files[found.st_ino] = found.st_size
            except OSError:
                pass
    return sum(files.values())
before, most, ended = room(), 0, threading.Event()
def look():
    global most
    while not ended.wait(0.02):
        most = max(most, room() - before)
looker = threading.Thread(target=look)
looker.start()
for _ in range(300):
    subprocess.run(["/bin/sh", "-c", f"head -c 20000 /dev/urandom >> {log}"], check=True)
ended.set()
looker.join()
size = os.stat(log).st_size
assert size == 300 * 20000, size
assert most <= 2.2 * size, f"{most} bytes for a file of {size}"
PYTHON
}
test_every_door_shows_what_was_appended_a_moment_ago() {
  mounted
  last=0
  # grows: by two lines, the second of which is kept back for a second.
  grows() {
    append $((last + 1)) $((last + 2))
    last=$((last + 2))
    lines 1 $last > expected
    hash=$(sha256sum < expected | cut -d' ' -f1)
  }
  grows && check "the attribute" test "$(xattr sha256 "$MNT/log")" = "$hash"
  grows && check "the version" cmp expected "$MNT/.stagefs/versions/$hash"
  grows && check "stagefs ls" grep -q "$hash" <(stagefs ls --json t/r:w log)
  grows && equals "stagefs status" "A  log" "$(status)"
  grows && equals "the status file" "A  log" "$(cat "$MNT/.stagefs/status")"
  grows && ln "$MNT/log" "$MNT/link" && check "a link" cmp expected "$MNT/link" && rm "$MNT/link"
  grows && cp "$MNT/log" "$MNT/copy" && check "a copy" cmp expected "$MNT/copy" && rm "$MNT/copy"
  grows && mv "$MNT/log" "$MNT/moved" && check "a rename" cmp expected "$MNT/moved" && mv "$MNT/moved" "$MNT/log"
  if [ "$HTTP" = 1 ]; then
    "$STAGEFS_BINARY" serve --listen :0 --insecure-no-auth 2> said &
    DAEMONS="$DAEMONS $!"
    eventually grep -q "^stagefs: serving" said
    grows && check "a server of its own" grep -q "$last lines" \
      <(curl -sS "$(sed -n 's/^stagefs: serving //p' said)/api/repos/t/r/workspaces/w/files/log" | sed -n '$=' | sed 's/$/ lines/')
    kill "${DAEMONS##* }"
  fi
  grows && mkdir second && check "a mount that begins" stagefs mount t/r:w second
  check "shows it" cmp expected second/log
  check "and goes" stagefs unmount second
  grows && check "commit" stagefs commit -m log t/r:w
  check "has it" cmp expected "$MNT/.stagefs/base/log"
}
test_nothing_comes_back_that_was_removed_a_moment_after() {
  mounted
  for how in "rm $MNT/log" "stagefs rm t/r:w log" "stagefs unstage t/r:w log"; do
    append 1 3
    check "$how" $how
    check "it is gone" eventually test ! -e "$MNT/log"
    append 1 2
    equals "what comes then is a file of its own" "$(lines 1 2)" "$(cat "$MNT/log")"
    rm "$MNT/log"
  done
  append 1 3
  cp data/cat "$MNT/new"
  mv "$MNT/new" "$MNT/log"
  sleep 1.5
  check "another file in its place stays" cmp data/cat "$MNT/log"
  equals "nothing else is staged" "A  log" "$(status)"
}
test_what_others_appended_survives_whoever_still_writes() {
  mounted
  append 1 3
  python3 -u - "$MNT/log" << 'PYTHON' &
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(log, b"half a")
open("written", "w").close()
time.sleep(60)
PYTHON
  writer=$!
  eventually test -e written
  check "another process commits it" stagefs commit -m log t/r:w
  check "whole lines only" cmp <(lines 1 3) "$MNT/.stagefs/base/log"
  pid=$(daemon_pid)
  kill -9 "$pid" && ended "$pid"
  kill -9 $writer
  check "after kill -9" mount_w
  check "they are there" cmp <(lines 1 3) <(head -n 3 "$MNT/log")
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
