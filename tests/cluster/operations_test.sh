#!/usr/bin/env bash
# What whoever runs a cluster uses: prefetch and the cache, /metrics, doctor, keys from each place.
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
cd "$WORK" || exit 1
start_servers "$WORK"
DAEMONS="$postgres $s3"
export STAGEFS_INDEX=$postgres_url STAGEFS_VERSIONS="s3://bucket/p?endpoint=$s3_endpoint" STAGEFS_INDEX_WAIT=3 STAGEFS_VERSIONS_WAIT=3
mkdir data data/sub
for i in $(seq 40); do head -c 100000 /dev/urandom > "data/$i"; done
head -c 50000000 /dev/urandom > data/sub/large
stagefs create t/r
stagefs put t/r data > sums
stagefs workspace create t/r:w > /dev/null
check "staged" stagefs stage t/r:w sums
cached() { find root/t/r/cache -type f -size +1 2> /dev/null | wc -l; }

# The cache.
forget() { rm -rf root/t/r/cache/??; }
forget
check "prefetch of a folder" sh -c "$STAGEFS_BINARY prefetch t/r:w sub | grep -qx '1 files (50000000 bytes) are on this machine'"
equals "brings what is in it" 1 "$(cached)"
check "prefetch of everything" stagefs prefetch t/r:w
equals "brings everything" 41 "$(cached)"
refuses "prefetch of nothing" "no such path" stagefs prefetch t/r:w nowhere
forget
check "a small cache keeps within its bound" sh -c "STAGEFS_CACHE_BYTES=1000000 $STAGEFS_BINARY prefetch t/r:w && test \$(du -sb root/t/r/cache | cut -f1) -lt 1300000"
forget
stagefs prefetch t/r:w > /dev/null
# As a power cut may leave it: files from before the boot that are not what they were.
damaged=$(find root/t/r/cache -type f -size +1 -size -200k | head -n 1)
chmod u+w "$damaged" && printf X | dd of="$damaged" conv=notrunc status=none && touch -d yesterday "$damaged"
check "what is older than the boot is hashed before it is read" sh -c "$STAGEFS_BINARY mount t/r:w $MNT && diff -r data $MNT"
unmount_w

# A mount that was silent for so long that others took it for dead.
stagefs mount t/r:w "$MNT"
check "a name that is missing" test ! -e "$MNT/late"
daemon=$(daemon_pid)
kill -STOP "$daemon"
sql "DELETE FROM mount"  # As who looks for live mounts after a minute.
check "others stage it" sh -c "printf '%s  late\\n' \$(sha256sum < data/2 | cut -d' ' -f1) | $STAGEFS_BINARY stage t/r:w - > /dev/null"
read -r -t 11 _ <> <(:) || :  # Its next word that it lives is due.
kill -CONT "$daemon"
check "it sees that when it goes on" eventually cmp data/2 "$MNT/late"
check "and is known again" eventually mounts_known 1
unmount_w

# /metrics.
stagefs serve --listen 127.0.0.1:0 --insecure-no-auth 2> serve.log & server=$!
DAEMONS="$DAEMONS $server"
eventually grep -q serving serve.log
url=$(sed -n 's/.*serving //p' serve.log)
metrics() { curl -sS "$url/metrics"; }
hash=$(sha256sum < data/1 | cut -d' ' -f1)
check "a batch" curl -sSf -o /dev/null -H 'content-type: application/json' -d "[{\"hash\": \"$hash\", \"path\": \"by-http\"}, {\"hash\": \"00\", \"path\": \"x\"}]" "$url/api/repos/t/r/workspaces/w/files/batch/in"
check "is counted" sh -c "curl -sS $url/metrics | grep -qx 'stagefs_batch_entries_total 2'"
check "with what was refused" sh -c "curl -sS $url/metrics | grep -qx 'stagefs_batch_refused_total 1'"
check "and how long it took" sh -c "curl -sS $url/metrics | grep -qx 'stagefs_batch_seconds_count 1'"
check "staged entries of each workspace" sh -c "curl -sS $url/metrics | grep -qx 'stagefs_staged_entries{repository=\"t/r\",workspace=\"w\"} 43'"
forget
check "a file by HTTP" curl -sSf -o /dev/null "$url/api/repos/t/r/workspaces/w/files/in/by-http"
check "requests to S3" sh -c "curl -sS $url/metrics | grep -q '^stagefs_s3_requests_total [1-9]'"
if command -v promtool > /dev/null; then check "promtool" sh -c "curl -sS $url/metrics | promtool check metrics"; fi

# doctor.
check "doctor is content" sh -c "$STAGEFS_BINARY doctor t/r | grep -v fsync | { ! grep -q '^PROBLEM'; }"
check "but for fsync, which this server has off" sh -c "$STAGEFS_BINARY doctor t/r | grep -q '^PROBLEM  index: fsync is off'"
stop_s3
check "doctor: no S3" sh -c "$STAGEFS_BINARY doctor t/r | grep -q '^PROBLEM  versions: .*onnect'"
stop_postgres
check "doctor: no database" sh -c "$STAGEFS_BINARY doctor t/r | grep -q '^PROBLEM  connect to the index'"
metrics | grep -q '^stagefs_index_errors_total 0' || :
start_postgres "$WORK"; DAEMONS="$DAEMONS $postgres"
start_s3 "$WORK"; DAEMONS="$DAEMONS $s3"

# Keys.
forget
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
export AWS_EC2_METADATA_DISABLED=true HOME=$WORK/home
mkdir -p home/.aws keys
refuses "no keys" "no keys for S3" stagefs prefetch t/r:w 1
printf '[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[team]\naws_access_key_id=test\naws_secret_access_key=testsecret\n' > home/.aws/credentials
refuses "wrong keys" "403" stagefs prefetch t/r:w 1
check "a profile of the shared file" env AWS_PROFILE=team "$STAGEFS_BINARY" prefetch t/r:w 1
rm -r home/.aws
echo '{"AccessKeyId": "test", "SecretAccessKey": "testsecret", "Expiration": "2099-01-01T00:00:00Z"}' > keys/container
port=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory keys "$port" 2> /dev/null & DAEMONS="$DAEMONS $!"
eventually curl -sf -o /dev/null "http://127.0.0.1:$port/container"
check "a container's endpoint" env AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:$port/container" "$STAGEFS_BINARY" prefetch t/r:w 2
port=$(free_port)
python3 "$TOP/tests/cluster/metadata.py" "$port" "$WORK/metadata.log" & DAEMONS="$DAEMONS $!"
eventually curl -s -o /dev/null "http://127.0.0.1:$port/"
export AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:$port/"
forget
check "an instance's endpoint" stagefs prefetch t/r:w
check "whose keys are renewed before they expire" sh -c "test \$(grep -c 'team-role 200' metadata.log) -gt 1"
