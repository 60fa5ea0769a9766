#!/usr/bin/env bash
# A program that watches a folder of the mount is told of changes that other processes made.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

hash_of() { awk -v name="$1" '$2 == name { print $1 }' sums; }
# stage DIRECTORY NAME HASH-OF…: by another process than the mount's.
stage() { directory=$1; shift; while [ $# -gt 0 ]; do echo "$(hash_of "$2")  $1"; shift 2; done | stagefs stage t/r:w --directory "$directory" - > /dev/null; }
# Starts a program that watches $MNT/watched and writes its events to `events`.
watch() {
  : > events
  inotifywait --quiet --monitor --format '%e %f' "$MNT/watched" >> events 2> watching &
  DAEMONS=$!
  eventually sh -c "grep -q '^inotify wd' /proc/$DAEMONS/fdinfo/*"
}
unwatch() { kill "$DAEMONS" && wait "$DAEMONS" 2>/dev/null; DAEMONS=; }
# Four versions, and a folder whose three names the kernel knows for longer than what counts as new.
versions() {
  stagefs create t/r
  mkdir data && for name in one two three four; do echo $name > data/$name; done
  stagefs put t/r data > sums
  HASH=$(hash_of one)
}
looked_at() {
  versions
  mount_w "$@"
  stage watched kept one gone two changed three
  eventually test -e "$MNT/watched/kept"
  ls -l "$MNT/watched" > /dev/null
  read -r -t 1.1 _ <> <(:)
}
watched() {
  looked_at
  watch
}

test_what_others_change_is_told() {
  watched
  stage watched new four changed one
  check "a new name is told" eventually grep -q '^CREATE new$' events
  check "a changed one is told" eventually grep -q '^ATTRIB changed$' events
  equals "its content is the new one" one "$(cat "$MNT/watched/changed")"
  stagefs rm t/r:w watched/gone > /dev/null
  check "a name that is gone is told" eventually grep -q '^DELETE gone$' events
  refuses "and is gone" "No such file" stat "$MNT/watched/gone"
  stage watched/folder inside one
  check "a new folder is told" eventually grep -qE '^CREATE,ISDIR folder$' events
  check "what is kept is left alone" sh -c '! grep -q " kept$" events'
  equals "no ghost is left" "changed folder kept new" "$(cd "$MNT/watched" && echo *)"
  equals "nor staged" "A watched/changed A watched/folder/inside A watched/kept A watched/new" "$(stagefs status t/r:w | xargs)"
}
test_another_folders_change_is_not_told() {
  watched
  stage elsewhere other one
  check "another folder's change is there" eventually test -e "$MNT/elsewhere/other"
  check "and not told here" sh -c '! grep -q other events'
}
test_a_poke_changes_no_time() {
  watched
  stage watched new four
  check "a new name is told" eventually grep -q '^CREATE new$' events
  mtime=$(stat -c %y "$MNT/watched/new")
  stagefs commit t/r:w -m first > /dev/null
  equals "a poke changes no time" "$mtime" "$(stat -c %y "$MNT/watched/new")"
}
test_a_name_that_somebody_else_found_first() {
  watched
  (until [ -e "$MNT/watched/early" ]; do :; done) &
  asking=$!
  stage watched early four
  wait $asking
  check "a new name that somebody else found first is told" eventually grep -qE '^(CREATE|ATTRIB) early$' events
}
test_an_own_change_is_told_once() {
  watched
  echo x > "$MNT/watched/own"
  check "an own change is told by the kernel" eventually grep -q '^CLOSE_WRITE,CLOSE own$' events
  equals "once" 1 "$(grep -c '^CREATE own$' events)"
}
# Many at once: some are told, the window is not flooded, and everything else goes on.
test_many_at_once() {
  watched
  seq -f "$HASH  %06g" 20000 | stagefs stage t/r:w --directory watched - > /dev/null
  check "of many at once some are told" eventually grep -q ' 000001$' events
  equals "all are there" 20003 "$(find "$MNT/watched" -maxdepth 1 -type f | wc -l)"
  equals "the mount answers" one "$(cat "$MNT/watched/020000")"
  stage watched last four
  check "a change after them is told or shown" eventually test -e "$MNT/watched/last"
  told=$(awk '{ print $NF }' events | sort -u | wc -l)
  check "no more than the limit is told at once ($told names)" [ "$told" -le 4100 ]
  unwatch
  check "it can be unmounted at once" unmount_w
}
# kill -9 at moments when names are being told: each mount tells the first 2,000 again.
test_killed_while_it_tells() {
  versions
  mount_w
  seq -f "$HASH  %06g" 20000 | stagefs stage t/r:w --directory watched - > /dev/null
  unmount_w
  killed=0
  while [ $killed -lt 30 ]; do
    mount_w || break
    watch
    echo "$HASH  again-$killed" | stagefs stage t/r:w --directory watched - > /dev/null
    eventually test -s events || break
    kill -9 "$(daemon_pid)"
    eventually sh -c "timeout 5 stat -f '$MNT' 2>&1 | grep -q 'not connected'" || break
    unwatch
    killed=$((killed + 1))
  done
  equals "a daemon that is killed while it tells a window ends" 30 $killed
}
test_a_batch_by_http_is_told() {
  [ "$HTTP" = 1 ] || { skip "a batch by HTTP" "built without HTTP"; return; }
  looked_at --listen 127.0.0.1:0 --insecure-no-auth 2> said
  url=$(grep -oE 'http://[0-9.:]+' said)
  watch
  check "a batch by HTTP" curl -sSf -o /dev/null -H 'content-type: application/json' -d "[{\"hash\": \"$HASH\", \"path\": \"by-http\"}]" \
    "$url/api/repos/t/r/workspaces/w/files/batch/watched"
  check "is told" eventually grep -qE '^(CREATE|ATTRIB) by-http$' events
  unwatch
  check "and ends" unmount_w
}
run_cases
