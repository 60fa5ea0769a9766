#!/usr/bin/env bash
# The control folder .stagefs: versions by hash, what is told there.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_it_is_not_listed() {
  mounted
  equals "the control folder is not listed" "" "$(ls -A "$MNT")"
  check "and is there" test -d "$MNT/.stagefs/versions"
}
test_it_shows_where_it_is_asked_for() {
  mounted -o show_control
  equals "the control folder shows" ".stagefs" "$(find "$MNT" -maxdepth 1 -name .stagefs -printf %f)"
}
test_versions_are_found_by_either_hash() {
  mounted
  check "a version is found by SHA-256" cmp data/cat "$MNT/.stagefs/versions/$CAT"
  check "a version is found by XXH3, upper case" cmp data/dog "$MNT/.stagefs/versions/$(echo "$DOG3" | tr a-f A-F)"
  equals "versions are listed" 4 "$(ls "$MNT/.stagefs/versions" | wc -l)"
}
test_versions_stay_as_they_are() {
  mounted
  refuses "versions cannot be written" "" sh -c "echo x > $MNT/.stagefs/versions/$CAT"
  refuses "versions cannot be removed" "" rm -f "$MNT/.stagefs/versions/$CAT"
}
test_config_and_stats() {
  mounted
  check "config can be read" grep -q '"repository":"t/r"' "$MNT/.stagefs/config.json"
  check "so can stats" grep -q '^operations: ' "$MNT/.stagefs/stats"
}
test_its_name_is_taken() {
  mounted
  refuses "nothing is made at the control folder's name" "" mkdir "$MNT/.stagefs"
}
test_base_is_the_commit() {
  with_folder
  check "commit" stagefs commit t/r:w -m first
  echo later > "$MNT/drop/later"
  equals "base is the commit" "Only in $MNT/drop: later" "$(diff -r "$MNT/.stagefs/base" "$MNT")"
}
run_cases
