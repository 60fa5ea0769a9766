#!/usr/bin/env bash
# Who waits keeps nobody else waiting, and ends when it is killed; a signal that a program handles ends no call of it.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

# within MILLISECONDS COMMAND…
within() {
  local begun limit=$1
  shift
  begun=$(date +%s%N)
  timeout 60 "$@" || return
  local took=$((($(date +%s%N) - begun) / 1000000))
  [ "$took" -le "$limit" ] || { echo "it took $took ms"; return 1; }
}
threads() { find "/proc/$(daemon_pid)/task" -maxdepth 1 -name '[0-9]*' | wc -l; }
# So many requests of the daemon's wait.
blocked() { [ "$(threads)" -ge "$1" ]; }
few_threads() { [ "$(threads)" -le 30 ]; }
# killed_soon PID…: children of this shell, which all end within two seconds of kill -9.
killed_soon() {
  local pid
  kill -9 "$@"
  for pid; do ended "$pid" 2 || { echo "$pid: $(grep State "/proc/$pid/status")"; return 1; }; done
}
# Says nothing of those that were killed.
forget_children() { wait "$@" 2> /dev/null || :; }

test_a_hundred_blocked_requests_keep_nobody_waiting_and_end_when_killed() {
  mounted
  mkdir "$MNT/d"
  touch "$MNT/d/"{1..100}
  take_turn
  for i in {1..100}; do
    touch "$MNT/d/$i" &
    waiting[i]=$!
  done
  check "a hundred wait for a turn" eventually blocked 100
  check "a file is looked at" within 2000 stat "$MNT/d/1"
  check "a folder is listed" within 2000 ls -l "$MNT/d"
  check "the status is read" within 2000 cat "$MNT/.stagefs/status"
  check "a version is read" within 2000 cmp data/cat "$MNT/.stagefs/versions/$CAT"
  check "they end when they are killed" killed_soon "${waiting[@]}"
  forget_children "${waiting[@]}"
  let_go
  check "and their threads" eventually few_threads
  check "what comes next is done" touch "$MNT/d/1"
}

test_callers_killed_at_any_moment_are_gone_and_nothing_is_half_done() {
  mounted
  mkdir "$MNT/d" "$MNT/e"
  cp data/cat "$MNT/d/cat"
  cp data/big "$MNT/d/big"
  take_turn
  mkdir "$MNT/e/new" & pids=($!)
  rm "$MNT/d/cat" & pids+=($!)
  ln -s "$DOG" "$MNT/link" & pids+=($!)
  mv "$MNT/e" "$MNT/d/below" & pids+=($!)
  chmod +x "$MNT/d/big" & pids+=($!)
  read -r -t 0.5 _ <> <(:) || :
  check "callers that wait for a turn end when they are killed" killed_soon "${pids[@]}"
  forget_children "${pids[@]}"
  timeout -s TERM 0.5 mkdir "$MNT/term" & term=$!
  check "also by a signal that they do not handle" ended "$term" 3
  let_go
  equals "nothing of it was done, nor refused" "A  d/big A  d/cat E  e/ (empty folder, not in commits)" \
    "$(status | xargs -d'\n')"
  check "the folders are there" test -d "$MNT/e" -a ! -e "$MNT/e/new" -a ! -e "$MNT/d/below" -a ! -e "$MNT/term"
  check "each of it can be done then" sh -c "cd '$MNT' && mkdir e/new && rm d/cat && mv e d/below && chmod +x d/big"
}

test_a_program_that_is_killed_while_its_file_is_hashed_is_gone_and_the_file_is_staged() {
  mounted
  # Not in order: hashed at its close, which takes seconds; `left` by the kernel's, as the program dies.
  cat > hashed.py << 'PYTHON'
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
os.pwrite(file, b"x", 3 << 30)
os.pwrite(file, b"y", 0)
open(sys.argv[2], "w").close()
if sys.argv[2] == "closes":
    os.close(file)
time.sleep(100)
PYTHON
  for how in closes left; do
    python3 hashed.py "$MNT/$how" $how & program=$!
    check "a large file is written" eventually test -e $how
    read -r -t 0.3 _ <> <(:)
    check "its program is killed and gone" killed_soon $program
    forget_children $program
  done
  check "what it wrote is staged" staged_within 400 closes left
  equals "and whole" "yx yx" "$(head -c 1 "$MNT/closes"; tail -c 1 "$MNT/closes") $(head -c 1 "$MNT/left"; tail -c 1 "$MNT/left")"
}
# staged_within SECONDS NAME…
staged_within() {
  local deadline=$((SECONDS + $1)) name
  shift
  for name; do
    until status | grep -qx "A  $name"; do
      [ $SECONDS -lt $deadline ] || { status; return 1; }
      read -r -t 0.2 _ <> <(:) || :
    done
  done
}

test_signals_that_a_program_handles_end_no_call() {
  mounted
  take_turn
  check "a program whose timer ticks reads, writes, waits for a turn and closes" eventually_released ticking
  check "and one with threads" python3 - "$MNT" << 'PYTHON'
import hashlib, os, signal, sys, threading
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
problems = []
def work(number):
    try:
        path = f"{sys.argv[1]}/thread-{number}"
        data = os.urandom(1 << 20) * 8
        with open(path, "wb", 0) as file:
            for at in range(len(data) - (1 << 20), -1, -(1 << 20)):
                os.pwrite(file.fileno(), data[at:at + (1 << 20)], at)
        if hashlib.sha256(open(path, "rb").read()).digest() != hashlib.sha256(data).digest():
            problems.append(path)
    except OSError as error:
        problems.append(error)
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
signal.setitimer(signal.ITIMER_REAL, 0)
sys.exit(str(problems) if problems else 0)
PYTHON
  check "all is staged" eventually all_staged
}
all_staged() { [ "$(status | grep -cv '^[AE]  ')" = 0 ]; }
# The turn is let go a second after a program began that wants it.
eventually_released() {
  "$@" & local program=$!
  read -r -t 1 _ <> <(:) || :
  let_go
  wait "$program"
}
# By system calls, without Python's own way of starting them again.
ticking() {
  python3 - "$MNT" << 'PYTHON'
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result < 0:
        sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
    return result
mnt = sys.argv[1].encode()
call("mkdir", mnt + b"/made", 0o755)
size = 1 << 20
data, back = os.urandom(size), ctypes.create_string_buffer(size)
for path in (mnt + b"/ticks-1", mnt + b"/ticks-2"):
    fd = call("open", path, os.O_CREAT | os.O_RDWR, 0o644)
    for at in range(31, -1, -1):  # Not in order: it is hashed at its end.
        call("lseek", fd, at * size, 0)
        if call("write", fd, data, size) != size:
            sys.exit("written in part")
    call("lseek", fd, 0, 0)
    for at in range(32):
        if call("read", fd, back, size) != size or back.raw != data:
            sys.exit("not read as written")
    call("fsync", fd)
    call("close", fd)
signal.setitimer(signal.ITIMER_REAL, 0)
PYTHON
}

run_cases
