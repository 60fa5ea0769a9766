#!/usr/bin/env bash
# Editors on a terminal: a save is one modified file, whichever way the editor writes it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
mount_w

# edit COMMAND KEYS…: on a terminal, each piece of keys once the program waits for one.
edit() {
  python3 - "$@" <<'PY'
import fcntl, os, pty, select, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.environ.update(TERM="xterm", HOME=os.getcwd())
    os.execvp("sh", ["sh", "-c", "exec " + sys.argv[1]])

def drain(quiet, deadline):
    """Reads what the program draws until it is quiet; False once it has ended."""
    while select.select([terminal], [], [], quiet)[0]:
        if time.monotonic() > deadline:
            sys.exit("it never waits for a key")
        try:
            if not os.read(terminal, 65536):
                return False
        except OSError:
            return False
    return True

deadline = time.monotonic() + 20
for keys in sys.argv[2:]:
    drain(0.5, deadline)
    os.write(terminal, keys.encode().decode("unicode_escape").encode("latin-1"))
while drain(1, deadline):
    if time.monotonic() > deadline:
        os.kill(pid, 9)
        sys.exit("it does not end")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}
# saved WHAT: the file holds the new text and is one modified file.
saved() {
  equals "$1 saved" "$(printf 'first\nnew old')" "$(head -n 2 "$MNT/notes.txt")"
  equals "$1: what is staged is one modified file" "M  notes.txt" "$(stagefs status t/r:w)"
  equals "$1: nothing else is there" notes.txt "$(ls -A "$MNT")"
  stagefs unstage t/r:w --all > /dev/null
  eventually cmp "$MNT/notes.txt" notes.txt  # An editor that opens it sooner is told, rightly, that it changed.
}

{ echo first; echo old; seq 1000; } > notes.txt
cp notes.txt "$MNT/"
stagefs commit t/r:w -m notes > /dev/null
for options in '' 'set nobackup writebackup backupcopy=yes' 'set backupcopy=no writebackup' 'set nowritebackup noswapfile'; do
  check "vim, ${options:-as it comes}" edit "vim -Nu NONE -n -c '${options:-set swapfile}' $MNT/notes.txt" '2G' 'inew \x1b' ':w\r' ':q\r'
  saved "vim, ${options:-as it comes}"
done
check "vim with its swap file" edit "vim -Nu NONE -c 'set directory=.' -c 'cd $MNT' $MNT/notes.txt" '2G' 'inew \x1b' ':w\r' ':q\r'
saved "vim with its swap file"
if command -v nano > /dev/null; then
  for options in '' '--backup' '--locking'; do
    check "nano $options" edit "nano $options $MNT/notes.txt" '\x1b[B' 'new ' '\x0f\r' '\x18'
    rm -f "$MNT/notes.txt~"
    saved "nano $options"
  done
else
  skip "nano" "not installed"
fi
check "ed" sh -c "command -v ed > /dev/null || exit 0; printf '2s/^/new /\nw\nq\n' | ed -s $MNT/notes.txt"
command -v ed > /dev/null && saved "ed"
check "sed -i" sed -i '2s/^/new /' "$MNT/notes.txt"
saved "sed -i"
check "perl -i" perl -pi -e 's/^/new / if $. == 2' "$MNT/notes.txt"
saved "perl -i"
check "a save by a temporary file, fsync and rename" python3 - "$MNT" <<'PY'
import os, sys, tempfile
path = sys.argv[1] + "/notes.txt"
text = open(path).read().replace("old", "new old", 1)
with tempfile.NamedTemporaryFile("w", dir=sys.argv[1], delete=False) as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
os.replace(file.name, path)
PY
saved "a temporary file and rename"
check "the mount ends" unmount_w
