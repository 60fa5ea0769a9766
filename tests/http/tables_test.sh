#!/usr/bin/env bash
# Tables in every dialect of Python's csv module. TABLE_CASES=100000 runs more, TABLE_SEED= one run once more.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

stagefs create t/r && stagefs workspace create t/r:w > id
echo a > a && echo b > b
mapfile -t hashes < <(stagefs --json put t/r a b | sed 's/.*"xxh3":"\([0-9a-f]*\)".*/\1/')
TOKEN=$(stagefs token create --user ann)
serve --listen 127.0.0.1:0
shows "what is staged is what a second reader finds in the table, or it is refused" \
  python3 -B "$TOP/tests/http/tables.py" "$URL" "$TOKEN" "${hashes[@]}" "${TABLE_CASES:-2000}" "${TABLE_SEED:-$RANDOM}"
stop
