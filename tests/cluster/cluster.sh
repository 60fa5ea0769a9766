#!/usr/bin/env bash
# Runs the contract suites, the unit tests and what happens on mounts and over HTTP with the index on PostgreSQL, the
# versions on S3, and both. Usage: cluster.sh BUILD_FOLDER [PATTERN [COMBINATION]]
# The S3 server must keep objects as files: s3s-fs does, which `make deps CLUSTER=1` builds.
# COMBINATION is postgres, s3 or postgres+s3 (default: each).
set -u
cd "$(dirname "$0")/../.." || exit 2
out=$1 pattern=${2:-} only=${3:-}
servers=$(mktemp -d /tmp/stagefs-servers-XXXXXX)
chmod 755 "$servers"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tests/cluster/postgres.sh "$servers/postgres" & postgres=$!
tests/cluster/s3.sh "$servers/s3" "$port" & s3=$!
stop() {
  kill -INT "$postgres"
  kill "$s3"
  wait "$postgres" "$s3"
  rm -rf "$servers"
}
trap stop EXIT
trap 'exit 130' INT TERM
endpoint=http://127.0.0.1:$port
deadline=$(($(date +%s) + 420))
until [ -e "$servers/postgres/data/postmaster.pid" ] && pg_isready -q -h "$servers/postgres" &&
  curl -s -o /dev/null -X PUT "$endpoint/bucket"; do
  [ "$(date +%s)" -lt $deadline ] || { echo "not ok - the servers do not start: see $servers"; exit 1; }
  sleep 0.1
done
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret STAGEFS_TEST_S3_FOLDER=$servers/s3/bucket
failed=0
for combination in postgres s3 postgres+s3; do
  [ -z "$only" ] || [ "$only" = "$combination" ] || continue
  unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
  [[ $combination != postgres* ]] || export STAGEFS_TEST_POSTGRES="postgresql:///postgres?host=$servers/postgres&user=stagefs"
  [[ $combination != *s3 ]] || export STAGEFS_TEST_S3=$endpoint
  echo "==== $combination"
  STAGEFS_TEST_PLACES=$combination tests/run.sh "$out" "$pattern" || failed=1
done
exit $failed
