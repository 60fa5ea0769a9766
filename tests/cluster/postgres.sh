#!/usr/bin/env bash
# Runs a PostgreSQL server on a socket in FOLDER, for tests: it ends with its parent. Usage: postgres.sh FOLDER
# Its URL is postgresql:///postgres?host=FOLDER&user=stagefs. PostgreSQL refuses to run as root: it becomes `postgres` then.
set -eu
folder=$1
bin=$(pg_config --bindir)
as=(setpriv --pdeathsig QUIT)
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid postgres --regid postgres --clear-groups --pdeathsig QUIT)
mkdir -p "$folder"
[ "$(id -u)" -ne 0 ] || chown postgres "$folder"
cd "$folder"
[ -d data ] || "${as[@]}" "$bin/initdb" -D data -A trust -U stagefs -E UTF8 --locale=C --no-sync > initdb.log
# Nothing here must outlive the machine.
exec "${as[@]}" "$bin/postgres" -D data -k "$folder" -c listen_addresses= -c fsync=off -c max_connections=200 \
  ${STAGEFS_TEST_POSTGRES_OPTIONS:-} > server.log 2>&1
