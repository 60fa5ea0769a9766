#!/usr/bin/env bash
# Damaged versions, lost indexes and gc beside writers, as somebody with a mount meets them.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

stored() { echo "$STAGEFS_ROOT/t/r/versions/${1:0:2}/${1:2}"; }
# What is in S3 carries no marks: it is hashed each time that it is fetched.
are_here() { [ -z "${STAGEFS_VERSIONS:-}" ] || { skip "damaged files" "the versions are elsewhere"; return 1; }; }
# damage HOW FILE
damage() {
  chmod u+w "$2"
  case $1 in
    empty) : > "$2" ;;
    short) truncate -s 3 "$2" ;;
    changed) printf X | dd of="$2" conv=notrunc status=none ;;
    silently) touch -r "$2" when && printf X | dd of="$2" conv=notrunc status=none && touch -r when "$2" ;;
  esac
  chmod 0400 "$2"
}

test_damaged_bytes_are_not_served_and_a_copy_mends_them() {
  are_here || return
  mounted
  for how in empty short changed; do
    damage "$how" "$(stored "$CAT")"
    refuses "$how: a read fails" "Input/output error" cat "$MNT/.stagefs/versions/$CAT"
    check "$how: a copy of the right content" cp data/cat "$MNT/$how"
    check "$how: is right" cmp data/cat "$MNT/$how"
    check "$how: fsck is content" stagefs fsck t/r
  done
}
test_every_door_mends_what_nobody_noticed() {
  are_here || return
  mounted
  for door in copy put retry; do
    damage silently "$(stored "$CAT")"
    case $door in
      copy) cp data/cat "$MNT/copied" ;;
      put) stagefs put t/r data/cat > /dev/null ;;
      retry)
        W=$(stagefs --json workspace list t/r | sed 's/.*"id":"\([^"]*\)".*/\1/')
        mkdir -p "$STAGEFS_ROOT/t/r/recovered/$W" && cp data/cat "$STAGEFS_ROOT/t/r/recovered/$W/again"
        stagefs retry t/r:w again
        ;;
    esac
    check "$door: the bytes are right" cmp data/cat "$(stored "$CAT")"
    check "$door: fsck is content" stagefs fsck t/r
  done
}
test_what_fsck_found_fails_from_then_on() {
  are_here || return
  mounted
  damage silently "$(stored "$DOG")"
  refuses "fsck names it" "damaged  $DOG" stagefs fsck t/r
  refuses "a read fails" "Input/output error" cat "$MNT/.stagefs/versions/$DOG"
  stagefs unmount "$MNT" && stagefs mount t/r:w "$MNT"
  refuses "also for the next daemon" "Input/output error" cat "$MNT/.stagefs/versions/$DOG"
}
test_a_lost_index_is_built_from_the_versions() {
  [ -z "${STAGEFS_INDEX:-}" ] || { skip "a lost index" "a database has its own backups"; return; }
  versions
  rm "$STAGEFS_ROOT"/t/r/stagefs.db*
  refuses "it is named" "fsck t/r --rebuild" stagefs ls t/r
  refuses "create is refused" "holds a repository" stagefs create t/r
  refuses "gc removes nothing" "holds a repository" stagefs gc t/r --keep 0
  check "it is built" stagefs fsck t/r --rebuild
  check "fsck is content" stagefs fsck t/r
  equals "every version is there" "$(sort sums)" "$(stagefs put t/r data | sort)"
}
test_gc_beside_a_writer() {
  mounted
  mkdir more && for i in $(seq 2000); do echo "unused $i" > "more/$i"; done
  stagefs put t/r more > /dev/null
  (for i in $(seq 300); do echo "$i" > "$MNT/$((i % 20))"; done) &
  check "gc" stagefs gc t/r --keep 0
  check "and another at once" sh -c "$STAGEFS_BINARY gc t/r --keep 0 & $STAGEFS_BINARY gc t/r --keep 0 && wait \$!"
  wait
  equals "what was written meanwhile is there" "$(for i in $(seq 281 300); do echo "$i"; done)" "$(cat "$MNT"/[0-9]* | sort -n)"
  check "fsck is content" stagefs fsck t/r
}
run_cases
