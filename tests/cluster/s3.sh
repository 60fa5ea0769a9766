#!/usr/bin/env bash
# Runs an S3 server on loopback with a bucket `bucket` in FOLDER, for tests: it ends with its parent.
# Usage: s3.sh FOLDER PORT. Its URL is s3://bucket/PREFIX?endpoint=http://127.0.0.1:PORT; its keys are test and testsecret.
# s3s-fs, which checks signatures, where `make deps CLUSTER=1` built it; else moto, from PyPI.
set -eu
folder=$1 port=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$folder/bucket"
if [ -x "$top/build/cluster/bin/s3s-fs" ]; then
  exec setpriv --pdeathsig TERM "$top/build/cluster/bin/s3s-fs" --host 127.0.0.1 --port "$port" --access-key test \
    --secret-key testsecret "$folder" > "$folder.log" 2>&1
fi
if [ ! -x "$top/build/moto/done" ]; then
  rm -rf "$top/build/moto"
  python3 -m venv "$top/build/moto" && timeout 400 "$top/build/moto/bin/pip" -q install 'moto[server]==5.2.5'
  install -m 755 /dev/null "$top/build/moto/done"
fi
exec setpriv --pdeathsig TERM "$top/build/moto/bin/moto_server" -H 127.0.0.1 -p "$port" > "$folder.log" 2>&1
