#!/usr/bin/env bash
# Eight machines on one workspace (DAEMONS_SECONDS=60).
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
start_servers "$WORK"
DAEMONS="$postgres $s3"
psql -qX "$postgres_url" -c "CREATE DATABASE eight"
shows "eight machines, with cuts: nothing lost, nothing twice, in order, seen by the others within a second" \
  python3 -B "$TOP/tests/cluster/daemons.py" "$STAGEFS_BINARY" "${postgres_url/\/postgres\?/\/eight?}" \
  "$(head -n 1 "$WORK/postgres/data/postmaster.pid")" "s3://bucket/eight?endpoint=$s3_endpoint" "${DAEMONS_SECONDS:-60}"
