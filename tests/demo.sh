#!/usr/bin/env bash
# The main job on real files, printed as it goes. Usage: tests/demo.sh BINARY [FOLDER]
# KEEP=1 leaves the workspace mounted and says how to go on. HTTP=0 leaves out the HTTP door.
set -eu
binary=$(realpath "$1")
data=${2:-}
demo=$(mktemp -d "${TMPDIR:-/tmp}/stagefs-demo-XXXXXX")
export STAGEFS_ROOT=$demo/root PATH=$demo/bin:$PATH
mkdir "$demo/bin" && ln -s "$binary" "$demo/bin/stagefs"
cd "$demo"

clean_up() {
  status=$?
  [ "$status" -eq 0 ] && [ "${KEEP:-}" = 1 ] && exit 0
  if grep -qF " $demo/mnt " /proc/self/mounts; then stagefs unmount --lazy mnt; fi
  # The mount's process may be ending still, in the folder that goes now.
  [ ! -e "$demo/pid" ] || timeout 60 tail --pid="$(cat "$demo/pid")" -f /dev/null
  cd / && chmod -R u+w "$demo" && rm -rf "$demo"
  exit "$status"
}
trap clean_up EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$1"; }
run() {
  printf '$ %s\n' "$1"
  bash -c "set -o pipefail; $1"
}

if [ -z "$data" ]; then
  data=$demo/data && mkdir "$data"
  for folder in /usr/share/common-licenses /usr/include/linux; do
    [ ! -d "$folder" ] || cp -rL "$folder" "$data/" 2>/dev/null || :
  done
  [ -n "$(ls -A "$data")" ] || cp -r /etc/os-release "$data/"
else
  data=$(cd "$OLDPWD" && realpath "$data")
fi
listen=
[ "${HTTP:-1}" = 0 ] || listen="--listen 127.0.0.1:0"

say "A repository, and the files of $data as versions: stored once, named by their hashes"
run "stagefs create demo/files"
run "stagefs put demo/files $data > files.sum"
run "head -n 3 files.sum; wc -l < files.sum"

say "A workspace, mounted as a folder"
mkdir mnt
run "stagefs mount demo/files:try mnt --create $listen 2>&1 | tee said"
pgrep -f -- "mount demo/files:try mnt" | head -n 1 > pid

say "Door 1, a manifest: what 'put' printed is one. No byte moves."
run "cp files.sum mnt/.stagefs/inbox/manifest/"
run "ls mnt; ls mnt/manifest | head -n 3"

one=$(head -n 1 files.sum | cut -d' ' -f1)
say "Door 2, a link to a version; door 3, a symbolic link named by a hash"
run "mkdir mnt/linked"
run "while read -r hash path; do mkdir -p \"mnt/linked/\$(dirname \"\$path\")\"; ln \"mnt/.stagefs/versions/\$hash\" \"mnt/linked/\$path\"; done < files.sum"
run "ln -s $one mnt/by-hash; stat -c '%n is a %F of %s bytes' mnt/by-hash"

say "Door 4, a copy inside the mount; door 5, writing"
run "cp -r mnt/linked mnt/copied"
run "cp -r $data mnt/written"

say "All four trees are the same, and the store grew by nothing"
run "diff -r mnt/manifest mnt/linked && diff -r mnt/linked mnt/copied && diff -r mnt/copied mnt/written && echo same"
run "grep -E '^(files_staged|bytes_read)' mnt/.stagefs/stats"

say "A manifest with a bad entry: the good ones are staged, the bad one is reported"
run "{ head -n 2 files.sum; echo '0000  nonsense.jpg'; } | stagefs stage demo/files:try -d partly - || true"

if [ -n "$listen" ]; then
  url=$(sed -n 's/^stagefs: serving //p' said)
  say "Door 6, HTTP: the documented batch route, with a token"
  run "TOKEN=\$(stagefs token create --user demo); curl -sS -H \"authorization: Bearer \$TOKEN\" -H 'content-type: application/json' -d '[{\"hash\":\"$one\",\"path\":\"by/http.txt\"}]' $url/api/repos/demo/files/workspaces/try/files/batch/data; echo"
  run "ls -l mnt/data/by"
fi

say "What is staged"
run "cat mnt/.stagefs/status | head -n 5; cat mnt/.stagefs/status | wc -l"

say "A commit"
run "stagefs commit demo/files:try -m 'Try every door'"
run "stagefs status demo/files:try; stagefs log demo/files"

if [ "${KEEP:-}" = 1 ]; then
  say "Still mounted at $demo/mnt. Go on with:"
  printf '  export STAGEFS_ROOT=%s\n  cd %s\n  stagefs status demo/files:try\n  stagefs unmount mnt && rm -rf %s\n' "$STAGEFS_ROOT" "$demo" "$demo"
else
  say "The end: unmounted, and nothing left behind"
  run "stagefs unmount mnt"
fi
