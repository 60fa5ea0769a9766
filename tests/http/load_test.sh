#!/usr/bin/env bash
# Slow, greedy and broken clients beside a good one.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"
ulimit -n 20000 2> /dev/null  # The clients' own.
stagefs create t/r
stagefs workspace create t/r:w > /dev/null
echo content > file
hash=$(stagefs put t/r file | cut -d' ' -f1)
TOKEN=$(stagefs token create --user load)
serve --listen 127.0.0.1:0 --max-body 300000000
shows "a good client is answered whatever the others do, and memory stays bounded" \
  python3 -B "$TOP/tests/http/load.py" "$URL" /api/repos/t/r/workspaces/w "$TOKEN" "$hash" "$DAEMONS"
stop
equals "the server ends" 0 "$stopped"
