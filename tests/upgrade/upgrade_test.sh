#!/usr/bin/env bash
# Old roots go on: what an earlier version made opens, shows what it held, and can be changed. tests/upgrade/make.sh made
# tests/fixtures/VERSION with that version.
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
# shellcheck source=tests/upgrade/shown.sh
. "$TOP/tests/upgrade/shown.sh"
fixtures=$TOP/tests/fixtures

moves_apart() { sed -E 's/^R  ([0-9a-f]{64})  ([0-9a-f]{64})  (.*) -> (.*)$/D  \1  -  \3\nA  -  \2  \4/'; }
# goes_on VERSION INDEX: the root that is at $STAGEFS_ROOT.
goes_on() {
  # 0.1.0 said nothing of those, of a file that moved that it went and another one came, and staged no links.
  shown "$MNT" | grep -v '"recovered_of_no_workspace":' | moves_apart |
    sed 's/(symbolic link, not staged: .*)/(symbolic link, never staged)/' | LC_ALL=C sort > shown.txt
  LC_ALL=C sort "$fixtures/$1/$2.txt" > held.txt
  check "the root of $1 shows what it held" diff held.txt shown.txt
  mount_w || echo "not ok - there is no mount"
  equals "what was interrupted" "half of it" "$(cat "$MNT/.stagefs/recovered/interrupted")"
  check "it is taken" stagefs retry t/r:w interrupted
  check "a file is written" sh -c "echo new > $MNT/data/new && rm $MNT/added"
  check "a version is linked" ln "$MNT/.stagefs/versions/$(echo cat | sha256sum | cut -d' ' -f1)" "$MNT/linked"
  check "a manifest is staged" sh -c "cd $WORK && echo old > listed && $STAGEFS_BINARY put t/r listed | $STAGEFS_BINARY stage t/r:w -"
  check "a folder is unstaged" stagefs unstage t/r:w moved
  check "all of it is committed" stagefs commit t/r:w -m 'The third'
  equals "the log goes on" "The third, The second, The first, Initialized repository" \
    "$(stagefs log t/r | sed 's/.*  //' | paste -sd, | sed 's/,/, /g')"
  equals "with the tree as it is" "data data/cat.jpg data/deep data/deep/two data/dog.jpg data/new data/numbers data/run interrupted linked listed run second.jpg" \
    "$(cd "$MNT/.stagefs/base" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort | xargs)"
  equals "a link that was kept stays unstaged" "L  link -> /nowhere" "$(stagefs status t/r:w | grep -o '^L  link -> /nowhere')"
  check "until it is touched" sh -c "touch -h '$MNT/link' && '$STAGEFS_BINARY' status t/r:w | grep -q '^A  link -> /nowhere'"
  check "a branch" stagefs branch create t/r more
  check "a workspace on the other one" stagefs workspace create t/r:new --branch side
  check "the mount ends" unmount_w
  check "nothing is damaged" stagefs fsck t/r
}
test_0_1_0_sqlite() {
  mkdir "$STAGEFS_ROOT" && tar -C "$STAGEFS_ROOT" -xJf "$fixtures/0.1.0/sqlite.tar.xz"
  goes_on 0.1.0 sqlite
}
# An older process would go on by the layout that it knows: here it is somebody else who holds what it would hold.
test_upgrade_beside_an_older_sqlite() {
  mkdir "$STAGEFS_ROOT" && tar -C "$STAGEFS_ROOT" -xJf "$fixtures/0.1.0/sqlite.tar.xz"
  mkfifo ask
  sqlite3 "$STAGEFS_ROOT/t/r/stagefs.db" < ask > told & older=$!
  exec 7> ask
  echo "INSERT INTO mount (host, mountpoint, workspace, writer, pid, started, seen_ns)
    VALUES ('', CAST('/an/old/mount' AS BLOB), 1, 1, $older, 1, 0); SELECT 'there';" >&7
  check "an older process has the index open" soon grep -q there told
  refuses "it is named" "process $older (sqlite3), mounted at /an/old/mount" stagefs ls t/r
  equals "nothing is upgraded" 4 "$(sql 'PRAGMA user_version')"
  echo "DELETE FROM mount;" >&7
  exec 7>&-
  wait "$older"
  goes_on 0.1.0 sqlite
  equals "it is upgraded" "5 1" "$(sql 'PRAGMA user_version') $(sql "SELECT count(*) FROM sqlite_master WHERE name = 'version' AND sql LIKE '%AUTOINCREMENT%'")"
  equals "SQLite finds it whole" ok "$(sql 'PRAGMA integrity_check')"
}
# 0.1.0 opened and closed an index that it made, which loses the locks of the process: it goes on without any.
test_upgrade_beside_an_older_sqlite_without_locks() {
  mkdir "$STAGEFS_ROOT" && tar -C "$STAGEFS_ROOT" -xJf "$fixtures/0.1.0/sqlite.tar.xz"
  mkfifo ask
  python3 -c 'import os, sqlite3, sys
index = sqlite3.connect(sys.argv[1], isolation_level=None)
index.execute("INSERT INTO meta VALUES (?, ?)", ("in the log", ""))
os.close(os.open(sys.argv[1], os.O_RDWR))
print("there", flush=True)
sys.stdin.readline()
index.execute("INSERT INTO meta VALUES (?, ?)", ("added later", ""))' "$STAGEFS_ROOT/t/r/stagefs.db" < ask > told & older=$!
  exec 7> ask
  check "an older process has the index open" soon grep -q there told
  log=$(stat -c %i "$STAGEFS_ROOT/t/r/stagefs.db-wal")
  refuses "it is named" "process $older (python3)" stagefs ls t/r
  equals "its log is left to it" "$log" "$(stat -c %i "$STAGEFS_ROOT/t/r/stagefs.db-wal")"
  echo >&7
  exec 7>&-
  wait "$older"
  equals "it goes on, and ends" 0 $?
  check "the index is upgraded" stagefs ls t/r
  equals "to the newest layout, with all that it wrote" "5 2" \
    "$(sql 'PRAGMA user_version') $(sql "SELECT count(*) FROM meta WHERE key IN ('in the log', 'added later')")"
}
# Old roots on PostgreSQL, at $STAGEFS_ROOT and $postgres_url.
restore_postgres() {
  mkdir "$STAGEFS_ROOT" && tar -C "$STAGEFS_ROOT" -xJf "$fixtures/0.1.0/postgres.tar.xz"
  chmod 755 .. .  # PostgreSQL becomes another user.
  start_postgres "$WORK" || { echo "not ok - PostgreSQL does not start"; return; }
  DAEMONS=$postgres
  sed -i "s,postgresql:[^\"]*,${postgres_url/&/\\&}," "$STAGEFS_ROOT/t/r/places.json"  # The server is another.
  check "the database is restored" sh -c "xzcat $fixtures/0.1.0/postgres.sql.xz | psql -qX -v ON_ERROR_STOP=1 '$postgres_url' -o restored"
  # The versions lie in a folder of a machine, which was another: a new repository tells how it is called here.
  stagefs --index "$postgres_url" create t/other
  STAGEFS_INDEX=$postgres_url sql "UPDATE meta SET value = (SELECT left(value, -5) || 'r' FROM stagefs_2.meta o WHERE o.key = meta.key)
    WHERE key = 'versions'"
  stagefs delete t/other
}
test_0_1_0_postgres() {
  restore_postgres
  goes_on 0.1.0 postgres
}
test_upgrade_beside_an_older_postgres() {
  restore_postgres
  schema_version() { psql -qXAt "$postgres_url" -c "SELECT schema_version FROM stagefs.repository WHERE name = 't/r'"; }
  mkfifo ask
  PGAPPNAME=stagefs psql -qXAt "$postgres_url" < ask > told & older=$!
  exec 7> ask
  echo "SELECT 'pid ' || pg_backend_pid();" >&7
  check "an older process is connected" soon grep -q pid told
  refuses "it is named" "connection $(cut -d' ' -f2 told) to the database" stagefs ls t/r
  equals "nothing is upgraded" 4 "$(schema_version)"
  exec 7>&-
  wait "$older"
  # Two at once.
  "$STAGEFS_BINARY" ls t/r > /dev/null & first=$!
  check "it is shown" stagefs ls t/r
  wait "$first"
  equals "by two at once" 0 $?
  equals "it is upgraded" 5 "$(schema_version)"
  goes_on 0.1.0 postgres
}
run_cases
