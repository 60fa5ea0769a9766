#!/usr/bin/env bash
# A mount shows what other processes do to its workspace.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_a_reader_keeps_what_it_opened() {
  mounted
  cp data/cat "$MNT/read" && exec 8< "$MNT/read"
  check "a name that is missing" test ! -e "$MNT/beside"
  printf '%s  read\n%s  beside\n' "$BIG" "$CAT" | stagefs stage t/r:w - > /dev/null
  check "what another process stages appears while a file is read" eventually test -e "$MNT/beside"
  equals "the reader keeps what it opened" "$CAT" "$(sha256sum <&8 | cut -d' ' -f1)"
  check "everybody else sees the new content" eventually cmp data/big "$MNT/read"
  exec 8<&-
}
test_a_reader_hides_nothing_from_who_writes() {
  mounted
  echo one > "$MNT/list" && exec 8< "$MNT/list"
  printf 'one\ntwo\n' > longer && stage_elsewhere list "$(stagefs put t/r longer | cut -d' ' -f1)"
  check "what another process staged is seen" eventually cmp longer "$MNT/list"
  echo three >> "$MNT/list"
  equals "a line is appended to it" "one two three" "$(xargs < "$MNT/list")"
  equals "the reader keeps what it opened" one "$(cat <&8)"
  exec 8<&-
  echo four >> "$MNT/list"
  equals "and goes on after the reader's end" "one two three four" "$(xargs < "$MNT/list")"
}
test_what_another_process_stages_replaces_and_removes() {
  mounted
  check "a name that is missing" test ! -e "$MNT/fresh"
  check "another process stages it" stage_elsewhere fresh "$CAT"
  check "it appears" eventually cmp data/cat "$MNT/fresh"
  check "another process replaces it" stage_elsewhere fresh "$DOG3"
  check "it is replaced" eventually cmp data/dog "$MNT/fresh"
  check "another process removes it" stagefs rm t/r:w fresh
  check "it goes" eventually test ! -e "$MNT/fresh"
}
test_a_mount_that_others_do_not_know() {
  mounted
  check "a name that is missing" test ! -e "$MNT/fresh"
  sql 'DELETE FROM mount'  # As one in another container does, to whom the daemon looks dead.
  check "a change is not noted for this mount" stage_elsewhere fresh "$CAT"
  check "it is seen" eventually cmp data/cat "$MNT/fresh"
  check "and the mount is known again" eventually mounts_known 1
}
# On PostgreSQL nothing but what removes versions has such a turn.
test_a_mount_begins_while_others_have_a_long_turn() {
  [ -z "${STAGEFS_INDEX:-}" ] || { skip "a long turn" "it is SQLite's lock"; return; }
  mounted
  cp data/cat "$MNT/cat"
  check "the mount ends" unmount_w
  mkfifo ask
  sqlite3 "$STAGEFS_ROOT/t/r/stagefs.db" < ask > told & other=$!
  exec 7> ask
  echo "BEGIN IMMEDIATE; SELECT 'has its turn';" >&7
  check "somebody else has a turn" eventually grep -q turn told
  check "a mount begins meanwhile" timeout 10 "$STAGEFS_BINARY" mount t/r:w "$MNT"
  check "and shows what there is" timeout 5 cmp data/cat "$MNT/cat"
  check "also what is not there" test ! -e "$MNT/fresh"
  echo "COMMIT;" >&7
  exec 7>&-
  wait "$other"
  check "the mount is known" eventually mounts_known 1
  check "what others stage is seen" stage_elsewhere fresh "$CAT"
  check "as ever" eventually cmp data/cat "$MNT/fresh"
}
test_two_daemons_on_one_workspace() {
  with_folder
  mkdir mnt2
  check "a second daemon on the workspace" stagefs mount t/r:w "$WORK/mnt2"
  check "what one writes" sh -c "echo both > $MNT/both"
  check "the other shows" eventually cmp "$MNT/both" "$WORK/mnt2/both"
  check "a folder that somebody is in stays when a neighbour changes" sh -c "cd $MNT/drop && echo n > $WORK/mnt2/neighbour && sleep 1 && pwd -P && ls . >/dev/null"
  check "unmount the second" stagefs unmount "$WORK/mnt2"
}
test_two_gcs_at_once() {
  mounted
  rm -rf unused && mkdir unused && for i in $(seq 300); do echo "unused $i" > "unused/$i"; done
  check "versions that nobody names" stagefs put t/r unused
  stagefs gc t/r --keep 0 > first 2>&1 &
  local first=$!
  check "a second gc" stagefs gc t/r --keep 0
  wait "$first"
  equals "beside a first" "$?" 0
  equals "none of them is left" 0 "$(for i in $(seq 300); do version_file "$(sha256sum < "unused/$i" | cut -d' ' -f1)"; done | xargs ls 2> /dev/null | wc -l)"
}
run_cases
