#!/usr/bin/env bash
# Makes the roots that later versions must be able to go on with, from one version's own commands: one with its index in SQLite,
# one in PostgreSQL. Usage: make.sh BINARY FOLDER, FOLDER as tests/fixtures/VERSION. It makes there
#   sqlite.tar.xz, postgres.tar.xz   the roots (t/r, its workspaces w and s)
#   postgres.sql.xz                  the database, from pg_dump
#   sqlite.txt, postgres.txt         what the version itself showed of them
set -eu
STAGEFS_BINARY=$(realpath "$1") folder=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/upgrade/shown.sh
. "$here/shown.sh"
# shellcheck source=tests/cluster/servers.sh
. "$here/../cluster/servers.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/stagefs-fixture-XXXXXX")
chmod 755 "$work"
trap 'stop_postgres; rm -rf "$work"' EXIT
mkdir "$work/server" && chmod 755 "$work/server"
start_postgres "$work/server"
cd "$work"

stagefs() { "$STAGEFS_BINARY" "$@"; }
export STAGEFS_AUTHOR_NAME=Ann STAGEFS_AUTHOR_EMAIL=ann@example.org
# Commits, a branch, and a workspace with one of everything that can be staged or kept.
story() {
  rm -rf data more mnt && mkdir -p data/deep more mnt
  echo cat > data/cat.jpg && echo dog > data/dog.jpg && echo two > data/deep/two && printf '#!/bin/sh\n' > data/run && chmod 755 data/run
  : > data/empty && seq 20000 > data/numbers
  touch -d '2024-05-06 07:08:09.123456789 UTC' data/run
  echo kitten > more/cat.jpg && echo "never staged before" > more/new
  stagefs create t/r
  stagefs put t/r data > sums
  stagefs workspace create t/r:w
  stagefs stage t/r:w -d data sums
  stagefs commit t/r:w -m 'The first'
  stagefs branch create t/r side
  stagefs put t/r more > more.sum
  stagefs mount t/r:w mnt
  daemon=$(pgrep -f -- "mount t/r:w mnt$")
  cp data/dog.jpg mnt/second.jpg && cp -p data/run mnt/run
  stagefs commit t/r:w -m 'The second'
  stagefs workspace create t/r:s --branch side
  printf '%s  only-here\n' "$(sha256sum < more/new | cut -d' ' -f1)" | stagefs stage t/r:s -
  stagefs commit t/r:s -m 'On the side'
  # What is staged: modified, added, removed, a folder renamed; and what is kept beside: a link, an empty folder, scratch.
  cp more/cat.jpg mnt/data/cat.jpg
  cp more/new mnt/added
  rm mnt/data/empty
  mv mnt/data/deep mnt/moved
  ln -s /nowhere mnt/link
  mkdir mnt/hollow
  echo part > mnt/x.part
  # What the daemon's death interrupts is recovered by the next mount.
  python3 -c 'import os, sys
file = os.open("mnt/interrupted", os.O_WRONLY | os.O_CREAT)
os.write(file, b"half of it\n")
os.kill(int(sys.argv[1]), 9)' "$daemon"
  stagefs unmount mnt || fusermount3 -uz mnt
  stagefs mount t/r:w mnt
  stagefs unmount mnt
}

for index in sqlite postgres; do
  export STAGEFS_ROOT=$work/$index
  unset STAGEFS_INDEX
  [ $index = sqlite ] || export STAGEFS_INDEX=$postgres_url
  story > "$index.log" 2>&1 || { cat "$index.log"; exit 1; }
  shown mnt > "$folder/$index.txt"
  soon sh -c "! pgrep -f -- 'mount t/r:w mnt$'"
  tar -C "$STAGEFS_ROOT" --format=posix --sort=name --owner=0 --group=0 --numeric-owner -cJf "$folder/$index.tar.xz" .
done
# Lines that begin with a backslash and restrict are for psql of the same minor version.
pg_dump "$postgres_url" --no-owner | sed -E '/^\\(un)?restrict /d' | xz > "$folder/postgres.sql.xz"
ls -l "$folder"
