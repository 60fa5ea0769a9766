#!/usr/bin/env bash
# Paths that lead out, other users of the machine, secrets, and a server that may do next to nothing.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"
umask 000

# A repository with a committed file and a mount; beside it a file that nobody may see.
mounted() {
  mkdir outside data
  echo "nobody may see this" > outside/secret
  echo content > data/file
  stagefs create t/r
  HASH=$(stagefs put t/r data/file | cut -d' ' -f1)
  mount_w || echo "not ok - there is no mount"
  echo written > "$MNT/written"
  stagefs commit t/r:w -m one > /dev/null
  TOKEN=$(stagefs token create --user ann)
}
# Paths that lead out of the tree.
escapes() {
  ESCAPES=("../outside/new" "/$WORK/outside/new" "a/../../new" "$WORK/outside/new" ".stagefs/new" "a/.stagefs/../../new" "..")
  for path in "${ESCAPES[@]}"; do
    printf '%s  %s\n' "$HASH" "$path"
  done > escapes.sum
  printf '%s  ok\n' "$HASH" >> escapes.sum
}
served() {
  serve --listen 127.0.0.1:0 --debug http
  W=$URL/api/repos/t/r/workspaces/w
}
nothing_went_out() {
  equals "nothing was made outside" "secret" "$(ls -A outside)"
  equals "nor changed" "nobody may see this" "$(cat outside/secret)"
  equals "and the root holds nothing of it" "" "$(find "$STAGEFS_ROOT" -name new)"
}

test_nobody_else_gets_in_whatever_the_umask() {
  mounted
  equals "all of the root is private" "" "$(find "$STAGEFS_ROOT" -perm /077 -not -type l)"
  if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chmod 755 .. .
    refuses "another user does not see the mount" "denied" other ls "$MNT"
    refuses "nor what lies in it" "denied" other cat "$MNT/written"
    refuses "nor the root" "denied" other ls "$STAGEFS_ROOT/t"
    refuses "nor the secret that signs tokens" "denied" other cat "$STAGEFS_ROOT/secret"
    refuses "nor the repository through the command" "" other "$STAGEFS_BINARY" --root "$STAGEFS_ROOT" status t/r:w
  else
    skip "other users" "not root, or no setpriv"
  fi
}
test_lists_that_lead_out() {
  mounted
  escapes
  stagefs stage t/r:w escapes.sum > report 2>&1
  cp escapes.sum "$MNT/.stagefs/inbox/"
  cp escapes.sum "$MNT/escapes.stage.sum"
  equals "a list stages what is in the tree, and nothing else" "ok written" \
    "$(cd "$MNT" && find . -type f -not -name 'escapes*' -printf '%P\n' | sort | xargs)"
  refuses "a workspace named like a path" "" stagefs workspace create "t/r:../x"
  refuses "a repository named like a path" "" stagefs create "../t"
  refuses "a folder of the inbox that leads out" "" cp escapes.sum "$MNT/.stagefs/inbox/..."/x
  ln -s "$WORK/outside/secret" "$MNT/way-out"
  equals "a link that leads out is staged as a link, not as what it leads to" "A  way-out -> $WORK/outside/secret (symbolic link)" \
    "$("$STAGEFS_BINARY" status t/r:w | grep 'way-out')"
  nothing_went_out
}
test_batches_moves_and_uploads_that_lead_out() {
  mounted
  escapes
  served
  stagefs stage t/r:w escapes.sum > report 2>&1
  for path in "${ESCAPES[@]}"; do
    code=$(post "[{\"hash\":\"$HASH\",\"path\":\"$path\"}]" "$W/files/batch")
    equals "a batch with $(basename "$path") lists it as refused" "200 1" "$code $(grep -o '"path"' body | wc -l)"
    post "{\"new_path\":\"$path\"}" -X PATCH "$W/files/ok" > code
    check "nor is a file moved to $(basename "$path")" grep -q '^4' code
    http -F "file[]=@data/file;filename=$path" "$W/files/up" > code
    check "nor uploaded to it" grep -qE '^4|^200' code
  done
  nothing_went_out
}
test_targets_that_lead_out() {
  mounted
  served
  ln -s "$WORK/outside/secret" "$MNT/way-out"
  for target in "files/..%2F..%2F..%2Foutside%2Fsecret" "files/way-out" "files/%2e%2e/%2e%2e/outside/secret" \
    "files/.stagefs%2Fconfig.json" "files/$(printf '%%2F%s' "${WORK#/}" | sed 's,/,%2F,g')%2Foutside%2Fsecret"; do
    http --path-as-is "$W/$target" > code
    check "$target does not lead out" sh -c "grep -q '^4' code && ! grep -q 'nobody may see' body"
  done
  for target in "versions/../../../secret/metadata" "versions/..%2F..%2F..%2Fsecret/metadata" "file/main/..%2Fsecret" "revisions/..%2F..%2Fx"; do
    http --path-as-is "$URL/api/repos/t/r/$target" > code
    check "$target does not lead out" sh -c "grep -q '^4' code && ! grep -q 'nobody may see' body"
  done
  http "$URL/api/repos/..%2Foutside/x/workspaces" > code
  check "a repository's name does not lead out" grep -q '^4' code
  nothing_went_out
}
test_secrets() {
  mounted
  served
  TOKEN=$TOKEN.x http "$W" > code
  equals "a token that somebody added to is none" 401 "$(cat code)"
  first=${TOKEN%????}AAAA
  TOKEN=$first http "$W" > code
  equals "nor one with another end" 401 "$(cat code)"
  check "no token is in what the server said" sh -c "! grep -qF '${TOKEN%.*}' said"
  check "nor in the list of processes" sh -c "! ps -eo args | grep -v grep | grep -qF '${TOKEN##*.}'"
  check "nor in the mount's log" sh -c "! grep -qF '${TOKEN##*.}' '$STAGEFS_ROOT/t/r/mount.log'"
  stop
  equals "the server ends" 0 "$stopped"
  check "the mount ends" unmount_w
}
# What stagefs-serve.service allows: no privileges, a machine that cannot be written to but for the state folder.
test_a_server_in_its_units_cage() {
  export STAGEFS_ROOT=$WORK/state/stagefs
  mkdir state
  mounted
  unmount_w
  if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null && unshare -m true 2> /dev/null; then
    chown -R 65534:65534 state && chmod 711 .. .
    cat > sandbox.sh <<'SANDBOX'
set -e
mount --make-rprivate /
mount --bind "$1/state" "$1/state"
mount -o remount,bind,ro /
mount -t tmpfs -o size=1m tmpfs /home 2> /dev/null || true
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all \
  "$2" --root "$1/state/stagefs" serve --listen 127.0.0.1:0
SANDBOX
    : > said
    unshare -m sh sandbox.sh "$WORK" "$STAGEFS_BINARY" 2> said &
    DAEMONS=$!
    timeout 20 sh -c 'until grep -q "^stagefs: serving" said; do kill -0 '$DAEMONS' || exit 1; done' || cat said
    URL=$(sed -n 's/^stagefs: serving //p' said)
    W=$URL/api/repos/t/r/workspaces/w
    answers "a server in its unit's cage stages" 200 '"err_files":[]' post "[{\"hash\":\"$HASH\",\"path\":\"caged\"}]" "$W/files/batch"
    answers "and stores" 200 '"err_files":[]' http -F "file[]=@data/file;filename=uploaded" "$W/files/up"
    answers "and commits" 200 success post '{"message":"caged","author":"A","email":"a@b"}' "$W/commit/main"
    stop
    equals "and ends" 0 "$stopped"
  else
    skip "a server in its unit's cage" "not root, or no mount namespaces"
  fi
}
run_cases
