# shellcheck shell=bash
# shellcheck disable=SC2034  # Used by those who source it.
# Sourced by the tests of a mount: what most of their cases begin with.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Three versions in t/r, whose files are in data/ and whose manifest is `sums`.
versions() {
  mkdir data && printf 'cat\n' > data/cat && printf 'dog\n' > data/dog && head -c 3000000 /dev/urandom > data/big
  stagefs create t/r && stagefs put t/r data > sums || echo "not ok - there are no versions"
  CAT=$(sha256sum < data/cat | cut -d' ' -f1)
  BIG=$(sha256sum < data/big | cut -d' ' -f1)
  DOG=$(sha256sum < data/dog | cut -d' ' -f1)
  DOG3=$(xxh128sum data/dog 2> /dev/null | cut -d' ' -f1)
}
# The same, and a mount of t/r:w at $MNT; with options where a case asks for them.
# shellcheck disable=SC2120
mounted() {
  versions
  mount_w "$@" || echo "not ok - there is no mount"
}
# A folder with a few staged files besides.
with_folder() {
  mounted
  mkdir "$MNT/drop" && cp data/cat data/dog data/big "$MNT/drop/"
}
status() { stagefs status t/r:w; }
xattr() { getfattr --absolute-names --only-values -n "user.stagefs.$1" "$2"; }
# stage_elsewhere NAME HASH: by another process than the mount's.
stage_elsewhere() { printf '%s  %s\n' "$2" "$1" | stagefs stage t/r:w - > /dev/null; }
# ends_well WHAT PID: of a child of this shell.
ends_well() {
  wait "$2"
  equals "$1" 0 $?
}
# Another process takes the index's turn to write until let_go: on PostgreSQL the one that has the repository to itself.
take_turn() {
  mkfifo taken release
  if [ -n "${STAGEFS_INDEX:-}" ]; then
    psql -qX -v ON_ERROR_STOP=1 "$STAGEFS_INDEX" > /dev/null << 'SQL' &
BEGIN;
SET search_path = stagefs_1;
SELECT pg_advisory_xact_lock(x'73746766'::int + 1, 0);
\! : > taken
\i release
COMMIT;
SQL
  else
    python3 - "$STAGEFS_ROOT/t/r/stagefs.db" << 'PYTHON' &
import sqlite3, sys
index = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
index.execute("BEGIN IMMEDIATE")
open("taken", "w").close()
statement = open("release").read()
if statement:
    index.execute(statement)
index.execute("COMMIT")
PYTHON
  fi
  holder=$!
  cat taken
}
# let_go [SQL]: after it did that.
let_go() {
  printf '%s' "${1:-}" > release
  ends_well "the other process" "$holder"
  rm taken release
}
