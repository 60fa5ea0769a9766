#!/usr/bin/env bash
# What people do to a mount that nobody planned: whoever wrote is told, nothing else is harmed, status tells the truth.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
status() { stagefs status t/r:w; }
head -c 2000000 /dev/urandom > blob
echo good > good

# A disk that is too small, here of 24 MB: a file ten times as large is dropped on it.
if mkdir disk && mount -t tmpfs -o size=24m none disk 2> /dev/null; then
  export STAGEFS_ROOT=$WORK/disk/root
  mount_w
  cp good blob "$MNT/"
  stagefs commit t/r:w -m base > /dev/null
  head -c 240M /dev/urandom > large
  refuses "cp says that the disk is full" "No space left" cp large "$MNT/large"
  check "status names the file that was not staged" sh -c "'$STAGEFS_BINARY' status t/r:w | grep -q '^X  large '"
  check "good files can be read while it is full" cmp blob "$MNT/blob"
  check "and removed; that needs no space that is not there" rm "$MNT/large"
  equals "nothing is staged" "" "$(status)"
  for tool in "rsync -a" "mv" "install" "cp -a"; do
    ln -f large again
    refuses "$tool says that the disk is full" "No space left" $tool again "$MNT/again"
    rm -f "$MNT"/again "$MNT"/.again.*
  done
  equals "nothing is staged of them" "" "$(status)"
  refuses "tar says it" "No space left" sh -c "tar -cf - large | tar -xf - -C $MNT"
  rm -f "$MNT/large"
  refuses "a manifest that does not fit says so" "No space left" sh -c "yes 'cat' | head -c 100M > $MNT/.stagefs/inbox/list.sum"
  equals "status names it" "X  .stagefs/inbox/list.sum (refused, not staged: retry or dismiss)" "$(status)"
  check "it can be removed" rm "$MNT/.stagefs/inbox/list.sum"
  equals "then it is gone" "" "$(status)$(ls "$MNT/.stagefs/inbox")"
  check "the mount goes on" sh -c "echo more > $MNT/more && cmp good $MNT/good"
  equals "and stages" "A  more" "$(status)"
  check "commit" stagefs commit t/r:w -m more
  check "nothing is damaged" stagefs fsck t/r
  unmount_w

  # The disk is pulled: what is open stays as it is, what is new fails.
  mount_w
  cp good "$MNT/pulled"
  umount -l disk
  refuses "a file of the pulled disk is an error, not missing" "Input/output error" cat "$MNT/good"
  check "the daemon answers, whatever it says" timeout 20 sh -c "echo x > $MNT/late; ls $MNT > /dev/null; true"
  check "the mount ends" timeout 60 "$STAGEFS_BINARY" unmount "$MNT"
  eventually sh -c "! pgrep -f -- '^$STAGEFS_BINARY mount t/r:w $MNT'"
else
  skip "a full disk, a disk that is pulled" "tmpfs cannot be mounted here"
fi
export STAGEFS_ROOT=$WORK/root

# The folder of the repository is removed below a mount.
mount_w
cp good blob "$MNT/"
stagefs commit t/r:w -m base > /dev/null
mv root/t/r root/t/gone
refuses "removed store: a file is an error, not missing" "Input/output error" cat "$MNT/good"
refuses "removed store: a write is refused" "" sh -c "echo new > $MNT/new"
refuses "removed store: a command says what is missing" "no repository t/r" stagefs status t/r:w
mv root/t/gone root/t/r
check "put back, writing works again" eventually sh -c "echo new > $MNT/new"
check "and what was there is whole" cmp blob "$MNT/blob"
check "status tells" eventually sh -c "'$STAGEFS_BINARY' status t/r:w | grep -qx 'A  new'"
stagefs unstage t/r:w --all > /dev/null
rm -f root/t/r/versions/*/"$(sha256sum < blob | cut -c3-64)"
unmount_w
mount_w
refuses "a version that is gone is an error, not other bytes" "Input/output error" cat "$MNT/blob"
check "other files are read" cmp good "$MNT/good"
refuses "fsck names it" "missing  $(sha256sum < blob | cut -c1-64)" stagefs fsck t/r
check "writing it again mends it" sh -c "cp blob $MNT/again && cmp blob $MNT/blob"
check "fsck agrees" stagefs fsck t/r
rm "$MNT/again"

# The mount is pulled while a copy runs.
mkfifo slow
(cat slow > "$MNT/copied") 2> copy.err &
copy=$!
exec 7> slow
head -c 1000000 blob >&7
eventually sh -c "test -s $MNT/copied"
refuses "unmounting is refused while something is open" "is in use" stagefs unmount "$MNT"
check "forced, it goes" stagefs unmount --lazy "$MNT"
tail -c +1000001 blob >&7
exec 7>&-
wait "$copy"
equals "the copy ends well: a lazy unmount waits for it" "0, " "$?, $(cat copy.err)"
eventually sh -c "! pgrep -f -- '^$STAGEFS_BINARY mount t/r:w $MNT'"
mount_w
check "what it wrote is there, whole" cmp blob "$MNT/copied"
rm "$MNT/copied"

(cat slow > "$MNT/copied") 2> copy.err &
copy=$!
exec 7> slow
head -c 1000000 blob >&7
eventually sh -c "test -s $MNT/copied"
kill -9 "$(daemon_pid)"
eventually sh -c "! ls $MNT"
(tail -c +1000001 blob >&7) 2> /dev/null
exec 7>&-
wait "$copy"
equals "a copy whose daemon died fails" 1 $?
check "and says so" grep -qE 'not connected|abort' copy.err
check "one command brings the mount back" mount_w
check "nothing half is staged" sh -c "test ! -e $MNT/copied && test -z \"\$('$STAGEFS_BINARY' status t/r:w | grep ^A)\""
check "what came through is in recovered" sh -c "cmp -n 1000000 blob $MNT/.stagefs/recovered/1-copied"
check "status names it" sh -c "'$STAGEFS_BINARY' status t/r:w | grep -q copied"
check "dismissed it is gone" sh -c "'$STAGEFS_BINARY' dismiss t/r:w copied && test -z \"\$('$STAGEFS_BINARY' status t/r:w)\""

# Two people write one file.
check "two writers of one file: one of them is staged, whole" python3 - "$MNT" "$STAGEFS_BINARY" <<'PY'
import subprocess, sys, threading
path = sys.argv[1] + "/shared"
texts = [letter * 300_000 for letter in "ab"]
def write(text):
    for _ in range(20):
        with open(path + text[0], "w") as file:
            file.write(text)
        subprocess.run(["mv", path + text[0], path], check=True)
threads = [threading.Thread(target=write, args=(text,)) for text in texts]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert open(path).read() in texts
status = subprocess.run([sys.argv[2], "status", "t/r:w"], capture_output=True, text=True).stdout
assert status == "A  shared\n", status
PY
check "two writers in place: what readers see is what is staged" python3 - "$MNT" <<'PY'
import hashlib, os, sys, threading
path = sys.argv[1] + "/shared"
def write(letter):
    for _ in range(20):
        with open(path, "w") as file:
            file.write(letter * 200_000)
threads = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
for thread in threads: thread.start()
for thread in threads: thread.join()
data = open(path, "rb").read()
assert set(data) <= set(b"ab\0") and len(data) == 200_000, (set(data), len(data))
assert os.getxattr(path, "user.stagefs.sha256").decode() == hashlib.sha256(data).hexdigest()
PY
stagefs put t/r good | sed 's/good$/shared/' > other.sum
check "a writer here and another process: the last one wins" python3 - "$MNT" "$STAGEFS_BINARY" <<'PY'
import subprocess, sys
# Started first: a child that inherits the file closes it too, and so stages it.
other = subprocess.Popen(["sh", "-c", "read go; exec " + sys.argv[2] + " stage t/r:w other.sum"], stdin=subprocess.PIPE)
with open(sys.argv[1] + "/shared", "w") as file:
    file.write("from the mount\n")
    file.flush()
    other.communicate(b"go\n")
assert other.returncode == 0 and open(sys.argv[1] + "/shared").read() == "from the mount\n"
PY
check "also for everybody else" sh -c "'$STAGEFS_BINARY' diff t/r:w | grep -q $(echo 'from the mount' | sha256sum | cut -d' ' -f1)"
rm "$MNT/shared"

# The laptop is closed: everything waits, and goes on.
mkdir "$MNT/aside"  # Another folder: whoever makes a file in one keeps look-ups there waiting, beyond any signal.
daemon=$(daemon_pid)
kill -STOP "$daemon"
cp blob "$MNT/asleep" &
copy=$!
timeout 1 stat "$MNT/aside/never looked up" > /dev/null 2>&1
equals "a stopped daemon makes programs wait" 124 $?
check "commands on the repository still work" sh -c "'$STAGEFS_BINARY' status t/r:w && '$STAGEFS_BINARY' put t/r good"
stagefs put t/r good | sed 's/good$/meanwhile/' | stagefs stage t/r:w - > /dev/null
kill -CONT "$daemon"
wait "$copy"
equals "when it goes on, the copy ends well" 0 $?
rmdir "$MNT/aside"
check "and is whole" cmp blob "$MNT/asleep"
check "what others staged meanwhile is seen" eventually cmp good "$MNT/meanwhile"
equals "status tells both" "A  asleep
A  meanwhile" "$(status)"
check "the mount ends" unmount_w
check "nothing is damaged" stagefs fsck t/r
