# shellcheck shell=bash
# Sourced by make.sh and upgrade_test.sh: everything that a root with t/r shows of it, on a mount at $1, too.
shown() {
  local say
  for say in "list" "branch list t/r" "log t/r" "log t/r --revision side" "ls t/r" "ls t/r data" "ls t/r --revision side" \
    "ls t/r:w" "ls t/r:w data" "ls t/r:w moved" "status t/r:w" "status --expand t/r:w" "diff t/r:w" "--json status t/r:w" "fsck t/r"; do
    echo "\$ stagefs $say"
    # shellcheck disable=SC2086  # Words, not one.
    TZ=UTC "$STAGEFS_BINARY" $say 2>&1
  done
  "$STAGEFS_BINARY" mount t/r:w "$1"
  echo "# files, links and what was recovered"
  (cd "$1" && find . .stagefs/base .stagefs/recovered -mindepth 1 \( -type f -printf '%p %m %T@ ' -exec sh -c 'sha256sum < "$0"' {} \; \
    -o -type l -printf '%p -> %l\n' -o -printf '%p/\n' \) | LC_ALL=C sort)
  "$STAGEFS_BINARY" unmount "$1"
}
