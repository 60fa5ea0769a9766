#!/usr/bin/env bash
# What programs and terminals get of the commands: JSON, names that are raw or quoted, statuses, pipes that nobody reads.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

repository() {
  mkdir data && echo cat > data/cat && echo dog > data/dog
  stagefs create t/r && stagefs workspace create t/r:w > id
  stagefs put t/r data > sums
}
# json WHAT LINES COMMAND…: succeeds (or ends with $ends), with so many lines that are JSON, and nothing else.
json() {
  what=$1 lines=$2
  shift 2
  stagefs --json "$@" > out 2> err
  [ $? -eq "${ends:-0}" ] || { echo "not ok - $what (not status ${ends:-0})"; cat out err; return; }
  check "$what" python3 -c 'import json, sys; found = [json.loads(line) for line in open("out")]; assert len(found) == int(sys.argv[1]), found; assert all(isinstance(one, dict) for one in found); assert not open("err").read()' "$lines"
}
# on_terminal COMMAND…: what the command writes to a terminal.
on_terminal() {
  python3 - "$@" <<'PY'
import os, pty, sys
def read(fd):
    return os.read(fd, 65536)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))
PY
}

test_every_command_answers_in_json() {
  repository
  json "create" 1 create t/other
  json "list" 2 list
  json "put" 2 put t/r data
  check "a line of put is an entry" python3 -c 'import json; assert {e["path"] for e in map(json.loads, open("out"))} == {"cat", "dog"}'
  cp out entries.ndjson
  json "stage" 1 stage t/r:w entries.ndjson
  json "diff" 2 diff t/r:w
  json "ls" 2 ls t/r:w
  json "rm" 1 rm t/r:w cat
  json "unstage" 1 unstage t/r:w dog
  json "stage again" 1 stage t/r:w sums
  json "commit" 1 commit t/r:w -m first
  json "log" 2 log t/r
  json "checkout" 1 checkout t/r out-of-t-r
  json "branch create" 1 branch create t/r side
  json "branch list" 2 branch list t/r
  json "branch merge" 1 branch merge t/r side main
  json "branch delete" 1 branch delete t/r side
  json "workspace create" 1 workspace create t/r:v
  json "workspace list" 2 workspace list t/r
  json "rebase" 1 rebase t/r:v
  json "prefetch" 1 prefetch t/r:v
  json "retry" 1 retry t/r:v
  json "dismiss" 1 dismiss t/r:v
  json "sync" 1 sync t/r
  json "fsck" 1 fsck t/r
  json "gc" 1 gc t/r
  # PostgreSQL runs with fsync off here, and doctor says so.
  ends=${STAGEFS_INDEX:+1} json "doctor" "$(stagefs doctor t/r | wc -l)" doctor t/r
  json "workspace delete" 1 workspace delete t/r:v
  [ "$HTTP" = 0 ] || json "token create" 1 token create --user ann
  mkdir mnt2
  json "mount" 1 mount t/r:w mnt2
  json "unmount" 1 unmount mnt2
  json "delete" 1 delete t/other
  stagefs --json status t/r:w > out
  check "status is one document" python3 -c 'import json; json.load(open("out"))'
}
test_errors_in_json() {
  repository
  while read -r status code command; do
    # shellcheck disable=SC2086 # Words.
    stagefs --json $command > out 2> err
    equals "$command: its status" "$status" $?
    equals "its code" "$code $status" "$(python3 -c 'import json; e = json.load(open("err"))["error"]; print(e["code"], e["exit_status"])')"
    equals "nothing on standard output" "" "$(cat out)"
  done <<'END'
3 not_found ls t/none
3 not_found status t/r:none
4 exists create t/r
2 invalid_argument create nonsense
2 invalid_argument bogus
2 invalid_argument ls
2 invalid_argument ls t/r --bogus
6 nothing_to_commit commit t/r:w -m none
END
  : > bad.csv && echo 'path' > bad.csv
  stagefs --json put t/r data nowhere > out 2> err
  equals "what is done in part: its status" 1 $?
  check "says what was not" python3 -c 'import json; assert "nowhere" in json.load(open("err"))["warning"]["message"]'
}
test_names_that_are_not_text() {
  repository
  python3 -c 'import sys; h = open("sums").read()[:64]; open("odd", "wb").write(b"".join(h.encode() + b"  " + n + b"\0" for n in (b"new\nline", b"\x1b[31mred", b"latin-\xe4", b"tab\there")))'
  stagefs stage t/r:w odd > /dev/null
  for command in status ls diff; do
    stagefs $command t/r:w -z > raw
    check "$command -z has them as they are" python3 -c 'raw = open("raw", "rb").read(); assert raw.count(b"\0") == 4 and raw.endswith(b"\0") and all(n + b"\0" in raw for n in (b"new\nline", b"\x1b[31mred", b"latin-\xe4", b"tab\there")), raw'
    stagefs --json $command t/r:w > out
    check "$command --json has those that are not UTF-8 in base64" grep -q '"path_base64": *"bGF0aW4t5A=="' out
    stagefs $command t/r:w > out
    check "$command has no control character" python3 -c 'out = open("out", "rb").read(); assert b"\x1b" not in out and out.count(b"\n") == 4, out'
  done
  mkdir data/odd && printf x > "$(printf 'data/odd/\033[31mred')"
  on_terminal "$STAGEFS_BINARY" put t/r data > out 2>&1
  check "put has none on a terminal" python3 -c 'out = open("out", "rb").read(); assert b"\x1b" not in out and b"red" in out, out'
  stagefs put t/r data > out
  check "and names as sha256sum writes them for programs" grep -q "$(printf '\033')" out
  refuses "an error has none" "no such path" stagefs ls t/r:w "$(printf 'a\033[31m')"
  stagefs ls t/r:w "$(printf 'a\033[31m')" 2> err
  check "as its bytes show" python3 -c 'assert b"\x1b" not in open("err", "rb").read()'
}
test_nothing_to_commit() {
  repository
  stagefs commit t/r:w -m none 2> err
  equals "nothing to commit has a status of its own" "6 stagefs: No changes to commit" "$? $(cat err)"
  check "--help says so" sh -c "\"\$STAGEFS_BINARY\" --help | grep -q '6 nothing to commit'"
}
test_a_workspace_that_is_not_there() {
  repository
  refuses "how to make it is said" "stagefs workspace create t/r:none" stagefs status t/r:none
}
test_a_pipe_that_nobody_reads() {
  repository
  python3 -c 'h = open("sums").read()[:64]; print("".join(f"{h}  {i}\n" for i in range(20000)), end="")' | stagefs stage t/r:w - > /dev/null
  for command in "ls t/r:w" "--json ls t/r:w" "status t/r:w" "diff t/r:w -z"; do
    # shellcheck disable=SC2086 # Words.
    stagefs $command 2> err | head -c 100 > /dev/null
    equals "$command: quiet" "" "$(cat err)"
    # shellcheck disable=SC2086 # Words.
    (trap '' PIPE; stagefs $command 2> err; echo $? > status) | head -c 100 > /dev/null
    equals "$command: also where SIGPIPE is ignored" " 141" "$(cat err) $(cat status)"
  done
}
# long_on_terminal COMMAND…: the same for one that takes longer than a second, however quick the machine is: it is
# stopped for that long again and again.
long_on_terminal() {
  python3 - "$@" <<'PY'
import os, pty, signal, sys, threading, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
ended = threading.Event()
def stop():
    while not ended.wait(0.2):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.1)
        os.kill(pid, signal.SIGCONT)
stopper = threading.Thread(target=stop)
stopper.start()
try:
    while True:
        os.write(1, os.read(terminal, 65536))
except OSError:
    ended.set()
stopper.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}
test_progress_on_a_terminal() {
  repository
  python3 -c 'import random; h = open("sums").read()[:64]; print("".join(f"{h}  d{i % 1000}/{random.random()}\n" for i in range(400000)), end="")' > many
  long_on_terminal "$STAGEFS_BINARY" stage t/r:w many > out
  check "long work says how far it is, and how fast" grep -qE 'stage: [0-9]+ entries, [0-9]+ a second' out
  long_on_terminal "$STAGEFS_BINARY" commit t/r:w -m many > out
  check "also of one call into core" grep -qE 'commit: ([0-9]+ of [0-9]+ steps, [0-9]+ a second|0:[0-9]+ so far)' out
}
run_cases
