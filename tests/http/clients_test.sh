#!/usr/bin/env bash
# The stock Python clients of two generations, from PyPI, run every flow against a server, and then with a mount
# open on the same workspace.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

export OXEN_CONFIG_DIR=$WORK/config OXEN_NUM_RETRIES=1 PYTHONDONTWRITEBYTECODE=1
mkdir "$OXEN_CONFIG_DIR"
printf 'name = "Ann"\nemail = "ann@example.org"\n' > "$OXEN_CONFIG_DIR/user_config.toml"
# log_in URL TOKEN: the client sends this token to that server, which is HOST from then on.
log_in() {
  HOST=${1#http://}
  printf 'default_host = "%s"\n[[host_configs]]\nhost = "%s"\nauth_token = "%s"\n' "$HOST" "$HOST" "$2" \
    > "$OXEN_CONFIG_DIR/auth_config.toml"
}

serve --listen :0
TOKEN=$(stagefs token create --user ann)
# flows PYTHON ARGUMENTS…: prints what the flows say; a client that dies says nothing at its end.
flows() {
  timeout 500 "$@" 2>&1 | grep --text -vE '^(🐂|Creating branch|Workspace )'
  [ "${PIPESTATUS[0]}" -eq 0 ] || echo "not ok - the client ended with a failure"
}
for version in 0.50.0 0.65.1; do
  if ! python_environment "oxenai-$version" "oxenai==$version"; then
    skip "oxenai $version" "it cannot be installed from PyPI"
    continue
  fi
  python=$TOP/build/oxenai-$version/bin/python
  log_in "$URL" "$TOKEN"
  flows "$python" "$TOP/tests/http/oxen_flows.py" "$HOST"
  # A mount whose changes come from the server's process, and one process that mounts and serves.
  mkdir beside both
  check "a mount beside the server" stagefs mount "t/beside-$version:w" "$WORK/beside" --create
  flows "$python" "$TOP/tests/http/oxen_flows.py" "$HOST" "$WORK/beside" "t/beside-$version" w 10
  stagefs mount "t/both-$version:w" "$WORK/both" --create --listen :0 > said-both 2>&1
  log_in "$(sed -n 's/^stagefs: serving //p' said-both)" "$TOKEN"
  flows "$python" "$TOP/tests/http/oxen_flows.py" "$HOST" "$WORK/both" "t/both-$version" w 0
  for mount in beside both; do check "the mount $mount ends" stagefs unmount "$WORK/$mount" && rmdir $mount; done
  # A repository that this client made on the disk.
  cat > make.py << 'END'
import os, sys
from oxen import Repo
repo = Repo(sys.argv[1]); os.makedirs(sys.argv[1] + "/d"); repo.init()
for name, content in (("a.txt", b"hello oxen\n"), ("d/b.bin", os.urandom(300000)), ("e.txt", b"")):
    open(f"{sys.argv[1]}/{name}", "wb").write(content)
    repo.add(f"{sys.argv[1]}/{name}")
repo.commit("first")
END
  "$python" make.py "disk-$version" > made 2>&1 || cat made
  stagefs create "disk/r-$version"
  equals "oxenai $version: its versions on disk are imported" '{"imported":2,"there_already":1,"bytes":300011,"failed":0}' \
    "$(stagefs --json import-oxen "disk/r-$version" "disk-$version")"
  for hash in 372241c8c620874ddaeaf4fa0bb243b "$(sha256sum "disk-$version/d/b.bin" | cut -d' ' -f1)"; do
    equals "known as ${hash:0:8}" 200 "$(http "$URL/api/repos/disk/r-$version/versions/$hash/metadata")"
  done
done

# A client without a valid token is told in words it understands, and learns nothing.
if [ -e "$TOP/build/oxenai-0.65.1/done" ]; then
  log_in "$URL" wrong
  for repo in t/both-0.65.1 t/none; do
    "$TOP/build/oxenai-0.65.1/bin/python" -c "
import oxen, sys
try:
    oxen.RemoteRepo('$repo', host='$HOST', scheme='http').exists()
except Exception as error:
    print(error)
" > "said-${repo#t/}" 2>&1
    check "a wrong token is explained ($repo)" grep -q 'obtain an API key\|authenticat' "said-${repo#t/}"
  done
  check "what exists is not told" cmp <(sed 's,both-0.65.1,X,' said-both-0.65.1) <(sed 's,none,X,' said-none)
fi
stop
equals "the server ends well" 0 "$stopped"
