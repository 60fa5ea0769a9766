#!/usr/bin/env bash
# What somebody finds in the log who was told "Input/output error".
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

# A file of the mount whose version is cut short.
damage_a_file() {
  mkdir "$MNT/pets" && ln -s "$CAT" "$MNT/pets/cat"
  chmod u+w "$(version_file "$CAT")" && truncate -s 3 "$(version_file "$CAT")"
  rm -rf "$STAGEFS_ROOT"/t/r/cache/??  # This machine's copies of what is in S3.
}
test_each_EIO_has_a_line() {
  mounted
  damage_a_file
  log=$STAGEFS_ROOT/t/r/mount.log
  refuses "a damaged file is not read" "Input/output error" cat "$MNT/pets/cat"
  equals "the log has one line of it" 1 "$(grep -c 'error: \(open\|read\) pets/cat: Input/output error: ' "$log")"
  check "with its time" grep -q "^$(date -u +%Y)-.*Z error: " "$log"
  for _ in 1 2 3 4 5 6 7 8 9; do cat "$MNT/pets/cat" 2> /dev/null; done
  equals "and one only when it comes again" 1 "$(grep -c pets/cat "$log")"
}
test_the_journal_is_told_how_bad_it_is() {
  versions
  (
    exec 2> journal
    JOURNAL_STREAM=$(stat -L -c %d:%i journal) exec "$STAGEFS_BINARY" mount t/r:w "$MNT" --create --foreground
  ) &
  DAEMONS="$DAEMONS $!"
  eventually mountpoint -q "$MNT"
  damage_a_file
  refuses "a damaged file is not read" "Input/output error" cat "$MNT/pets/cat"
  check "as an error" grep -q "^<3>\(open\|read\) pets/cat: " journal
}
run_cases
