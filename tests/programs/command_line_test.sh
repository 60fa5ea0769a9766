#!/usr/bin/env bash
# Command-line programs on a mount, beside the same on a plain folder where that says more than a check of our own.
# tests/mount/tools_test.sh is the fast part of this.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
MANY_FILES=${MANY_FILES:-20000}

mkdir -p src/sub/deep src/empty
for i in $(seq 60); do echo "file $i" > "src/sub/$i.txt"; done
printf '#!/bin/sh\necho ran\n' > src/run.sh && chmod 755 src/run.sh
head -c 3000000 /dev/urandom > src/blob
{ head -c 100000 /dev/urandom; head -c 5000000 /dev/zero; head -c 100000 /dev/urandom; } > src/sub/deep/sparse
cp src/blob "src/sub/deep/same content"
touch -d '2011-11-11 11:11:11.123456789' src/sub/7.txt
mount_w

tree() { (cd "$1" && find . -type f -printf '%p %m %T@\n' -o -type d -printf '%p\n' | LC_ALL=C sort); }
# same FOLDER: it holds what src holds, times and exec bits too.
same() { diff -r src "$1" && diff <(tree src) <(tree "$1"); }
# The names of scratch, refused files and files being written; a test that ends well leaves none.
unstaged() { stagefs status t/r:w | grep '^[?XWL]'; }
bytes_read() { awk '/^bytes_read/{print $2}' "$MNT/.stagefs/stats"; }

# cp, mv, install.
for sparse in never auto always; do
  check "cp --sparse=$sparse" sh -c "cp -r --sparse=$sparse src $MNT/s-$sparse && diff -r src $MNT/s-$sparse"
done
check "cp --reflink=auto" sh -c "cp -r --reflink=auto src $MNT/r-auto && diff -r src $MNT/r-auto"
check "cp --reflink=never" sh -c "cp -r --reflink=never src $MNT/r-never && diff -r src $MNT/r-never"
refuses "cp --reflink=always is told that it cannot" "not supported" cp --reflink=always "$MNT/r-auto/blob" "$MNT/reflinked"
rm -f "$MNT/reflinked"
before=$(bytes_read)
check "cp -r inside the mount" cp -r "$MNT/r-auto" "$MNT/inside"
equals "reads nothing" "$before" "$(bytes_read)"
check "and is whole" diff -r src "$MNT/inside"
check "cp -a" cp -a src "$MNT/a"
check "keeps modes and times" same "$MNT/a"
check "cp -a inside the mount" cp -a "$MNT/a" "$MNT/a2"
check "keeps them too" same "$MNT/a2"
check "cp -al" cp -al "$MNT/a" "$MNT/al"
check "keeps them too" same "$MNT/al"
check "cp -s of files of the mount makes links" sh -c "cp -rs $MNT/a $MNT/links && diff -r src $MNT/links && test -z \"\$(find $MNT/links -type f)\""
check "cp -u copies nothing twice" sh -c "test -z \"\$(cp -auv src/. $MNT/a/ | grep -v ^removed)\""
check "cp --backup" sh -c "echo new > new && cp --backup=numbered new $MNT/a/run.sh && test -f $MNT/a/run.sh.~1~ && rm $MNT/a/run.sh.~1~"
check "mv in, inside, over and out" sh -c "cp -a src moving && mv moving $MNT/moving && mv $MNT/moving $MNT/moved && cp new $MNT/over && mv -f $MNT/over $MNT/moved/blob && mv $MNT/moved out && cmp new out/blob && test ! -e $MNT/moved"
check "mv -n keeps what is there" sh -c "cp new $MNT/n1; cp src/run.sh $MNT/n2; mv -n $MNT/n1 $MNT/n2; cmp $MNT/n2 src/run.sh && test -e $MNT/n1"
check "install" sh -c "install -D -p -m 755 src/run.sh $MNT/bin/run && test \$($MNT/bin/run) = ran && test $MNT/bin/run -ot new && install -d $MNT/d1/d2"
check "ln, ln -s, ln -f" sh -c "ln $MNT/a/blob $MNT/ln && ln -s $MNT/a/blob $MNT/lns && ln -f $MNT/n1 $MNT/ln && cmp $MNT/lns src/blob && cmp $MNT/ln new"
rm -r "${MNT:?}"/*

# rsync.
check "rsync" sh -c "rsync -r src/ $MNT/r/ && diff -r src $MNT/r"
check "rsync -a" rsync -a src/ "$MNT/ra/"
check "keeps modes and times" same "$MNT/ra"
equals "rsync -a finds nothing to do" "" "$(rsync -ai src/ "$MNT/ra/")"
equals "rsync -ac agrees by checksum" "" "$(rsync -aci src/ "$MNT/ra/")"
mkdir other && cp -a src/. other/ && rm other/sub/1.txt && echo longer >> other/sub/2.txt && mv other/sub/3.txt other/sub/3b.txt
check "rsync -a --delete" sh -c "rsync -a --delete other/ $MNT/ra/ && diff -r other $MNT/ra"
check "rsync --inplace" sh -c "rsync -a --inplace --delete src/ $MNT/ra/ && diff -r src $MNT/ra"
check "rsync --inplace --no-whole-file changes a part" sh -c "printf X | dd of=src/blob bs=1 seek=1000000 conv=notrunc status=none && rsync -a --inplace --no-whole-file src/ $MNT/ra/ && cmp src/blob $MNT/ra/blob"
check "rsync --append" sh -c "head -c 1000000 src/blob > $MNT/ra/blob && rsync -a --append src/ $MNT/ra/ && cmp src/blob $MNT/ra/blob"
check "rsync --sparse" sh -c "rsync -a --sparse src/ $MNT/rs/ && diff -r src $MNT/rs"
check "rsync --delay-updates --partial" sh -c "rsync -a --delay-updates --partial src/ $MNT/rd/ && diff -r src $MNT/rd && test ! -e $MNT/rd/.~tmp~"
check "rsync -H of hard links" sh -c "mkdir hard && cp new hard/one && ln hard/one hard/two && rsync -aH hard/ $MNT/rh/ && diff -r hard $MNT/rh"
check "rsync from the mount" sh -c "rsync -a $MNT/ra/ back/ && diff -r src back"
check "rsync --link-dest" sh -c "rsync -a --link-dest=$MNT/ra src/ $MNT/snapshot/ && diff -r src $MNT/snapshot"
equals "nothing is left unstaged" "" "$(unstaged)"
rm -r "${MNT:?}"/*

# Archives.
check "tar x" sh -c "tar --format=posix -cf src.tar src && tar -xf src.tar -C $MNT"
check "keeps modes and times" same "$MNT/src"
check "tar x over it" tar -xf src.tar -C "$MNT"
check "tar -xk leaves what is there" sh -c "! tar -xkf src.tar -C $MNT 2>/dev/null; diff -r src $MNT/src"
check "tar c of the mount" sh -c "tar -czf $MNT/packed.tgz -C $MNT src && mkdir untar && tar -xzf $MNT/packed.tgz -C untar && diff -r src untar/src"
check "tar --hard-dereference and links" sh -c "tar -cf hard.tar hard && tar -xf hard.tar -C $MNT && diff -r hard $MNT/hard"
if command -v zip > /dev/null && command -v unzip > /dev/null; then
  check "zip and unzip" sh -c "cd $MNT && zip -qr packed.zip src && unzip -q packed.zip -d unzipped && diff -r $WORK/src unzipped/src && unzip -tqq packed.zip"
else
  skip "zip and unzip" "not installed"
fi
equals "nothing is left unstaged" "" "$(unstaged)"
rm -r "${MNT:?}"/*

# Building and version control.
mkdir program && cat > program/main.c <<'C'
#include <stdio.h>
int main(void) { return puts(TEXT) < 0; }
C
printf 'CFLAGS = -DTEXT=\\"built\\"\nprogram: main.o\n\t$(CC) -o $@ $^\nclean:\n\trm -f program main.o\n' > program/Makefile
check "make and a C build" sh -c "cp -r program $MNT/ && make -s -C $MNT/program && test \$($MNT/program/program) = built"
check "make again has nothing to do" sh -c "make -C $MNT/program | grep -q 'up to date' && touch $MNT/program/main.c && ! make -q -C $MNT/program && make -s -C $MNT/program clean && test ! -e $MNT/program/program"
as_git() { git -c user.name=a -c user.email=a@b -c protocol.file.allow=always "$@"; }
git init -q repo && cp -r src repo/ && mkdir repo/empty && as_git -C repo add -A && as_git -C repo commit -qm first
check "git clone" as_git clone -q --no-local repo "$MNT/clone"
equals "git status is clean" "" "$(git -C "$MNT/clone" status --porcelain)"
check "git branch, commit, merge, stash, gc" sh -c "
  git() { command git -c user.name=a -c user.email=a@b \"\$@\"; }
  cd $MNT/clone && git checkout -qb side && echo y > new && git add new && git commit -qm side && git checkout -q - &&
  echo z > third && git add third && git commit -qm third && git merge -q -m merged side && echo dirty >> new && git stash -q &&
  test -z \"\$(git status --porcelain)\" && git stash pop -q && git checkout -q new && git gc -q && git fsck --strict &&
  test \$(git log --oneline | wc -l) = 4"
check "git worktree and clean" sh -c "cd $MNT/clone && git worktree add -q ../tree && test -f ../tree/new && echo x > junk && git clean -fdq && test ! -e junk"
check "git push to a bare repository on the mount" sh -c "git init -q --bare $MNT/bare.git && git -C repo push -q $MNT/bare.git HEAD:main && git -C $MNT/bare.git rev-parse -q --verify main"
equals "nothing is left unstaged" "" "$(unstaged)"
rm -rf "${MNT:?}"/*

# Databases.
sql() { sqlite3 "$MNT/db" "$@"; }
for mode in DELETE TRUNCATE PERSIST WAL; do
  equals "sqlite3, journal $mode" "$(printf '%s\n5000' "${mode,,}")" "$(sql "PRAGMA journal_mode=$mode; CREATE TABLE t(x); BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000) INSERT INTO t SELECT i FROM n; COMMIT; SELECT count(*) FROM t;")"
  check "two writers take turns" sh -c "for w in 1 2; do (for i in 1 2 3 4 5; do sqlite3 -cmd '.timeout 20000' $MNT/db 'INSERT INTO t VALUES(0)' || exit 1; done) & done; wait; test \$(sqlite3 $MNT/db 'SELECT count(*) FROM t') = 5010"
  equals "and it is whole" ok "$(sql 'PRAGMA integrity_check')"
  rm -f "$MNT"/db*
done

# Python.
check "shutil, pathlib, tempfile, zipfile, tarfile" python3 - "$MNT" <<'PY'
import filecmp, os, pathlib, shutil, sys, tarfile, tempfile, zipfile
m = pathlib.Path(sys.argv[1])
shutil.copy('src/blob', m / 'copy'); shutil.copy2('src/run.sh', m / 'copy2'); shutil.copyfile('src/blob', m / 'copyfile')
assert os.access(m / 'copy2', os.X_OK) and (m / 'copy2').stat().st_mtime_ns == os.stat('src/run.sh').st_mtime_ns
shutil.copytree('src', m / 'tree'); shutil.move(m / 'tree', m / 'moved')
assert not filecmp.dircmp('src', m / 'moved').diff_files
(m / 'text').write_text('one'); (m / 'text').replace(m / 'text2'); assert (m / 'text2').read_text() == 'one'
(m / 'text2').touch(); (m / 'd').mkdir(); (m / 'd' / 'hard').hardlink_to(m / 'text2')
assert sorted(p.name for p in m.rglob('*.txt')) == sorted(p.name for p in pathlib.Path('src').rglob('*.txt'))
with tempfile.NamedTemporaryFile(dir=m) as f: f.write(b'x'); f.flush(); assert os.path.exists(f.name)
with tempfile.TemporaryFile(dir=m) as f: f.write(b'x'); f.seek(0); assert f.read() == b'x'
with zipfile.ZipFile(m / 'z.zip', 'w', zipfile.ZIP_DEFLATED) as z: z.write('src/blob'); z.writestr('a/b', 'text')
with zipfile.ZipFile(m / 'z.zip', 'a') as z: z.writestr('c', 'more')
with zipfile.ZipFile(m / 'z.zip') as z: assert z.testzip() is None and len(z.namelist()) == 3; z.extractall(m / 'unzipped')
with tarfile.open(m / 't.tar.xz', 'w:xz') as t: t.add('src')
with tarfile.open(m / 't.tar.xz') as t: t.extractall(m / 'untarred')
assert not filecmp.dircmp('src', m / 'untarred' / 'src').diff_files
shutil.make_archive(str(m / 'archive'), 'gztar', m / 'moved'); shutil.rmtree(m / 'moved')
PY
equals "nothing is left unstaged" "" "$(unstaged)"
rm -r "${MNT:?}"/*

# Downloads that are broken off.
cat > serve.py <<'PY'
import http.server, os, re
class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with ranges; /broken/NAME closes the connection after a million bytes of a whole answer."""
    def do_GET(self):
        broken = self.path.startswith('/broken/')
        data = open('src/' + self.path.rsplit('/', 1)[1], 'rb').read()
        match = re.match(r'bytes=(\d+)-', self.headers.get('Range', ''))
        start = int(match[1]) if match else 0
        self.send_response(206 if match else 200)
        self.send_header('Accept-Ranges', 'bytes')
        if match: self.send_header('Content-Range', f'bytes {start}-{len(data) - 1}/{len(data)}')
        self.send_header('Content-Length', str(len(data) - start)); self.end_headers()
        self.wfile.write(data[start:1000000] if broken and not match else data[start:])
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
python3 serve.py > port &
DAEMONS="$DAEMONS $!"
eventually test -s port
URL=http://127.0.0.1:$(cat port)
check "curl -C - goes on" sh -c "! curl -sSo $MNT/curl $URL/broken/blob 2>/dev/null; test \$(stat -c %s $MNT/curl) = 1000000 && curl -sSC - -o $MNT/curl $URL/broken/blob && cmp src/blob $MNT/curl"
if command -v wget > /dev/null; then
  check "wget -c goes on" sh -c "head -c 1000000 src/blob > $MNT/wget && wget -qcO $MNT/wget $URL/blob && cmp src/blob $MNT/wget"
  check "wget tries again by itself" sh -c "wget -qO $MNT/again $URL/broken/blob && cmp src/blob $MNT/again"
else
  skip "wget" "not installed"
fi

# dd and friends.
check "dd conv=fsync, conv=fdatasync" sh -c "dd if=src/blob of=$MNT/dd bs=100k conv=fsync status=none && cmp src/blob $MNT/dd && dd if=src/blob of=$MNT/dd bs=7k conv=fdatasync,notrunc status=none && cmp src/blob $MNT/dd"
check "dd oflag=direct, iflag=direct" sh -c "dd if=src/blob of=$MNT/direct bs=4k oflag=direct status=none && dd if=$MNT/direct iflag=direct bs=4k status=none | cmp - src/blob"
check "dd oflag=append, oflag=sync" sh -c "head -c 10 src/blob > $MNT/append && tail -c +11 src/blob | dd of=$MNT/append bs=64k oflag=append,sync conv=notrunc status=none && cmp src/blob $MNT/append"
check "split, cat, sort -o, tee, truncate, shred" sh -c "cd $MNT && split -b 1M dd piece- && cat piece-* | cmp - dd && seq 9 -1 1 > s && sort -o s s && seq 9 | cmp - s && echo x | tee t > /dev/null && truncate -s 5 t && shred -u t && test ! -e t"
check "flock" sh -c "flock -n $MNT/lock sh -c '! flock -n $MNT/lock true'"
check "find, du, df" sh -c "test \$(find $MNT -size +2000k -type f | wc -l) = \$(ls $MNT/dd $MNT/direct $MNT/append $MNT/curl $MNT/wget $MNT/again 2>/dev/null | wc -l) && test \$(du -s --apparent-size -B1 $MNT | cut -f1) -ge 15000000 && test \$(df -B1 --output=size $MNT | tail -n 1) = \$(df -B1 --output=size $STAGEFS_ROOT | tail -n 1)"
equals "df -T names the type" fuse.stagefs "$(df --output=fstype "$MNT" | tail -n 1)"
equals "nothing is left unstaged" "" "$(unstaged)"
rm -r "${MNT:?}"/*

# inotifywait sees local operations, once each.
inotifywait -qm --format '%e %f' -e create,moved_from,moved_to,delete,close_write "$MNT" > events 2> watching &
DAEMONS="$DAEMONS $!"
eventually sh -c "grep -l inotify /proc/$!/fdinfo/* 2>/dev/null | xargs grep -q 'inotify wd'"
echo x > "$MNT/one" && mv "$MNT/one" "$MNT/two" && rm "$MNT/two"
printf 'CREATE one\nCLOSE_WRITE,CLOSE one\nMOVED_FROM one\nMOVED_TO two\nDELETE two\n' > expected
check "inotifywait sees each local operation once" eventually cmp expected events

# Many files.
check "$MANY_FILES files" sh -c "mkdir $MNT/many && cd $MNT/many && seq -f file-%05g $MANY_FILES | xargs -n 1000 touch"
check "are listed" sh -c "test \$(ls -U $MNT/many | wc -l) = $MANY_FILES && test \$(find $MNT/many -type f | wc -l) = $MANY_FILES"
check "and commit" stagefs commit t/r:w -m many
check "rm -r of them" rm -r "$MNT/many"
equals "stages the removal of each" "$MANY_FILES" "$(stagefs status t/r:w | grep -c '^D')"
check "the mount ends" unmount_w
check "nothing is damaged" stagefs fsck t/r
