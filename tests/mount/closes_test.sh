#!/usr/bin/env bash
# A close() waits for nobody's long turn to write, and what it promised holds.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

kill_daemon() {
  local pid
  pid=$(daemon_pid)
  kill -9 "$pid" && ended "$pid"
}

test_a_closed_file_survives_kill_9() {
  mounted
  cp data/cat "$MNT/old"
  take_turn
  check "a copy is closed while another process writes" timeout 20 cp data/dog "$MNT/new"
  check "a big one" timeout 20 cp data/big "$MNT/big"
  check "one over another" timeout 20 sh -c "cat data/dog > $MNT/mode"
  check "a copy within the mount" timeout 20 cp "$MNT/.stagefs/versions/$CAT" "$MNT/clone"
  check "it can be read" cmp data/dog "$MNT/new"
  equals "and is listed" "big clone mode new old" "$(cd "$MNT" && echo *)"
  check "its mode is changed" chmod +x "$MNT/mode"
  check "another one's" chmod 600 "$MNT/new"
  check "status says what becomes of it" grep -qx 'W  new (closed, being staged)' <(status)
  kill_daemon
  let_go
  check "the next mount" mount_w
  check "has its bytes" cmp data/dog "$MNT/new"
  check "and those of the others" cmp data/big "$MNT/big"
  check "of the copy, too" cmp data/cat "$MNT/clone"
  check "and the mode" test -x "$MNT/mode"
  equals "and the permissions" 600 "$(stat -c %a "$MNT/new")"
  equals "all is staged, nothing was merely recovered" "A  big A  clone A  mode A  new A  old" "$(status | xargs -d'\n')"
}
test_a_closed_file_is_appended_to_at_once() {
  mounted
  take_turn
  check "a file is closed" timeout 20 cp data/dog "$MNT/log"
  for text in one two; do
    check "$text more line, while the other process still writes" timeout 20 sh -c "echo $text >> '$MNT/log'"
  done
  check "it is fsynced, too" timeout 20 sync "$MNT/log"
  { cat data/dog && echo one && echo two; } > expected
  check "all is there" cmp expected "$MNT/log"
  kill_daemon
  let_go
  check "the next mount" mount_w
  check "has all of it" cmp expected "$MNT/log"
  equals "staged" "A  log" "$(status)"
}
# More than is hashed while anybody waits.
LONG=300M
zeros() { head -c "$LONG" /dev/zero; }
test_a_long_file_is_hashed_behind_the_back_of_who_closes_it() {
  mounted
  check "it is made longer by its path" timeout 20 truncate -s "$LONG" "$MNT/f"
  check "and shown" test "$(stat -c %s "$MNT/f")" = $((300 << 20))
  check "it is staged" eventually sh -c "'$STAGEFS_BINARY' ls t/r:w f"
  equals "as what it is" "$(zeros | sha256sum | cut -d' ' -f1)" "$(getfattr --only-values -n user.stagefs.sha256 "$MNT/f")"
  check "renamed at once after it is cut" sh -c "truncate -s 280M '$MNT/f' && mv '$MNT/f' '$MNT/g'"
  equals "that is staged" "A  g" "$(status)"
}
test_a_long_file_survives_kill_9() {
  mounted
  cp data/dog "$MNT/f"
  take_turn
  check "a file is made longer" timeout 20 truncate -s "$LONG" "$MNT/f"
  check "and one that is new" timeout 20 truncate -s "$LONG" "$MNT/new"
  check "whose middle is written" timeout 20 dd if=data/dog of="$MNT/new" seek=5 conv=notrunc status=none
  kill_daemon
  let_go
  check "the next mount" mount_w
  equals "has the first" "$({ cat data/dog && zeros; } | head -c "$LONG" | sha256sum)" "$(sha256sum < "$MNT/f")"
  check "and the other" cmp <(tail -c +2561 "$MNT/new" | head -c "$(stat -c %s data/dog)") data/dog
  equals "both staged" "A  f A  new" "$(status | xargs -d'\n')"
}
stored() { find "$STAGEFS_ROOT/t/r" -path '*/versions/*' -type f | wc -l; }
# children N: each writes a line and ends, which closes what it inherited.
children() {
  local i
  for i in $(seq "$1"); do /bin/echo "line $i of a list that many programs write"; done
}
test_a_list_that_many_children_write_is_not_stored_for_each() {
  mounted
  local before
  before=$(stored)
  children 300 > "$MNT/list"
  cmp <(children 300) "$MNT/list"
  equals "it is whole" 0 $?
  equals "and staged when who opened it closes it" "A  list" "$(status)"
  check "with few versions ($(($(stored) - before)))" test $(($(stored) - before)) -lt 20
}
test_what_children_wrote_is_kept_while_the_file_is_open() {
  mounted
  mkfifo go
  { children 50; cat go; } > "$MNT/list" & local writer=$!
  check "all of it is shown" eventually sh -c "test \$(wc -l < '$MNT/list') = 50"
  check "a commit has it" stagefs commit t/r:w -m list
  equals "whole" "$(children 50 | sha256sum)" "$(sha256sum < "$MNT/.stagefs/base/list")"
  echo more > go
  ends_well "the writer" "$writer"
  equals "the rest is staged" "M  list" "$(status)"
  { children 50; cat go; } > "$MNT/list" & writer=$!
  check "again" eventually sh -c "test \$(wc -l < '$MNT/list') = 50"
  kill_daemon
  echo more > go 2> /dev/null || true
  wait "$writer"
  check "the next mount" mount_w
  equals "has what children closed" "$(children 50 | sha256sum)" "$(head -n 50 "$MNT/list" | sha256sum)"
}
test_a_closed_file_whose_folder_others_remove_is_recovered() {
  mounted
  mkdir "$MNT/d"
  take_turn
  check "a new file is closed" timeout 20 cp data/dog "$MNT/d/new"
  let_go "DELETE FROM staged_entry WHERE name = CAST('d' AS BLOB)"
  check "its folder goes, it does not" eventually sh -c "grep -q '^!  d/new ' '$MNT/.stagefs/status'"
  equals "with its bytes" "$DOG" "$(sha256sum < "$MNT/.stagefs/recovered/1-new" | cut -d' ' -f1)"
}
test_a_closed_file_that_cannot_be_staged_holds_up_no_other() {
  mounted
  mkdir "$MNT/d"
  rm -rf "$STAGEFS_ROOT/t/r/recovered" && touch "$STAGEFS_ROOT/t/r/recovered"
  take_turn
  check "a file is closed" timeout 20 cp data/dog "$MNT/d/new"
  check "and another one" timeout 20 cp data/cat "$MNT/other"
  let_go "DELETE FROM staged_entry WHERE name = CAST('d' AS BLOB)"
  check "which is staged while the first cannot be put aside" \
    eventually sh -c "'$STAGEFS_BINARY' ls t/r:w other"
  rm "$STAGEFS_ROOT/t/r/recovered"
  check "but recovered in the end" eventually sh -c "grep -q '^!  d/new ' '$MNT/.stagefs/status'"
}
test_a_file_that_cannot_be_emptied_is_emptied_later() {
  mounted
  cp data/cat "$MNT/f"
  take_turn
  check "a file is closed" timeout 20 cp data/dog "$MNT/f"
  sh -c ": > '$MNT/f'" 2> /dev/null &
  local emptied=$!
  let_go
  wait "$emptied"
  check "it is emptied" sh -c ": > '$MNT/f'"
  check "which is staged" eventually sh -c "'$STAGEFS_BINARY' ls t/r:w f | grep -q '^ *0 '"
}
test_a_closed_file_is_staged_once_the_turn_comes() {
  mounted
  cp data/cat "$MNT/f"
  take_turn
  check "a file is closed" timeout 20 cp data/dog "$MNT/f"
  stagefs commit t/r:w -m both > committed 2>&1 &
  local commit=$!
  let_go
  ends_well "a commit that began since" "$commit"
  equals "has it" "$DOG" "$(sha256sum < "$MNT/.stagefs/base/f" | cut -d' ' -f1)"
  equals "nothing waits" "" "$(status)"
}
test_a_closed_file_is_changed() {
  mounted
  take_turn
  for name in renamed removed linked written; do
    check "$name: closed" timeout 20 cp data/dog "$MNT/$name"
  done
  mv "$MNT/renamed" "$MNT/moved" & jobs=$!
  rm "$MNT/removed" & jobs="$jobs $!"
  ln "$MNT/linked" "$MNT/link" & jobs="$jobs $!"
  cp data/cat "$MNT/written" & jobs="$jobs $!"
  let_go
  for job in $jobs; do ends_well "a change of it" "$job"; done
  equals "each is what came last" "$(printf 'A  link\nA  linked\nA  moved\nA  written')" "$(status)"
  check "renamed" cmp data/dog "$MNT/moved"
  check "linked" cmp data/dog "$MNT/link"
  check "written" cmp data/cat "$MNT/written"
}
test_others_stage_something_after_it_was_closed() {
  mounted
  cp data/cat "$MNT/f" && cp data/dog "$MNT/other"
  take_turn
  check "a file is closed" timeout 20 cp data/big "$MNT/f"
  let_go "UPDATE staged_entry SET version = (SELECT version FROM staged_entry WHERE CAST(name AS TEXT) = 'other') WHERE CAST(name AS TEXT) = 'f'"
  check "what the others staged last is there" eventually cmp data/dog "$MNT/f"
  check "and what was closed before" eventually grep -q '^!  f (recovered' <(status)
  equals "with all its bytes" "$BIG" "$(sha256sum < "$(find "$STAGEFS_ROOT"/t/r/recovered -name '*-f')" | cut -d' ' -f1)"
}
test_an_unmount_stages_it() {
  mounted
  take_turn
  check "a file is closed" timeout 20 cp data/dog "$MNT/f"
  stagefs unmount "$MNT" & local unmount=$!
  let_go
  ends_well "it is unmounted" "$unmount"
  check "it is staged" eventually grep -qx 'A  f' <(status)
}
if [ -n "${STAGEFS_INDEX:-}${STAGEFS_VERSIONS:-}" ]; then
  skip "closes beside long turns" "the turns are SQLite's, and a close() uploads what is stored elsewhere"
else
  run_cases
fi
