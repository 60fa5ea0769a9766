#!/usr/bin/env bash
# Builds and tests on Debian 13 (libfuse 3.17, Catch2 3) in a folder made by debootstrap. Needs root.
# Usage: tests/tools/debian13.sh [FOLDER]   the folder is made where it is missing, and kept
set -eu
folder=${1:-/tmp/stagefs-debian13}
top=$(cd "$(dirname "$0")/../.." && pwd)
command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap
[ -d "$folder/etc" ] || debootstrap --variant=minbase --include=ca-certificates trixie "$folder"
mkdir -p "$folder/stagefs"
git -C "$top" archive HEAD | tar -xf - -C "$folder/stagefs"
clean_up() {
  for path in proc dev/pts dev sys; do umount -l "$folder/$path" 2>/dev/null || :; done
}
trap clean_up EXIT
mount -t proc proc "$folder/proc"
mount --rbind /dev "$folder/dev"
cp /etc/resolv.conf /etc/hosts "$folder/etc/" 2>/dev/null || :
# The tests look for what they leave in lists of the whole machine, so they run when nothing else does.
chroot "$folder" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
  KILL_ROUNDS="${KILL_ROUNDS:-50}" sh -c 'cd /stagefs && { command -v make >/dev/null || { apt-get update -qq && apt-get install -y -qq make git >/dev/null; }; } && { [ -d .git ] || { git init -q . && git add -A; }; } && make test'
