# shellcheck shell=bash
# URL and stopped are for the tests.
# shellcheck disable=SC2034
# Sourced by the HTTP tests: a server, curl with a token, and checks of answers. They run in $WORK.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$WORK" || exit 1

# Starts a server with the given options, and sets URL once it says where it is.
serve() {
  : > said  # What the last server said is not the new one's.
  "$STAGEFS_BINARY" serve "$@" 2> said &
  DAEMONS=$!
  timeout 20 sh -c 'until grep -q "^stagefs: serving" said; do kill -0 '$DAEMONS' || exit 1; done' || cat said
  URL=$(sed -n 's/^stagefs: serving //p' said)
}
stop() {
  kill "$DAEMONS" && wait "$DAEMONS"
  stopped=$?
  DAEMONS=
}
http() { curl -sS -m 30 -o body -w '%{http_code}' -H "authorization: Bearer $TOKEN" "$@"; }
post() { http -H 'content-type: application/json' --data-binary "$@"; }
# answers WHAT CODE TEXT CURL…: the status, and a body that is JSON and holds TEXT.
answers() {
  what=$1 code=$2 text=$3
  shift 3
  got=$("$@" 2>&1)
  if [ "$got" != "$code" ]; then echo "not ok - $what (status $got instead of $code)"; head -c 500 body; echo
  elif ! grep -qF -- "$text" body; then echo "not ok - $what (the body lacks '$text')"; head -c 500 body; echo
  elif ! python3 -c 'import json,sys; json.load(open("body"))' 2>/dev/null; then echo "not ok - $what (not JSON)"
  else echo "ok - $what"; fi
}
