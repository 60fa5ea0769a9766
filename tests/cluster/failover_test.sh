#!/usr/bin/env bash
# PostgreSQL fails over to a standby that the URL names, too: nothing that was acknowledged is lost, and nobody mounts again.
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
cd "$WORK" || exit 1
chmod 755 .
mkdir first second
chmod 777 second
start_postgres "$WORK/first"
primary=$postgres DAEMONS=$postgres
as=()
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid postgres --regid postgres --clear-groups)
bin=$(pg_config --bindir)
run_as() { "${as[@]}" "$@"; }
check "a copy of it" run_as "$bin/pg_basebackup" -h "$WORK/first/postgres" -U stagefs -R -D "$WORK/second/postgres/data" --checkpoint=fast
start_postgres "$WORK/second"
DAEMONS="$DAEMONS $postgres"
psql -qX "postgresql:///postgres?host=$WORK/first/postgres&user=stagefs" \
  -c "ALTER SYSTEM SET synchronous_standby_names = '*'" -c "SELECT pg_reload_conf()" > /dev/null
eventually sh -c "psql -qXAt 'postgresql:///postgres?host=$WORK/first/postgres&user=stagefs' -c 'SELECT sync_state FROM pg_stat_replication' | grep -q sync"
export STAGEFS_INDEX_WAIT=5
export STAGEFS_INDEX="postgresql:///postgres?host=$WORK/first/postgres,$WORK/second/postgres&user=stagefs&target_session_attrs=read-write"
check "mounted" mount_w
for i in $(seq 50); do echo "$i" > "$MNT/$i"; done
exec 8< "$MNT/7"
kill -QUIT "$primary"
wait "$primary" 2> /dev/null
equals "while it is gone, what is open is read" 7 "$(cat <&8)"
exec 8<&-
refuses "and writes are errors" "Input/output error" sh -c "echo x > $MNT/unstaged"
refuses "no change goes to a standby" "" stagefs workspace create t/r:other
run_as "$bin/pg_ctl" promote -D "$WORK/second/postgres/data" > /dev/null
check "the standby takes over: a write works" eventually cp "$TOP/README.md" "$MNT/after"
equals "everything acknowledged is there" 50 "$(stagefs status t/r:w | grep -cE '^A  [0-9]+$')"
check "what others do is seen" sh -c "echo \"$(sha256sum < "$TOP/README.md" | cut -d' ' -f1)  by-hash\" | $STAGEFS_BINARY stage t/r:w -"
check "in time" eventually cmp "$TOP/README.md" "$MNT/by-hash"
check "doctor is content" sh -c "$STAGEFS_BINARY doctor t/r | grep -vE 'fsync|in a folder of this machine' | { ! grep '^PROBLEM'; }"
check "fsck" stagefs fsck t/r
check "unmount" unmount_w
