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
run_cases
