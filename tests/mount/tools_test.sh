#!/usr/bin/env bash
# Programs that people use on folders, on the mount.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# A folder with what folders have: many files, a large one, an executable, an empty folder, an old time; and a mount.
source_and_mount() {
  mkdir -p src/sub src/empty
  for i in $(seq 40); do echo "file $i" > "src/sub/$i.txt"; done
  printf '#!/bin/sh\necho ran\n' > src/run.sh && chmod 755 src/run.sh
  head -c 2000000 /dev/urandom > src/blob
  touch -d '2011-11-11 11:11:11' src/sub/7.txt
  mount_w || echo "not ok - there is no mount"
}
same() { diff -r "$1" "$2" && diff <(cd "$1" && find . -type f -printf '%p %m %T@\n' | sort) <(cd "$2" && find . -type f -printf '%p %m %T@\n' | sort); }
nothing_is_left() { equals "nothing temporary is left" "" "$(stagefs status t/r:w | grep '^[?XW]')"; }

test_cp() {
  source_and_mount
  check "cp -r" sh -c "cp -r src $MNT/cp && diff -r src $MNT/cp"
  check "cp -a keeps modes and times" sh -c "cp -a src $MNT/cpa"
  check "they are kept" same src "$MNT/cpa"
  check "cp -l stages without copying" sh -c "cp -rl $MNT/cp $MNT/cpl && diff -r src $MNT/cpl"
  nothing_is_left
}
test_mv_and_install() {
  source_and_mount
  check "mv in and out" sh -c "cp src/blob blob2 && mv blob2 $MNT/blob2 && mv $MNT/blob2 back && cmp back src/blob"
  check "install" sh -c "install -m 755 src/run.sh $MNT/run && test \$($MNT/run) = ran"
  nothing_is_left
}
test_rsync() {
  source_and_mount
  check "rsync -a" rsync -a src/ "$MNT/rs/"
  check "is the same" same src "$MNT/rs"
  check "rsync finds nothing to do" sh -c "test -z \"\$(rsync -ain src/ $MNT/rs/ | grep '^>f')\""
  check "rsync --inplace and --delete" sh -c "rm src/sub/1.txt; echo longer >> src/sub/2.txt; rsync -a --inplace --delete src/ $MNT/rs/ && diff -r src $MNT/rs"
  check "rsync -aX" rsync -aX src/ "$MNT/rsx/"
  nothing_is_left
}
test_tar() {
  source_and_mount
  check "tar" sh -c "tar -cf - src | tar -xf - -C $MNT && diff -r src $MNT/src && tar -cf - -C $MNT src | tar -tf - | grep -q blob"
  nothing_is_left
}
test_sed() {
  source_and_mount
  cp -r src "$MNT/cp"
  check "sed -i" sh -c "sed -i s/file/line/ $MNT/cp/sub/3.txt && grep -qx 'line 3' $MNT/cp/sub/3.txt"
  nothing_is_left
}
test_python() {
  source_and_mount
  check "python shutil and zipfile" python3 - "$MNT" <<'PY'
import os, shutil, sys, zipfile
m = sys.argv[1]
shutil.copy2('src/run.sh', m + '/shutil'); assert os.stat(m + '/shutil').st_mode & 0o111
shutil.copytree('src', m + '/copytree'); shutil.move(m + '/copytree', m + '/moved'); shutil.rmtree(m + '/moved')
with zipfile.ZipFile(m + '/z.zip', 'w') as z: z.write('src/blob')
with zipfile.ZipFile(m + '/z.zip') as z: assert z.testzip() is None; z.extractall(m + '/unzipped')
PY
  nothing_is_left
}
test_sqlite3() {
  source_and_mount
  check "sqlite3" sh -c "sqlite3 $MNT/db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1),(2);' >/dev/null && test \$(sqlite3 $MNT/db 'SELECT sum(x) FROM t') = 3"
  nothing_is_left
}
test_git() {
  source_and_mount
  check "git clone, commit and status" sh -c "
  git init -q repo && cd repo && cp -r ../src . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x && cd .. &&
  git clone -q repo $MNT/clone && cd $MNT/clone && test -z \"\$(git status --porcelain)\" && echo y > new && git add new &&
  git -c user.name=a -c user.email=a@b commit -qm y && git fsck 2>&1 | grep -vi dangling | grep -q . && exit 1 || git log --oneline | wc -l | grep -qx 2"
  nothing_is_left
}
test_flock() {
  source_and_mount
  check "flock" sh -c "flock $MNT/lock true"
  nothing_is_left
}
test_find_and_rm() {
  source_and_mount
  cp -r src "$MNT/cp" && cp -rl "$MNT/cp" "$MNT/cpl"
  check "find, du and df" sh -c "test \$(find $MNT/cp -type f | wc -l) = 42 && du -s $MNT >/dev/null && df $MNT >/dev/null"
  check "find -delete and rm -r of a tree" sh -c "find $MNT/cpl -name '*.txt' -delete && rm -r $MNT/cpl && test ! -e $MNT/cpl"
  nothing_is_left
}
test_a_large_folder() {
  source_and_mount
  check "a full listing of a large folder" sh -c "
  for i in \$(seq 3000); do echo \$i; done | (cd $MNT && mkdir many && cd many && xargs touch) && test \$(ls $MNT/many | wc -l) = 3000 && rm -r $MNT/many"
  nothing_is_left
}
# A disk that is full, and a root that cannot be written.
test_a_small_disk() {
  mkdir src && head -c 2000000 /dev/urandom > src/blob && echo ran > src/run.sh
  if mkdir small && mount -t tmpfs -o size=6m none small 2>/dev/null; then
    stagefs --root "$WORK/small" create t/small
    mkdir mnt-small
    check "a mount on a small disk" stagefs --root "$WORK/small" mount t/small:w mnt-small --create
    refuses "a full disk reaches the writer" "No space left" sh -c "head -c 12000000 /dev/urandom > mnt-small/large"
    check "what came through can be removed" rm mnt-small/large
    check "a good file" sh -c "cp /bin/true mnt-small/good && cat mnt-small/good > good && cp src/blob mnt-small/blob1"
    refuses "a full disk does not empty it" "No space left" sh -c "head -c 9000000 /dev/urandom > mnt-small/good"
    check "what came through is kept apart" sh -c "grep -qx 'X  good (refused, not staged: retry or dismiss)' mnt-small/.stagefs/status"
    check "until it is dismissed" sh -c "echo 'dismiss good' > mnt-small/.stagefs/control"
    check "then the file is what it was" eventually cmp good mnt-small/good
    rm -f mnt-small/blob1
    refuses "a manifest that does not fit says so" "No space left" sh -c "yes cat | head -c 12000000 > mnt-small/.stagefs/inbox/list.sum"
    check "and can be removed" sh -c "rm mnt-small/.stagefs/inbox/list.sum && test -z \"\$(ls mnt-small/.stagefs/inbox)\""
    check "the daemon stays up and good files are kept" sh -c "echo small > mnt-small/small && cat mnt-small/small"
    check "unmount it" stagefs unmount mnt-small
    eventually sh -c "! pgrep -f -- '$WORK/small mount t/small:w'"
    mount -o remount,ro small
    refuses "a read-only root says so" "ead-only" stagefs --root small put t/small src/run.sh
    umount -l small
  else
    skip "a full disk and a read-only root" "tmpfs cannot be mounted here"
  fi
}
test_a_new_file_outlives_a_stop() {
  source_and_mount
  pid=$(daemon_pid)
  exec 8> "$MNT/nobody wrote to it"
  kill "$pid" && ended "$pid"
  exec 8>&-
  equals "a new file outlives a stop" "A  nobody wrote to it" "$(stagefs status t/r:w | grep 'nobody wrote')"
}
test_bytes_that_are_gone() {
  source_and_mount
  cp -a src "$MNT/cpa"
  unmount_w
  rm -r "${STAGEFS_TEST_S3_FOLDER:-root/t/r/versions}${STAGEFS_TEST_S3:+/$PREFIX}"/*
  rm -rf root/t/r/cache/??
  mount_w
  refuses "bytes that are gone are an error, not a missing file" "Input/output error" cat "$MNT/cpa/run.sh"
  check "unmount" unmount_w
}
run_cases
