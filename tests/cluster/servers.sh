# shellcheck shell=bash
# shellcheck disable=SC2034 # Used by those who source it.
# Sourced by the cluster's tests: start_servers FOLDER starts PostgreSQL in FOLDER/postgres and S3 in FOLDER/s3 and waits for
# both; their processes are $postgres and $s3, their addresses $postgres_url and $s3_endpoint.
cluster=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# A port below those that the kernel gives to clients, so that nobody takes it before the server does.
free_port() {
  python3 -c 'import os, socket
for attempt in range(1000):
    port = 10000 + (os.getpid() * 7 + attempt) % 20000
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)):
            print(port)
            break'
}
# soon COMMAND…: within the seven minutes that PyPI may take.
soon() {
  local deadline=$(($(date +%s) + 420))
  until "$@" > /dev/null 2>&1; do
    [ "$(date +%s)" -lt $deadline ] || return 1
    read -r -t 0.1 _ <> <(:) || :
  done
}
start_postgres() {
  "$cluster/postgres.sh" "$1/postgres" &
  postgres=$!
  postgres_url="postgresql:///postgres?host=$1/postgres&user=stagefs"
  soon sh -c "test -e $1/postgres/data/postmaster.pid && pg_isready -q -h $1/postgres"
}
stop_postgres() { kill -INT "$postgres"; wait "$postgres" 2> /dev/null; }
start_s3() {
  s3_port=${s3_port:-$(free_port)}
  s3_endpoint=http://127.0.0.1:$s3_port
  "$cluster/s3.sh" "$1/s3" "$s3_port" &
  s3=$!
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret
  soon curl -s -o /dev/null -X PUT "$s3_endpoint/bucket"
}
stop_s3() { kill "$s3"; wait "$s3" 2> /dev/null; }
start_servers() {
  chmod 755 "$1"  # PostgreSQL becomes another user.
  start_postgres "$1" && start_s3 "$1"
}
