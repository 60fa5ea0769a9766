#!/usr/bin/env bash
# Runs the contract suites, the unit tests and what happens on mounts and over HTTP with the index on PostgreSQL, the
# versions on S3, and both. Usage: cluster.sh BUILD_FOLDER [PATTERN [COMBINATION]]
# The S3 server must keep objects as files: s3s-fs does, which `make deps CLUSTER=1` builds.
# COMBINATION is postgres, s3 or postgres+s3 (default: each).
set -u
cd "$(dirname "$0")/../.." || exit 2
out=$1 pattern=${2:-} only=${3:-}
# shellcheck source=tests/cluster/servers.sh
. tests/cluster/servers.sh
servers=$(mktemp -d "${TMPDIR:-/tmp}/stagefs-servers-XXXXXX")
stop() {
  stop_postgres
  stop_s3
  rm -rf "$servers"
}
trap stop EXIT
trap 'exit 130' INT TERM
start_servers "$servers" || { echo "not ok - the servers do not start: see $servers"; exit 1; }
failed=0
for combination in postgres s3 postgres+s3; do
  [ -z "$only" ] || [ "$only" = "$combination" ] || continue
  unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3 STAGEFS_TEST_S3_FOLDER
  [[ $combination != postgres* ]] || export STAGEFS_TEST_POSTGRES=$postgres_url
  [[ $combination != *s3 ]] || export STAGEFS_TEST_S3=$s3_endpoint STAGEFS_TEST_S3_FOLDER=$servers/s3/bucket
  echo "==== $combination"
  STAGEFS_TEST_PLACES=$combination tests/run.sh "$out" "$pattern" || failed=1
done
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3 STAGEFS_TEST_S3_FOLDER
if [ -z "$only" ]; then
  echo "==== failures"
  CLUSTER=1 tests/run.sh "$out" "$pattern" || failed=1
fi
exit $failed
