#!/usr/bin/env bash
# The HTTP door, driven with curl: routes, refusals, tokens, TLS.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

# A repository with two versions and a workspace, and a server; what some cases send is $LIST.
served() {
  mkdir data && echo cat > data/cat && echo dog > data/dog
  stagefs create t/r && stagefs put t/r data > sums && ID=$(stagefs workspace create t/r:w)
  CAT=$(sha256sum data/cat | cut -d' ' -f1) DOG=$(xxh128sum data/dog 2>/dev/null | cut -d' ' -f1)
  TOKEN=$(stagefs token create --user ann)
  again "$@"
  LIST="[{\"hash\":\"$CAT\",\"path\":\"sub/cat.jpg\"},{\"hash\":\"$DOG\",\"path\":\"dog.jpg\"}]"
}
# The server, once more.
again() {
  serve --listen :0 "$@"
  W=$URL/api/repos/t/r/workspaces/w
}
# Two files are committed below clients/, and staged again for their times.
committed() {
  served
  post "$LIST" "$W/versions/clients" > code
  stagefs commit t/r:w -m first > log
}
staged_again() {
  committed
  post "$LIST" "$W/versions/clients?update_timestamp=true" > code
}

test_server() {
  served
  answers "health" 200 '"percent_used"' http "$URL/api/health"
  answers "version" 200 '"oxen_version":"0.50.0"' http "$URL/api/version"
  answers "min_version" 200 '"version":"0.36.0"' http "$URL/api/min_version"
  answers "the OpenAPI document" 200 '"openapi": "3.1.0"' http "$URL/api/_spec/oxen_server_openapi.json"
  stop
  equals "the server ends with status 0" 0 "$stopped"
}
test_lists() {
  served
  answers "the documented route" 200 '"err_files":[]' post "$LIST" "$W/files/batch/data/train"
  answers "the body is as documented" 200 '{"status":"success","status_message":"resource_created","oxen_version":"0.50.0","err_files":[]}' post "$LIST" "$W/files/batch/data%2Ftrain"
  equals "an encoded slash is a slash" "A  data/train/dog.jpg
A  data/train/sub/cat.jpg" "$(stagefs status t/r:w)"
  answers "the route that clients call" 200 '"err_files":[]' post "$LIST" "$W/versions/clients"
  answers "the workspace by its id" 200 '"err_files":[]' post "$LIST" "$URL/api/repos/t/r/workspaces/$ID/versions/byid"
  answers "no directory" 200 '"err_files":[]' post "$LIST" "$W/versions/"
  answers "batch without a directory" 200 '"err_files":[]' post "$LIST" "$W/files/batch"
  answers "%25 and %2B and + are what they are" 200 '"err_files":[]' post "$LIST" "$W/files/batch/a%25b%2Bc+d"
  check "they name a folder" sh -c "\"\$STAGEFS_BINARY\" ls t/r:w | grep -qF 'a%b+c+d/'"
  answers "the document's own example body works" 200 '"err_files":[]' post '[{"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","path":"images/train/dog.jpg"}]' "$W/files/batch/data/train"
  answers "media types with +json and parameters" 200 '"err_files":[]' http -H 'content-type: application/vnd.x+json; charset=utf-8' --data-binary "$LIST" "$W/versions/json"
  answers "an empty list" 200 '"err_files":[]' post '[]' "$W/versions/none"
  answers "a list in several chunks" 200 '"err_files":[]' post "$LIST" -H 'transfer-encoding: chunked' "$W/versions/chunked"
}
test_compressed_bodies() {
  served --max-body 1000000
  printf '%s' "$LIST" > list && gzip -k list && zstd -q list
  for coding in gzip x-gzip GZIP zstd; do
    [ $coding = zstd ] && file=list.zst || file=list.gz
    answers "a list with $coding" 200 '"err_files":[]' post @$file -H "content-encoding: $coding" "$W/files/batch/$coding"
    check "is staged" stagefs ls t/r:w $coding/sub/cat.jpg
    head -c -3 $file > short
    answers "cut short" 400 'looks cut short' post @short -H "content-encoding: $coding" "$W/files/batch/cut"
    answers "what is not $coding" 400 'data is broken' post "$LIST" -H "content-encoding: $coding" "$W/files/batch/cut"
  done
  answers "no coding" 200 '"err_files":[]' post "$LIST" -H "content-encoding: identity" "$W/files/batch/identity"
  for coding in br deflate compress "gzip, gzip" "gzip, zstd" nonsense; do
    answers "$coding is not understood" 415 'gzip and zstd' post @list.gz -H "content-encoding: $coding" "$W/files/batch/cut"
  done
  equals "which ones are is said" "gzip, zstd" "$(curl -sS -D - -o body -H "authorization: Bearer $TOKEN" -H 'content-encoding: br' -d x \
    "$W/files/batch" | tr -d '\r' | sed -n 's/^accept-encoding: //Ip')"
  refuses "nothing of those is staged" "no such path" stagefs ls t/r:w cut
  for size in 1000000 1000001; do
    python3 - "$CAT" $size > many <<'PY'
import json, sys
entries = [{"hash": sys.argv[1], "path": f"many/{number}"} for number in range(10000)]
print(json.dumps(entries).ljust(int(sys.argv[2])), end="")
PY
    gzip -f many && [ "$(zcat many.gz | wc -c)" = $size ] || echo "not ok - the body has $size bytes"
    [ $size = 1000000 ] && answers "what unpacks to the limit" 200 '"err_files":[]' post @many.gz -H "content-encoding: gzip" "$W/files/batch"
  done
  answers "a byte more" 413 'more than 1000000 bytes' post @many.gz -H "content-encoding: gzip" "$W/files/batch"
  head -c 300000000 /dev/zero | zstd -q > bomb
  answers "a bomb" 413 'more than 1000000 bytes' post @bomb -H "content-encoding: zstd" "$W/files/batch"
  zstd -q --long=27 < list > window  # Of unknown size: it may be as large as the window.
  answers "a window that takes much memory" 413 'window of more than 8 MiB' post @window -H "content-encoding: zstd" "$W/files/batch"
  printf 'a form' > form.txt
  printf -- '--XX\r\ncontent-disposition: form-data; name="file[]"; filename="form.txt"\r\n\r\na form\r\n--XX--\r\n' | gzip > form
  answers "a form, too" 200 '"paths":["form/form.txt"]' http -H 'content-type: multipart/form-data; boundary=XX' -H 'content-encoding: gzip' --data-binary @form "$W/files/form"
}
test_columns_and_tables() {
  served
  named() { http -H "content-type: $1" --data-binary "$2" "$W/files/batch/$3"; }
  answers "members by other names, asked in the query" 200 '"err_files":[]' post "[{\"file\":\"a\",\"digest\":\"$CAT\"}]" "$W/files/batch/query?path_column=file&hash_column=digest"
  answers "or in the body, behind the entries" 200 '"err_files":[]' post "{\"entries\":[{\"file\":\"/data/a\",\"digest\":\"$CAT\"}],\"path_column\":\"file\",\"hash_column\":\"digest\",\"strip_prefix\":\"/data/\"}" "$W/files/batch/body"
  answers "a prefix and backslashes" 200 '"err_files":[]' post "[{\"path\":\"C:\\\\d\\\\a\",\"hash\":\"$CAT\"}]" "$W/files/batch/windows?strip_prefix=C:/&backslash=true"
  answers "a path without the prefix is refused" 200 "does not begin with" post "$LIST" "$W/files/batch/none?strip_prefix=/x/"
  answers "a member that is not there" 400 "missing field 'file'" post "$LIST" "$W/files/batch/none?path_column=file"
  answers "backslash is true or false" 400 "Query deserialize error" post "$LIST" "$W/files/batch/none?backslash=yes"
  answers "CSV" 200 '"err_files":[]' named text/csv "path,hash
a,$CAT" csv
  answers "TSV" 200 '"err_files":[]' named text/tab-separated-values "path	hash
a	$CAT" tsv
  answers "NDJSON" 200 '"err_files":[]' named application/x-ndjson "{\"path\":\"a\",\"hash\":\"$CAT\"}" ndjson
  answers "a column of CSV" 200 '"err_files":[]' named text/csv "x,y
a,$CAT" "column?path_column=x&hash_column=y"
  answers "a line of CSV that is wrong is named" 400 'manifest: line 2' named text/csv "path,hash
a" none
  equals "each is staged" "body/a column/a csv/a ndjson/a query/a tsv/a windows/d/a" "$(stagefs status t/r:w | cut -c4- | paste -sd' ')"
}
test_what_json_says_besides() {
  served
  answers "bits, times and bytes of paths" 200 '"err_files":[]' post "[{\"hash\":\"$CAT\",\"path\":\"run\",\"executable\":true,\"mtime\":\"2001-02-03T04:05:06.123456789Z\"},{\"hash\":\"$CAT\",\"path_base64\":\"/3gK\",\"mtime\":-1}]" "$W/files/batch/d"
  equals "are staged" '[["run", null, true, "2001-02-03T04:05:06.123456789Z"], [null, "ZC//eAo=", null, "1969-12-31T23:59:59.999999999Z"]]' "$(stagefs manifest t/r:w d --format ndjson | python3 -c 'import json, sys
entries = [json.loads(line) for line in sys.stdin]
print(json.dumps([[None if "path_base64" in e else e["path"][2:], e.get("path_base64"), e.get("executable"), e["mtime"]] for e in entries]))')"
  stagefs status t/r:w > before
  answers "what says nothing is refused" 400 "entry 2: 'mtime' must be a time" post "[{\"hash\":\"$CAT\",\"path\":\"a\"},{\"hash\":\"$CAT\",\"path\":\"b\",\"mtime\":1.5}]" "$W/files/batch"
  equals "and nothing is staged" "$(cat before)" "$(stagefs status t/r:w)"
}
test_names_that_are_not_utf8() {
  served
  printf '%s  latin-\344/file\n' "$CAT" | stagefs stage t/r:w - > /dev/null
  answers "a folder of changes" 200 '"path_base64":"bGF0aW4t5A=="' http "$W/changes"
  stagefs commit t/r:w -m latin > log
  answers "a folder that is listed" 200 '"path_base64":"bGF0aW4t5A=="' http "$URL/api/repos/t/r/dir/main/latin-%e4"
  answers "a file's" 200 '"path_base64":"bGF0aW4t5C9maWxl"' http "$URL/api/repos/t/r/meta/main/latin-%e4/file"
  printf 'path,hash\nlatin-\344,00\n' > latin.csv
  answers "what is refused" 200 '"path_base64":"bGF0aW4t5A=="' http -H 'content-type: text/csv' --data-binary @latin.csv "$W/files/batch"
}
test_bad_entries() {
  served
  answers "bad entries among good" 200 '"path":"x","error":"version 00' post "[{\"hash\":\"$CAT\",\"path\":\"good\"},{\"hash\":\"$(printf '0%.0s' $(seq 64))\",\"path\":\"x\"},{\"hash\":\"$CAT\",\"path\":\"../y\"}]" "$W/versions/some"
  check "the good one is staged" sh -c '"$STAGEFS_BINARY" ls t/r:w some | grep -q good'
  answers "atomic stages nothing" 422 '"err_files":[{' post "[{\"hash\":\"$CAT\",\"path\":\"good\"},{\"hash\":\"00\",\"path\":\"x\"}]" "$W/versions/atomic?atomic=true"
  refuses "nothing is there" "no such path" stagefs ls t/r:w atomic
}
test_a_dry_run() {
  served
  MIXED="[{\"hash\":\"$CAT\",\"path\":\"good\"},{\"hash\":\"00\",\"path\":\"x\"}]"
  answers "says what would be" 200 '"dry_run":true,"entries":2,"added":1,"modified":0,"unchanged":0,"replaced":0,"refused":1,"err_files":[{"hash":"00","path":"x","error":"version 00' post "$MIXED" "$W/files/batch/some?dry_run=true"
  answers "with codes, and numbers of entries" 200 '"code":"not_found","entry":2}]}' post "$MIXED" "$W/versions/some?dry_run=true"
  answers "atomic, too" 422 '"dry_run":true,"entries":2,"added":1' post "$MIXED" "$W/files/batch?dry_run=true&atomic=true"
  equals "and stages nothing" "" "$(stagefs status t/r:w)"
  answers "true or false" 400 "Query deserialize error" post "$MIXED" "$W/files/batch?dry_run=yes"
  printf x > form.txt
  answers "a form is no list" 400 "dry_run is for lists" http -F 'file[]=@form.txt' "$W/files/batch?dry_run=true"
}
test_unchanged_content() {
  committed
  answers "unchanged content" 200 '"err_files":[]' post "$LIST" "$W/versions/clients"
  equals "stages nothing" "" "$(stagefs status t/r:w)"
  answers "unless update_timestamp says so" 200 '"err_files":[]' post "$LIST" "$W/versions/clients?update_timestamp=true"
  equals "then it is modified" "M  clients/dog.jpg
M  clients/sub/cat.jpg" "$(stagefs status t/r:w)"
}
test_changes() {
  staged_again
  answers "changes" 200 '"modified_files":{"dir":null,"entries":[{"filename":"clients/dog.jpg"' http "$W/changes/"
  answers "changes below a path" 200 '"total_entries":1}' http "$W/changes/clients/sub"
  answers "changes by page" 200 '"page_size":1,"page_number":2,"total_pages":2,"total_entries":2' http "$W/changes/.?page=2&page_size=1"
  answers "page 0 is the first" 200 '"page_number":1' http "$W/changes?page=0&page_size=10"
}
test_files() {
  staged_again
  equals "a file" 200 "$(http "$W/files/clients/sub/cat.jpg")"
  check "its bytes" cmp body data/cat
  equals "HEAD has no body" "200 4" "$(curl -sS -m 30 -I -H "authorization: Bearer $TOKEN" "$W/files/clients/sub/cat.jpg" | tr -d '\r' | awk '/^HTTP/{c=$2} tolower($1)=="content-length:"{l=$2} END{print c, l}')"
}
test_headers() {
  served
  equals "headers on every answer" "0.50.0 my-id" "$(curl -sS -m 30 -D - -o /dev/null -H 'x-oxen-request-id: my-id' "$URL/x" | tr -d '\r' | awk 'tolower($1)=="oxen-version:"{v=$2} tolower($1)=="x-oxen-request-id:"{i=$2} END{print v, i}')"
}
test_refusals() {
  committed
  before=$(stagefs status t/r:w)
  answers "no content type" 400 'bad_request' http -H 'content-type:' --data-binary "$LIST" "$W/versions/r"
  answers "another content type" 400 'bad_request' http -H 'content-type: text/plain' --data-binary "$LIST" "$W/versions/r"
  answers "a form to the route of lists" 415 'multipart' http -H 'content-type: text/plain' --data-binary x "$W/files/r"
  answers "malformed JSON" 400 'Json deserialize error' post '[{"hash":' "$W/versions/r"
  answers "an object" 400 'missing field' post '{}' "$W/versions/r"
  answers "an empty body" 400 'it is empty' post '' "$W/versions/r"
  answers "a missing field" 400 "missing field 'hash'" post '[{"path":"x"}]' "$W/versions/r"
  answers "a field of another type" 400 "'hash' must be a string" post '[{"hash":1,"path":"x"}]' "$W/versions/r"
  answers "a lone surrogate" 400 'surrogate' post '[{"hash":"aa","path":"\ud800"}]' "$W/versions/r"
  answers "bad UTF-8 in the body" 400 'invalid' post "$(printf '[{"hash":"aa","path":"\377"}]')" "$W/versions/r"
  answers "bad UTF-8 in the directory" 400 'not UTF-8' post "$LIST" "$W/versions/%ff"
  answers "a broken escape" 400 'escape' post "$LIST" "$W/versions/%zz"
  answers ".. in the directory" 400 "'..'" post "$LIST" --path-as-is "$W/versions/a/../b"
  answers "encoded .. in the directory" 400 "'..'" post "$LIST" "$W/versions/a%2F..%2Fb"
  answers "NUL in the directory" 400 "NUL" post "$LIST" "$W/versions/a%00b"
  answers "the control folder" 400 ".stagefs" post "$LIST" "$W/versions/.stagefs/x"
  answers "update_timestamp=1" 400 'true' post "$LIST" "$W/versions/r?update_timestamp=1"
  answers "an unknown repository" 404 "Repository 't/x' not found" post "$LIST" "$URL/api/repos/t/x/workspaces/w/versions/r"
  answers "a repository name that is none" 404 "not found" post "$LIST" "$URL/api/repos/..%2F..%2Fetc/x/workspaces/w/versions/r"
  answers "an unknown workspace" 404 "Workspace not found: nope" post "$LIST" "$URL/api/repos/t/r/workspaces/nope/versions/r"
  answers "an unknown route" 404 resource_not_found http "$URL/api/nothing"
  answers "another method" 405 'Method Not Allowed' http -X PUT "$W/versions/r"
  answers "an unknown file" 404 "Could not find path: nope" http "$W/files/nope"
  answers "a folder is not a file" 404 "Could not find path" http "$W/files/clients"
  answers "a page that is no number" 400 page_size http "$W/changes/?page_size=x"
  answers "an outdated client" 426 update_required post "$LIST" -A 'Oxen/0.35.9 (Linux; CLI)' "$W/versions/r"
  answers "a foreign Host" 421 localhost http -H 'host: evil.example' "$URL/api/version"
  python3 - "$URL" "$TOKEN" <<'PY' | sed 's/^/ok - /'
import socket, sys
host, port = sys.argv[1].split('//')[1].split(':')
s = socket.create_connection((host, int(port)))
s.sendall(('POST /api/repos/t/r/workspaces/w/versions/r HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n'
           'content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n20\r\n[{"hash":"aa",' % sys.argv[2]).encode())
s.close()
print('a body cut in the middle of a chunk')
PY
  equals "none of it changed anything" "$before" "$(stagefs status t/r:w)"
}
test_tokens() {
  served
  answers "no token" 401 unauthenticated curl -sS -o body -w '%{http_code}' "$URL/api/version"
  good=$TOKEN
  b64() { base64 -w0 | tr '+/' '-_' | tr -d =; }
  NONE=$(printf '{"alg":"none","typ":"JWT"}' | b64).$(printf '{"id":"x","name":"x","email":"x"}' | b64).
  OTHER=$(STAGEFS_ROOT=$WORK/other stagefs token create --user ann)
  for TOKEN in "$NONE" "$OTHER" "${good%?}" "x" "$good$good"; do
    answers "a token that is not ours" 401 '"status_message":"unauthenticated"' http "$URL/api/version"
  done
  TOKEN=$(stagefs token create --user ann --expires 1s)
  read -r -t 1.1 _ <> <(:)
  answers "an expired token" 401 unauthenticated http "$URL/api/version"
  TOKEN=$good
  answers "nothing is learnt without one" 401 unauthenticated curl -sS -o body -w '%{http_code}' -H 'content-type: application/json' -d '[]' "$URL/api/repos/no/no/workspaces/no/versions/r"
  equals "the secret is private" 600 "$(stat -c %a "$STAGEFS_ROOT/secret")"
  refuses "a duration that is none" "30d, 12h" stagefs token create --user ann --expires soon
}
test_limits() {
  served --max-body 1000
  answers "a body over the limit, said in advance" 413 'larger than 1000' post "[$(printf ' %.0s' $(seq 1000))]" "$W/versions/r"
  answers "a body over the limit, found while reading" 413 'larger than 1000' post "[$(printf ' %.0s' $(seq 1000))]" -H 'transfer-encoding: chunked' "$W/versions/r"
  answers "a body at the limit" 200 err_files post "[$(printf ' %.0s' $(seq 998))]" "$W/versions/r"
  refuses "a port in use" "is in use" timeout 10 "$STAGEFS_BINARY" serve --listen "${URL#http://}"
}
test_addresses() {
  refuses "an address that is none" "not an IP address" timeout 10 "$STAGEFS_BINARY" serve --listen nowhere.example:1
  refuses "a port that is none" "write ADDRESS:PORT" timeout 10 "$STAGEFS_BINARY" serve --listen :x
}
test_tls() {
  served
  stop
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -days 2 2>/dev/null
  refuses "a key that is none" "PEM" timeout 10 "$STAGEFS_BINARY" serve --listen :0 --tls-cert cert.pem --tls-key sums
  again --tls-cert cert.pem --tls-key key.pem
  answers "TLS" 200 oxen_version http --cacert cert.pem "$URL/api/version"
}
test_64_clients_and_a_mount() {
  served
  mount_w || echo "not ok - mount"
  mkdir numbers && for number in $(seq 0 9); do echo "$number" > numbers/$number; done
  mapfile -t hashes < <(stagefs put t/r numbers | cut -d' ' -f1)
  check "64 clients at once: nothing lost, each one's order kept" python3 "$TOP/tests/http/crowd.py" "$URL" /api/repos/t/r/workspaces/w "$TOKEN" "${hashes[@]}"
  check "the mount shows all of it" eventually sh -c "test \$(find $MNT/crowd -type f | wc -l) = $((64 * 11 + 1))"
  check "unmount" unmount_w
}
run_cases
