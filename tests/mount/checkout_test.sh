#!/usr/bin/env bash
# Revisions in ordinary folders: as the command makes them, cut off by kill -9 and by full disks, and where it refuses to.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

# Two commits of t/r: cat, dog, sub/big; then dog is another, sub/big goes, new/cat comes.
commits() {
  versions
  stagefs workspace create t/r:w > /dev/null
  printf '%s  cat\n%s  dog\n%s  sub/big\n' "$CAT" "$DOG" "$BIG" | stagefs stage t/r:w - > /dev/null
  FIRST=$(stagefs --json commit t/r:w -m first | id_of)
  stagefs rm t/r:w sub/big > /dev/null
  printf '%s  dog\n%s  new/cat\n' "$CAT" "$CAT" | stagefs stage t/r:w - > /dev/null
  SECOND=$(stagefs --json commit t/r:w -m second | id_of)
  { [ -n "$FIRST" ] && [ -n "$SECOND" ]; } || echo "not ok - there are no commits"
}
id_of() { python3 -c 'import json, sys; print(json.load(sys.stdin)["commit"])'; }
# Hashes and paths of all files of a folder that are the revision's.
sums() { (cd "$1" && find . -type f ! -path ./.stagefs-checkout | LC_ALL=C sort | xargs -d '\n' -r sha256sum | sed 's|\./||'); }
# holds WHAT FOLDER REVISION
holds() { equals "$1" "$(stagefs manifest "t/r@$3")" "$(sums "$2")"; }
is_complete() { grep -q '"complete":true' "$1/.stagefs-checkout"; }
# Mounts a file system of so much memory at small/; with another size it is resized.
small() {
  if [ -d small ]; then mount -o "remount,size=$1" small; else mkdir small && mount -t tmpfs -o "size=$1" tmpfs small; fi
}

test_a_revision_and_then_another() {
  commits
  equals "a checkout says what it did" "3 files (3000008 bytes) of commit $FIRST are in out, 0 removed" "$(stagefs checkout "t/r@$FIRST" out)"
  holds "and is the revision" out "$FIRST"
  check "with its times" python3 - "$(stagefs manifest --format ndjson "t/r@$FIRST")" <<'PY'
import datetime, json, os, sys
for line in sys.argv[1].splitlines():
    entry = json.loads(line)
    seconds, _, part = entry["mtime"].rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()
    assert os.stat("out/" + entry["path"]).st_mtime_ns == int(whole) * 10**9 + int(part), entry
PY
  echo mine > out/mine
  equals "main is what no revision is" "{\"commit\":\"$SECOND\",\"files\":3,\"bytes\":12,\"removed\":1}" "$(stagefs --json checkout t/r out)"
  equals "its own file stays" mine "$(cat out/mine)"
  rm out/mine
  holds "another revision takes its place" out main
  check "a folder that is empty then goes" test ! -e out/sub
  check "back, by a date and with a path" stagefs checkout "t/r@main@{2099-01-01 15:04}~0" old
  check "a folder of it" stagefs checkout t/r@refs:main:new new
  check "comes alone" cmp new/cat data/cat
}
test_own_changes() {
  commits
  stagefs checkout "t/r@$FIRST" out > /dev/null
  echo mine > out/dog && mkdir out/new && echo mine > out/new/cat && cp -a out before
  refuses "own changes stay" "2 paths in $WORK/out would be lost" stagefs checkout t/r out
  equals "with a status of its own" 4 "$(stagefs checkout t/r out > /dev/null 2>&1; echo $?)"
  check "and nothing is changed" diff -r before out
  check "unless it is forced" stagefs checkout --force t/r out
  holds "to be the revision" out main
}
test_names_that_are_no_text() {
  commits
  name=$'n\xff\e[31m'
  printf '{"path_base64":"%s","path":"x","sha256":"%s"}\n' "$(printf '%s' "$name" | base64)" "$CAT" > list.ndjson
  stagefs mount t/r:w "$MNT" && cp data/cat "$MNT/$name" && unmount_w
  stagefs commit t/r:w -m name > /dev/null
  check "a name that is not UTF-8" stagefs checkout t/r out
  check "is there, in its bytes" cmp "out/$name" data/cat
  echo mine > "out/$name"
  check "is quoted where it is own" sh -c "! $STAGEFS_BINARY checkout t/r out 2>&1 | LC_ALL=C grep -aF '$name'"
}

# Many small files, so that a kill comes in the middle.
many() {
  commits
  mkdir many && python3 - <<'PY'
import os
for i in range(5000):
    folder = f"many/{i // 100}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{i}", "w") as file: file.write(f"{i}\n")
PY
  stagefs put t/r many | stagefs stage t/r:w -d many - > /dev/null
  stagefs commit t/r:w -m many > /dev/null
}
# cut_off SIGNAL FOLDER COMMAND…: the command is ended once it wrote some files.
cut_off() {
  local signal=$1 folder=$2 pid try
  shift 2
  for try in 1 2 3 4 5; do
    rm -rf "$folder"
    "$STAGEFS_BINARY" "$@" > cut.out 2> cut.err &
    pid=$!
    until [ -e "$folder/many/1$try/1${try}50" ] || ended "$pid" 0; do :; done
    kill "-$signal" "$pid"
    wait "$pid"
    CUT_STATUS=$?
    is_complete "$folder" || return 0
  done
  echo "not ok - no checkout was cut off"
}
test_kill_9_in_the_middle() {
  many
  cut_off KILL out checkout t/r out
  some=$(find out -type f | wc -l)
  check "some files are there, and not all ($some)" test "$some" -gt 1 -a "$some" -lt 5003
  : > "out/many/.stagefs-checkout~0123456789abcdef"
  equals "the same command goes on" "5003 files" "$(stagefs checkout t/r out | cut -d' ' -f1-2)"
  holds "to the end" out main
  check "and says so" is_complete out
  cut_off KILL out checkout t/r out
  check "another revision goes on from there, too" stagefs checkout "t/r@$FIRST" out
  holds "to its end" out "$FIRST"
  check "and leaves no folder" test ! -e out/many
}
test_an_interrupt_in_the_middle() {
  many
  cut_off TERM out checkout t/r out
  equals "SIGTERM ends it as others" 143 "$CUT_STATUS"
  check "and it says what to do" grep -q "the same command goes on from here" cut.err
  equals "no half file is left" "" "$(find out -name '.stagefs-checkout~*')"
  check "it goes on" stagefs checkout t/r out
  holds "to the end" out main
}
test_a_full_disk() {
  commits
  small 4m || { echo "skip - a full disk: cannot mount tmpfs"; return; }
  printf '%s  sub/again\n%s  first\n' "$BIG" "$BIG" | stagefs stage t/r:w - > /dev/null
  stagefs commit t/r:w -m full > /dev/null
  refuses "a disk that is too small is not filled" "make room, and call it again" stagefs checkout t/r small/out
  equals "with a status of its own" 5 "$(stagefs checkout t/r small/out > /dev/null 2>&1; echo $?)"
  small 20m
  check "once there is room it goes on" stagefs checkout t/r small/out
  holds "to the end" small/out main
  mount -o remount,ro small
  check "one that is up to date needs no write" stagefs checkout t/r small/out
  refuses "one that is not says why not" "Read-only file system" stagefs checkout "t/r@$FIRST" small/out
  refuses "a new one there, too" "Read-only file system" stagefs checkout t/r small/new
  umount small
}

test_links() {
  commits
  if [ -n "${STAGEFS_VERSIONS:-}" ]; then
    refuses "no links to another machine" "without --link" stagefs checkout --link t/r out
    check "leave no folder" test ! -e out
    return
  fi
  stagefs checkout --link "t/r@$FIRST" out 2> said > /dev/null
  equals "links are made" 0 $?
  equals "which is explained once" 1 "$(grep -c 'Never chmod them' said)"
  check "a link is the store's file" test out/cat -ef "$(version_file "$CAT")"
  equals "which nobody may write" -r-------- "$(stat -c %A out/cat)"
  check "an update leaves the store's files alone" stagefs checkout --link t/r out
  holds "and is the revision" out main
  check "nothing is damaged" stagefs fsck t/r
  check "gc removes no link" stagefs gc t/r
  holds "so it is still the revision" out main
  small 20m || { echo "skip - links to another disk: cannot mount tmpfs"; return; }
  refuses "no links to another disk" "without --link" stagefs checkout --link t/r small/out
  check "leave no folder there" test ! -e small/out
  umount small
}
test_where_no_checkout_can_be() {
  mounted
  stagefs stage t/r:w sums > /dev/null
  stagefs commit t/r:w -m first > /dev/null
  refuses "a mount" "is in the stagefs mount" stagefs checkout t/r "$MNT"
  refuses "in a mount" "is in the stagefs mount" stagefs checkout t/r "$MNT/new/folder"
  check "nothing is made in it" test ! -e "$MNT/new"
  ln -s "$MNT" link
  refuses "by a link to it" "is in the stagefs mount" stagefs checkout t/r link/new
  refuses "another mount point" "is a mount point" stagefs checkout t/r /proc
  refuses "in the root" "lies inside the root" stagefs checkout t/r "$STAGEFS_ROOT/t/new"
  refuses "around the root" "name a folder elsewhere" stagefs checkout t/r "$WORK"
  refuses "on a file" "is not a folder" stagefs checkout t/r sums
  refuses "a workspace" "is a workspace, which changes" stagefs checkout t/r:w out
  refuses "a revision that is none" "stagefs log t/r" stagefs checkout t/r@none out
  refuses "a path that is none" "no such path" stagefs checkout t/r@main:none out
  check "none of them made a folder" test ! -e out
  stagefs checkout t/r out > /dev/null
  if mkdir -p out/sub && mount -t tmpfs tmpfs out/sub; then
    printf '%s  sub/cat\n' "$CAT" | stagefs stage t/r:w - > /dev/null
    stagefs commit t/r:w -m sub > /dev/null
    refuses "a folder with another disk in the way" "is on another disk" stagefs checkout t/r out
    umount out/sub
    check "without it" stagefs checkout t/r out
  else
    echo "skip - another disk in a folder: cannot mount tmpfs"
  fi
}
test_links_in_the_way_are_not_followed() {
  commits
  stagefs checkout "t/r@$FIRST" out > /dev/null
  mkdir outside && ln -s "$WORK/outside" out/new && rm out/dog && ln -s "$WORK/outside/dog" out/dog
  refuses "links in the way" "2 paths in" stagefs checkout t/r out
  check "are replaced where it is forced" stagefs checkout --force t/r out
  holds "by what the revision has" out main
  equals "and never followed" "" "$(ls outside)"
}
run_cases
