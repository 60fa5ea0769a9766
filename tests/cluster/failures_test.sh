#!/usr/bin/env bash
# What fails when the database or S3 does, and what goes on: nothing that was acknowledged is lost, reads of what is cached
# go on, and everything works again without a new mount.
set -u
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
proxy_port=$(free_port)
s3_is() { echo "$@" > control.new && mv control.new control; }
s3_is ok
start_servers "$WORK"
DAEMONS="$postgres $s3"
python3 "$TOP/tests/cluster/proxy.py" "$proxy_port" "$s3_port" "$WORK/control" & DAEMONS="$DAEMONS $!"
eventually curl -s -o /dev/null "http://127.0.0.1:$proxy_port/bucket"
export STAGEFS_INDEX_WAIT=2 STAGEFS_VERSIONS_WAIT=3
export STAGEFS_INDEX=$postgres_url
export STAGEFS_VERSIONS="s3://bucket/p?endpoint=http://127.0.0.1:$proxy_port"
forget_copies() { rm -rf root/t/r/cache/??; }  # Of this machine.

check "a mount" mount_w
head -c 300000 /dev/urandom > data
check "a file" cp data "$MNT/kept"

# S3.
s3_is 503 3
check "S3 throttles: the write goes through" cp data "$MNT/throttled"
head -c 200000 /dev/urandom > other
s3_is 503 2
check "new content, too" cp other "$MNT/other"
s3_is slow 0.3
check "S3 is slow: so is the write" sh -c "echo slow > $MNT/slow"
s3_is ok
s3_is ahead 600
check "this machine's clock is behind that of S3: the write goes through" cp other "$MNT/skewed"
s3_is ok
forget_copies
s3_is wrong
refuses "other bytes than the version's are an error" "Input/output error" cat "$MNT/other"
s3_is cut
refuses "so is half of them" "Input/output error" cat "$MNT/other"
s3_is ok
check "once they are right they are read" cmp other "$MNT/other"
stop_s3
check "S3 is gone: what is cached is read" cmp other "$MNT/other"
refuses "what is not is an error" "Input/output error" cat "$MNT/kept"
echo lost > lost
refuses "a write is one, too" "Input/output error" cp lost "$MNT/unsent"
check "and says so, with its bytes kept" sh -c "$STAGEFS_BINARY status t/r:w | grep 'unsent' | grep -q refused"
check "staging by hash needs no byte" sh -c "echo \"$(sha256sum < data | cut -d' ' -f1)  by-hash\" | $STAGEFS_BINARY stage t/r:w -"
start_s3 "$WORK"
DAEMONS="$DAEMONS $s3"
check "S3 is back: what was refused is sent" stagefs retry t/r:w unsent
equals "with its bytes" lost "$(cat "$MNT/unsent")"
check "and the rest is read" cmp data "$MNT/by-hash"
s3_is hang
refuses "S3 hangs: an error in the end" "Input/output error" timeout 100 sh -c "rm -rf root/t/r/cache/??; cat $MNT/throttled"
s3_is ok

# The database.
check "read once" cmp data "$MNT/kept"
exec 8< "$MNT/kept"
stop_postgres
equals "the database is gone: what is open is read" "$(sha256sum < data)" "$(sha256sum <&8)"
exec 8<&-
check "and what was read before is opened again" cmp data "$MNT/kept"
refuses "a write is an error" "Input/output error" sh -c "echo x > $MNT/unstaged"
refuses "so is a command" "connect to the index" stagefs status t/r:w
start_postgres "$WORK"
DAEMONS="$DAEMONS $postgres"
check "the database is back: a write works" sh -c "echo y > $MNT/again"
equals "and what was acknowledged is there" "again by-hash kept other skewed slow throttled unsent" \
  "$(stagefs status t/r:w | sed -n 's/^A  //p' | tr '\n' ' ' | sed 's/ $//')"
kill -STOP "$postgres" $(pgrep -P "$postgres")
refuses "the database freezes: an error in the end" "Input/output error" timeout 100 sh -c "echo z > $MNT/frozen"
kill -CONT "$postgres" $(pgrep -P "$postgres")
check "it thaws: a write works" eventually sh -c "echo z > $MNT/thawed"

# The daemon.
pid=$(daemon_pid)
kill -STOP "$pid"
printf '%s  while-frozen\n' "$(sha256sum < data | cut -d' ' -f1)" | stagefs stage t/r:w - > /dev/null
kill -CONT "$pid"
check "the daemon was frozen: it shows what came meanwhile" eventually test -s "$MNT/while-frozen"
psql -qX "$STAGEFS_INDEX" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'stagefs%'" > /dev/null
check "its connections are ended: a write works" sh -c "echo c > $MNT/reconnected"
seq -f "$(sha256sum < data | cut -d' ' -f1)  many/%06.0f" 1 200000 > many
stagefs stage t/r:w many > /dev/null 2>&1 & batch=$!
eventually sh -c "psql -qXAt '$STAGEFS_INDEX' -c \"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted\" | grep -q 1"
kill -9 "$(pgrep -f "^$STAGEFS_BINARY stage t/r:w many")"; wait "$batch" 2>/dev/null
check "a batch is killed: others go on" sh -c "echo d > $MNT/after-batch"
check "and none of it is staged" sh -c "! $STAGEFS_BINARY status t/r:w | grep -q many"
check "fsck" stagefs fsck t/r
check "commit" stagefs commit t/r:w -m "all done"
check "unmount" unmount_w
