#!/usr/bin/env bash
# S3 is slow and the database's rows are locked: who waits for them keeps nobody else waiting, and ends when it is killed.
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
export STAGEFS_VERSIONS_WAIT=60 STAGEFS_INDEX=$postgres_url
export STAGEFS_VERSIONS="s3://bucket/p?endpoint=http://127.0.0.1:$proxy_port"
forget_copies() { rm -rf root/t/r/cache/??; }  # Of this machine.
threads() { find "/proc/$(daemon_pid)/task" -maxdepth 1 -name '[0-9]*' | wc -l; }
more_threads() { [ "$(threads)" -ge "$1" ]; }
few_threads() { [ "$(threads)" -le 30 ]; }
killed_soon() {
  local pid
  kill -9 "$@"
  for pid; do ended "$pid" 2 || { echo "$pid: $(grep State "/proc/$pid/status")"; return 1; }; done
  wait "$@" 2> /dev/null || :
}
soon_done() { timeout 5 "$@"; }

check "a mount" mount_w
mkdir "$MNT/cold"
for i in {1..40}; do head -c 200000 /dev/urandom > "$MNT/cold/$i"; done
echo warm > "$MNT/warm"
sha256sum "$MNT"/cold/* > sums
check "and another one, that has read nothing" unmount_w
check "of the same" mount_w
forget_copies
check "one file is read" grep -qx warm "$MNT/warm"

s3_is slow 40
for i in {1..20}; do
  cat "$MNT/cold/$i" > /dev/null & readers[i]=$!
done
for i in {21..40}; do
  cat "$MNT/.stagefs/versions/$(sed -n "s|  $MNT/cold/$i\$||p" sums)" > /dev/null & readers[i]=$!
done
check "forty read what is not here" eventually more_threads 40
check "a file is looked at meanwhile" soon_done stat "$MNT/cold/1"
check "a folder is listed" soon_done ls -l "$MNT/cold"
check "the status is read" soon_done cat "$MNT/.stagefs/status"
check "what is here is read" soon_done cat "$MNT/warm"
check "what changes no bytes is done" soon_done mv "$MNT/cold/1" "$MNT/cold/one"
check "who reads ends when it is killed" killed_soon "${readers[@]}"
check "and nobody fetches for it" eventually few_threads
equals "nothing is left of that" "" "$(ls root/t/r/cache/incoming)"

cat "$MNT/cold/2" > /dev/null & first=$!
read -r -t 0.5 _ <> <(:)
sha256sum "$MNT/cold/2" > second & second=$!
read -r -t 0.5 _ <> <(:)
s3_is ok
check "one of two that read the same is killed" killed_soon $first
check "the other one gets it" ended $second 60
equals "with its bytes" "$(grep "/cold/2\$" sums)" "$(cat second)"

database() { psql -qXAt "$STAGEFS_INDEX" -c "$1"; }
database "BEGIN; LOCK TABLE stagefs_1.staged_entry; SELECT pg_sleep(100)" > /dev/null 2>&1 &
locks() { [ "$(database "SELECT count(*) FROM pg_locks WHERE NOT granted")" -ge "$1" ]; }
locked() { database "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'" | grep -q 1; }
check "a table is locked" eventually locked
for i in {1..12}; do mkdir "$MNT/new-$i" & waiting[i]=$!; done
ls "$MNT/cold" > /dev/null & waiting[13]=$!
stat "$MNT/never-seen" > /dev/null 2>&1 & waiting[14]=$!
check "what the mount asks waits for that" eventually locks 1
check "who waits for the database ends when it is killed" killed_soon "${waiting[@]}"
database "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'" > /dev/null
check "the database goes on: so does the mount" eventually mkdir "$MNT/new"
equals "nothing was done for the others" "new" "$(cd "$MNT" && echo new*)"
check "nor is anything damaged" stagefs fsck t/r
check "unmount" unmount_w
