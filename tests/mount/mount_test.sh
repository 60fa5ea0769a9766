#!/usr/bin/env bash
# What only a kernel can show: the mount as programs see it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1

status() { stagefs status t/r:w; }
xattr() { getfattr --absolute-names --only-values -n "user.stagefs.$1" "$2"; }

mkdir data && printf 'cat\n' > data/cat && printf 'dog\n' > data/dog && head -c 3000000 /dev/urandom > data/big
check "create" stagefs create t/r
check "put prints a manifest" sh -c '"$STAGEFS_BINARY" put t/r data > sums && (cd data && sha256sum -c --quiet ../sums)'
CAT=$(sha256sum data/cat | cut -d' ' -f1)
DOG3=$(xxh128sum data/dog | cut -d' ' -f1)
mount_with_few_files() { (ulimit -Sn 100 && mount_w); }
check "mount in the background returns once the mount answers" mount_with_few_files
check "the mount answers" test -d "$MNT/.stagefs/versions"

# Control folder.
equals "the control folder is not listed" "" "$(ls -A "$MNT")"
check "a version is found by SHA-256" cmp data/cat "$MNT/.stagefs/versions/$CAT"
check "a version is found by XXH3, upper case" cmp data/dog "$MNT/.stagefs/versions/$(echo "$DOG3" | tr a-f A-F)"
equals "versions are listed" 4 "$(ls "$MNT/.stagefs/versions" | wc -l)"
refuses "versions cannot be written" "" sh -c "echo x > $MNT/.stagefs/versions/$CAT"
refuses "versions cannot be removed" "" rm -f "$MNT/.stagefs/versions/$CAT"
check "config and stats can be read" sh -c "grep -q '\"repository\":\"t/r\"' $MNT/.stagefs/config.json && grep -q '^operations: ' $MNT/.stagefs/stats"

# Links.
check "ln stages a version" ln "$MNT/.stagefs/versions/$CAT" "$MNT/a.jpg"
check "ln of a file stages its content" ln "$MNT/a.jpg" "$MNT/b.jpg"
equals "links are independent files" "1 1" "$(stat -c %h "$MNT/a.jpg" "$MNT/b.jpg" | xargs)"
check "their inodes differ" test "$(stat -c %i "$MNT/a.jpg")" != "$(stat -c %i "$MNT/b.jpg")"
check "writing one leaves the other" sh -c "echo more >> $MNT/b.jpg && cmp $MNT/a.jpg data/cat"
check "ln -s HASH stages" sh -c "ln -s $DOG3 $MNT/s1 && cmp $MNT/s1 data/dog && test ! -L $MNT/s1"
check "ln -s to a version stages" sh -c "ln -s .stagefs/versions/$CAT $MNT/s2 && cmp $MNT/s2 data/cat"
check "ln -s to a file of the mount stages" sh -c "ln -s $MNT/a.jpg $MNT/s3 && test ! -L $MNT/s3 && cmp $MNT/s3 data/cat"
check "any other symbolic link is kept" sh -c "ln -s /nowhere $MNT/s4 && test \$(readlink $MNT/s4) = /nowhere"
refuses "ln -s to an unknown hash is refused" "No such file" ln -s "$(printf 'f%.0s' $(seq 64))" "$MNT/s5"
refuses "a hard link from outside is refused" "cross-device" ln data/cat "$MNT/outside"
refuses "ln over an existing name is refused" "exists" ln "$MNT/.stagefs/versions/$CAT" "$MNT/a.jpg"
equals "status names what is staged" "A  a.jpg
A  b.jpg
A  s1
A  s2
A  s3
L  s4 -> /nowhere (symbolic link, never staged)" "$(status)"
rm "$MNT"/*

# Copies.
before=$(awk '/^bytes_read/{print $2}' "$MNT/.stagefs/stats")
BIG=$(sha256sum data/big | cut -d' ' -f1)
check "many files can be open, whatever the shell's limit" python3 -c '
import sys
files = [open(f"{sys.argv[1]}/open{i}", "w") for i in range(200)]
for file in files: file.write("x"); file.flush()
for file in files: file.close()' "$MNT"
rm "$MNT"/open*
check "cp of a version" cp "$MNT/.stagefs/versions/$BIG" "$MNT/big1"
check "cp inside the mount" cp "$MNT/big1" "$MNT/big2"
equals "neither read a byte" "$before" "$(awk '/^bytes_read/{print $2}' "$MNT/.stagefs/stats")"
check "the copies are whole" sh -c "cmp data/big $MNT/big1 && cmp data/big $MNT/big2"
check "cp with read and write" sh -c "cp --reflink=never --sparse=always $MNT/big1 $MNT/big3 && cmp data/big $MNT/big3"
check "a partial copy is an ordinary file" sh -c "dd if=$MNT/big1 of=$MNT/part bs=1000 count=7 status=none && head -c 7000 data/big | cmp - $MNT/part"
equals "three names, one version" "$BIG $BIG $BIG" "$(for f in big1 big2 big3; do xattr sha256 "$MNT/$f"; echo; done | xargs)"
equals "the xattrs are not listed" "" "$(getfattr --absolute-names -d "$MNT/big1")"
equals "xattr status" added "$(xattr status "$MNT/big1")"
refuses "a foreign xattr cannot be set" "not supported" setfattr -n user.x -v y "$MNT/big1"
rm "$MNT"/*

# Writes.
check "a written file is staged at close" sh -c "cp data/cat $MNT/w && test \$($STAGEFS_BINARY status t/r:w) = 'A  w' || $STAGEFS_BINARY status t/r:w | grep -qx 'A  w'"
check "content that is known adds nothing to the store" sh -c "test \$(find $STAGEFS_ROOT/t/r/versions $STAGEFS_ROOT/t/r/cache -type f -name '${CAT#??}' 2>/dev/null | wc -l) = 1"
check "redirection, append and read back" sh -c "(echo one; echo two) > $MNT/r; echo three >> $MNT/r; printf 'one\ntwo\nthree\n' | cmp - $MNT/r"
check "truncate by path is staged at once" sh -c "truncate -s 3 $MNT/r && printf one | cmp - $MNT/r && test \$(getfattr --absolute-names --only-values -n user.stagefs.sha256 $MNT/r) = \$(printf one | sha256sum | cut -d' ' -f1)"
check "an empty new file" sh -c ": > $MNT/empty && test -f $MNT/empty && test ! -s $MNT/empty"
check "it is staged" eventually sh -c "$STAGEFS_BINARY status t/r:w | grep -qx 'A  empty'"
check "write in the middle" sh -c "printf X | dd of=$MNT/w bs=1 seek=1 conv=notrunc status=none && printf 'cXt\n' | cmp - $MNT/w"
check "holes" sh -c "truncate -s 100000 $MNT/hole && printf end >> $MNT/hole && test \$(stat -c %s $MNT/hole) = 100003"
check "dd with fsync" dd if=data/big of="$MNT/dd" bs=64k conv=fsync status=none
check "dd gave the same bytes" cmp data/big "$MNT/dd"
check "fallocate" sh -c "fallocate -l 5000 $MNT/alloc && test \$(stat -c %s $MNT/alloc) = 5000"
refuses "a directory is not a file" "Is a directory" sh -c "echo x > $MNT"
check "255-byte names work" touch "$MNT/$(printf 'n%.0s' $(seq 255))"
refuses "256-byte names do not" "too long" touch "$MNT/$(printf 'n%.0s' $(seq 256))"
check "names that are not UTF-8 work" sh -c "printf x > \"$MNT/\$(printf 'a\377b')\" && ls $MNT | grep -q a"
rm -f "$MNT"/*

# Files that are open while things happen.
check "a folder with a file being written is not empty" python3 - "$MNT" <<'PY'
import errno, os, sys
m = sys.argv[1]
os.mkdir(m + '/from'); os.mkdir(m + '/full')
f = open(m + '/full/new', 'w')  # Nothing is staged of it before it is closed.
for attempt in (lambda: os.rename(m + '/from', m + '/full'), lambda: os.rmdir(m + '/full')):
    try:
        attempt()
        sys.exit('it went')
    except OSError as error:
        assert error.errno == errno.ENOTEMPTY, error
f.write('kept'); f.close()
assert open(m + '/full/new').read() == 'kept'
os.remove(m + '/full/new'); os.rmdir(m + '/full'); os.rmdir(m + '/from')
PY
check "rename of an open dirty file" python3 - "$MNT" <<'PY'
import os, sys
m = sys.argv[1]
f = open(m + '/one', 'w'); f.write('abc'); f.flush()
os.rename(m + '/one', m + '/two'); f.write('def'); f.close()
assert open(m + '/two').read() == 'abcdef' and not os.path.exists(m + '/one')
f = open(m + '/three', 'w'); f.write('linked'); f.flush()
os.link(m + '/three', m + '/four'); os.unlink(m + '/three'); f.write(' more'); f.close()
assert open(m + '/four').read() == 'linked' and not os.path.exists(m + '/three')
f = open(m + '/five', 'w+'); f.write('gone'); f.flush(); os.unlink(m + '/five')
f.seek(0); assert f.read() == 'gone'; f.write('x'); f.close()
assert not os.path.exists(m + '/five')
g = open(m + '/old', 'w'); g.write('old'); g.close()
r = open(m + '/old'); open(m + '/new', 'w').write('new'); os.rename(m + '/new', m + '/old')
assert r.read() == 'old' and open(m + '/old').read() == 'new'
PY
equals "nothing is staged under a name that went" "A  four
A  old
A  two" "$(status)"
check "mmap writes after close are staged" python3 - "$MNT" <<'PY'
import mmap, os, sys
p = sys.argv[1] + '/map'
fd = os.open(p, os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8192)
m = mmap.mmap(fd, 8192); os.close(fd); m[0:5] = b'hello'; m[8187:8192] = b'world'; m.flush(); m.close()
data = open(p, 'rb').read(); assert data[:5] == b'hello' and data[-5:] == b'world', data[:8]
PY
check "they are in the store" eventually sh -c "test \$(getfattr --absolute-names --only-values -n user.stagefs.sha256 $MNT/map) = \$(sha256sum < $MNT/map | cut -d' ' -f1)"
check "RENAME_NOREPLACE and EXCHANGE" python3 - "$MNT" <<'PY'
import ctypes, os, sys
m = sys.argv[1]; c = ctypes.CDLL(None, use_errno=True)
def ren(a, b, flags): return c.renameat2(-100, a.encode(), -100, b.encode(), flags)
open(m + '/x', 'w').write('x'); open(m + '/y', 'w').write('y')
assert ren(m + '/x', m + '/y', 1) == -1 and ctypes.get_errno() == 17
assert ren(m + '/x', m + '/y', 2) == 0 and open(m + '/x').read() == 'y' and open(m + '/y').read() == 'x'
PY
check "readers see what is being written" sh -c "exec 8> $MNT/busy; echo now >&8; exec 9<> $MNT/busy2; printf half >&9; test \$(cat $MNT/busy2) = half"
rm -f "$MNT"/*

# Times and modes.
check "times are kept to the nanosecond" sh -c "touch -d '2001-02-03 04:05:06.123456789 UTC' $MNT/t && test \"\$(TZ=UTC stat -c %y $MNT/t)\" = '2001-02-03 04:05:06.123456789 +0000'"
check "the exec bit is kept" sh -c "cp /bin/true $MNT/prog && chmod 755 $MNT/prog && $MNT/prog && test \$(stat -c %a $MNT/prog) = 755"
check "chown succeeds and changes nothing" sh -c "chown 1234 $MNT/t && test \$(stat -c %u $MNT/t) = $(id -u)"
refuses "no devices" "not permitted" mknod "$MNT/dev" c 1 3
refuses "no trash" "not permitted" mkdir "$MNT/.Trash-0"
refuses "nothing is made at the control folder's name" "" mkdir "$MNT/.stagefs"
[ -n "${STAGEFS_VERSIONS:-}" ] || check "statfs is the store's" test "$(stat -f -c %b "$MNT")" = "$(stat -f -c %b "$STAGEFS_ROOT")"
check "st_blocks is filled" test "$(stat -c %b "$MNT/prog")" -gt 0
rm -f "$MNT"/*

# Scratch, and manifests dropped in.
check "a scratch name is kept and not staged" sh -c "echo j > $MNT/.DS_Store && echo j > $MNT/x.part && $STAGEFS_BINARY status t/r:w | grep -c scratch | grep -qx 2"
check "renamed to a real name it is staged" sh -c "mv $MNT/x.part $MNT/x && $STAGEFS_BINARY status t/r:w | grep -qx 'A  x'"
mkdir "$MNT/drop"
check "a dropped manifest is staged into its folder" sh -c "cp sums $MNT/drop/batch.stage.sum && cmp data/cat $MNT/drop/cat"
check "its report lies beside it" grep -q '"added":3' "$MNT/drop/batch.stage.sum.result.json"
check "one renamed into place too" sh -c "sed s/cat/tom/ sums > $MNT/drop/.batch.tmp && mv $MNT/drop/.batch.tmp $MNT/drop/again.stage.sum"
check "is staged soon" eventually cmp data/cat "$MNT/drop/tom"
check "close() waits for the staging that a child's close began" python3 - "$MNT" sums <<'PY'
import os, sys, time
lines = open(sys.argv[2]).read()
for round in range(30):
    manifest = "".join(line.replace("  ", f"  {round}/{i}/") + "\n" for i in range(300) for line in lines.split("\n") if line)
    fd = os.open(f"{sys.argv[1]}/.stagefs/inbox/forked/{round}.sum", os.O_WRONLY | os.O_CREAT)
    os.write(fd, manifest.encode())
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"x")
        os.close(fd)  # The descriptor it inherited.
        os._exit(0)
    os.read(told, 1)
    time.sleep(0.002)  # Lets the child's FLUSH come first, most of the thirty times; right either way.
    os.close(fd)
    os.close(told); os.close(tell)
    assert os.path.exists(f"{sys.argv[1]}/forked/{round}/299/dog"), round
    os.waitpid(child, 0)
PY
rm -r "$MNT/forked"
refuses "a malformed one fails its close" "Invalid argument" sh -c "echo '[{' > $WORK/bad.json && cp $WORK/bad.json $MNT/drop/bad.stage.json"
check "and says why in its report" grep -q '"error":"manifest' "$MNT/drop/bad.stage.json.result.json"
check "the inbox stages into the folder it is named for" sh -c "cp sums $MNT/.stagefs/inbox/drop/in.sum && ls $MNT/.stagefs/inbox/drop | grep -qx in.sum.result.json"
check "the inbox makes folders" sh -c "mkdir $MNT/.stagefs/inbox/v1.0 && cp sums $MNT/.stagefs/inbox/v1.0/ && cmp data/dog $MNT/v1.0/dog"
check "rename into the inbox" sh -c "cp sums $MNT/.stagefs/inbox/.tmp.Ab12Cd && mv $MNT/.stagefs/inbox/.tmp.Ab12Cd $MNT/.stagefs/inbox/late.sum"
check "is staged soon, too" eventually cmp data/dog "$MNT/dog"
check "with its report beside it" eventually test -s "$MNT/.stagefs/inbox/late.sum.result.json"
check "the newest report" grep -q '"entries":3' "$MNT/.stagefs/last.json"
check "manifests can be removed" rm "$MNT/.stagefs/inbox/drop/in.sum"

# Commit, base, rename of a folder.
check "commit" stagefs commit t/r:w -m first
check "base is the commit" diff -r -x '*.stage.*' -x .DS_Store "$MNT/.stagefs/base" "$MNT"
check "mv of a folder" mv "$MNT/drop" "$MNT/moved"
check "is one line" sh -c "$STAGEFS_BINARY status t/r:w | grep -qx 'R  drop -> moved (4 files)'"
check "--expand shows each file" sh -c "test \$($STAGEFS_BINARY status --expand t/r:w | grep -c '^[AD]  ') = 8"
check "unstage brings it back" stagefs unstage t/r:w moved
check "the mount sees it within a second" eventually test -f "$MNT/drop/cat"
check "and no longer the other" eventually test ! -e "$MNT/moved"

# A folder whose names the kernel knows is listed from memory, until anything changes.
seq -f "$CAT  many/%04.0f" 0 2499 | stagefs stage t/r:w - > /dev/null
check "many names" eventually test -e "$MNT/many/0001"
listed() { ls -l "$MNT/many" > /dev/null && ls "$MNT/many"; }
in_core() { stagefs ls t/r:w many | awk '{ print $NF }'; }
agrees() { # WHAT COMMAND…: after it has run, listings agree with core, each time.
  local what=$1 i
  shift
  check "$what" "$@"
  for i in 1 2 3; do equals "is listed, time $i" "$(in_core | md5sum)" "$(listed | md5sum)"; done
}
agrees "names that are looked up" sh -c "stat $MNT/many/* > $WORK/stats"
agrees "a name that goes" rm "$MNT/many/0700"
agrees "a link" ln "$MNT/many/0001" "$MNT/many/link"
agrees "a rename" mv "$MNT/many/0002" "$MNT/many/renamed"
agrees "a new file" cp data/dog "$MNT/many/new"
agrees "a symbolic link by hash" ln -s "$DOG3" "$MNT/many/by-hash"
agrees "what another process stages" sh -c "echo $CAT '' many/theirs | sed 's/  */  /' | $STAGEFS_BINARY stage t/r:w -"
agrees "what another process removes" stagefs rm t/r:w many/0003
exec 8> "$MNT/many/open"
check "a file that is being written is listed" sh -c "ls $MNT/many | grep -qx open"
rm "$MNT/many/open"
check "and no longer when it is removed" sh -c "! ls $MNT/many | grep -qx open"
exec 8>&-
agrees "a manifest that is dropped" sh -c "echo $CAT '' dropped | sed 's/  */  /' > $MNT/.stagefs/inbox/many/in.sum"
check "many names go" rm -r "$MNT/many"

# Other processes.
cp data/cat "$MNT/read" && exec 8< "$MNT/read"
check "a name that is missing" test ! -e "$MNT/beside"
printf '%s  read\n%s  beside\n' "$BIG" "$CAT" | stagefs stage t/r:w - > /dev/null
check "what another process stages appears while a file is read" eventually test -e "$MNT/beside"
equals "the reader keeps what it opened" "$CAT" "$(sha256sum <&8 | cut -d' ' -f1)"
exec 8<&-
check "afterwards everybody sees the new content" eventually sh -c "test \$(stat -c %s $MNT/read) = 3000000"
rm "$MNT/read" "$MNT/beside"
check "what another process stages appears" sh -c "ls $MNT/fresh 2>/dev/null; echo $CAT '' fresh | sed 's/  */  /' | $STAGEFS_BINARY stage t/r:w -"
check "within a second" eventually cmp data/cat "$MNT/fresh"
check "what it replaces is replaced" sh -c "cat $MNT/fresh >/dev/null; echo $DOG3 '' fresh | sed 's/  */  /' | $STAGEFS_BINARY stage t/r:w -"
check "within a second, too" eventually cmp data/dog "$MNT/fresh"
check "what it removes goes" stagefs rm t/r:w fresh
check "within a second as well" eventually test ! -e "$MNT/fresh"
sql 'DELETE FROM mount'  # As one in another container does, to whom the daemon looks dead.
check "a change that was not noted for this mount is seen" sh -c "echo $CAT '' fresh | sed 's/  */  /' | $STAGEFS_BINARY stage t/r:w -"
check "within a second, still" eventually cmp data/cat "$MNT/fresh"
check "and the mount is known again" eventually mounts_known 1
rm "$MNT/fresh"
mkdir "$WORK/mnt2"
check "a second daemon on the workspace" stagefs mount t/r:w "$WORK/mnt2"
check "what one writes" sh -c "echo both > $MNT/both"
check "the other shows within a second" eventually cmp "$MNT/both" "$WORK/mnt2/both"
check "a folder that somebody is in stays when a neighbour changes" sh -c "cd $MNT/drop && echo n > $WORK/mnt2/neighbour && sleep 1 && pwd -P && ls . >/dev/null"
check "unmount the second" stagefs unmount "$WORK/mnt2"

# What may not be mounted.
refuses "a mountpoint that is mounted" "is a stagefs mount already" stagefs mount t/r:w "$MNT"
refuses "a file" "is not a folder" stagefs mount t/r:w "$WORK/sums"
refuses "a missing one" "mkdir it first" stagefs mount t/r:w "$WORK/none"
refuses "one that is not empty" "is not empty" stagefs mount t/r:w "$WORK/data"
refuses "one inside the root" "inside the root" stagefs mount t/r:w "$STAGEFS_ROOT/t"
refuses "one around the root" "it would hide itself" stagefs mount t/r:w "$WORK"
refuses "an unknown repository" "stagefs create t/x" stagefs mount t/x:w "$WORK/mnt2"
refuses "an unknown workspace" "Workspace not found: nope" stagefs mount t/r:nope "$WORK/mnt2"
refuses "an unknown option" "-o bogus: unknown" stagefs mount t/r:w "$WORK/mnt2" -o bogus
refuses "a busy mount is not unmounted" "is in use" sh -c "cd $MNT && $STAGEFS_BINARY unmount $MNT"
refuses "a mounted workspace is not deleted" "is mounted at" stagefs workspace delete t/r:w
refuses "a mounted repository is not deleted" "is mounted at" stagefs delete t/r

if unshare --mount true 2>/dev/null; then
  refuses "no /dev/fuse" "/dev/fuse is missing" unshare --mount sh -c "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && $STAGEFS_BINARY mount t/r:w $WORK/mnt2 --foreground"
else
  skip "no /dev/fuse" "needs a mount namespace"
fi

# The end.
check "unmount" unmount_w
refuses "unmount of what is not mounted" "is not a stagefs mount" stagefs unmount "$MNT"
check "read-only" mount_w -o ro
refuses "nothing can be written then" "Read-only" touch "$MNT/x"
check "reading works" cmp data/cat "$MNT/drop/cat"
check "unmount the read-only one" unmount_w
check "owner and modes as asked" mount_w -o uid=1234,gid=4321,umask=027,show_control,allow_other
equals "they show" "1234 4321 640" "$(stat -c '%u %g %a' "$MNT/drop/cat")"
equals "the control folder shows" ".stagefs" "$(find "$MNT" -maxdepth 1 -name .stagefs -printf %f)"
pid=$(daemon_pid)
check "SIGTERM" kill "$pid"
check "ends the daemon" timeout 20 tail --pid="$pid" -f /dev/null
check "and unmounts" sh -c "! grep -qF ' $MNT ' /proc/self/mounts"
# A shell starts what it puts in the background with SIGINT ignored.
timeout 60 env --default-signal=INT "$STAGEFS_BINARY" mount t/r:w "$MNT" --foreground &
DAEMONS=$!
check "a foreground mount answers" eventually test -d "$MNT/.stagefs"
kill -INT "$(daemon_pid)"
wait "$DAEMONS"
equals "SIGINT ends it with status 0" 0 $?
DAEMONS=
check "a mount of a workspace that is then deleted" mount_w
check "deletion asks for --force" stagefs workspace delete t/r:w --force
refuses "the mount says that it is stale" "Stale file handle" ls "$MNT"
check "it can be unmounted" unmount_w
check "nothing is left in incoming" sh -c "test -z \"\$(ls -A $STAGEFS_ROOT/t/r/incoming)\""
check "fsck" stagefs fsck t/r
