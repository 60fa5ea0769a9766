#!/usr/bin/env bash
# HTTP at its edges: requests that a proxy may read otherwise, and connections that never say who they are.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

served() {
  stagefs create t/r && stagefs workspace create t/r:w > id
  TOKEN=$(stagefs token create --user ann)
  serve --listen "${1:-127.0.0.1:0}"
}

test_raw_requests() {
  served
  python3 -B "$TOP/tests/http/edges.py" "$URL" "$TOKEN" || echo "not ok - edges.py ended with status $?"
  stop
  equals "the server ends" 0 "$stopped"
}
test_an_address_of_ipv6() {
  served "[::1]:0"
  case $URL in
    "http://[::1]:"*) echo "ok - the URL has its brackets" ;;
    *) echo "not ok - the URL has its brackets: $URL" ;;
  esac
  answers "it can be used as it is printed" 200 oxen_version http --globoff "$URL/api/version"
  stop
  serve --listen "[0:0:0::0:1]:0"
  answers "however loopback is written, no other name is answered" 421 localhost http --globoff -H 'host: evil.example' "$URL/api/version"
}
test_tls_versions() {
  served
  stop
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -days 2 2> /dev/null
  serve --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem
  for version in tls1_2 tls1_3; do
    check "$version is spoken" sh -c "openssl s_client -$version -connect ${URL#https://} < /dev/null"
  done
  for version in tls1 tls1_1; do
    refuses "$version is not" "Cipher is (NONE)" openssl s_client "-$version" -cipher 'ALL:@SECLEVEL=0' -connect "${URL#https://}"
  done < /dev/null
}
test_silent_connections() {
  ulimit -n 20000 2> /dev/null  # The clients' own.
  served
  check "1,100 that say nothing lock nobody out, and those that showed a token stay" \
    python3 -B "$TOP/tests/http/silent.py" "$URL" "$TOKEN"
}
run_cases
