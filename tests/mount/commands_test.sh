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
test_a_dry_run() {
  repository
  printf 'path,hash\ncat,%s\n"odd\nname",%064d\n../x,%s\n' "$(cut -c1-64 sums | head -n 1)" 0 "$(cut -c1-64 sums | head -n 1)" > list.csv
  sql 'SELECT * FROM version' > before
  stagefs stage t/r:w --dry-run list.csv > out 2> err
  equals "its status says that something is refused" 1 $?
  equals "what would become of the entries" "1 added, 0 modified, 0 unchanged, 2 refused; dry run: nothing was staged" "$(cat out)"
  check "what is refused, by lines" grep -q '^refused: line 3: .*odd.*name.*: version 0*: no such version$' err
  check "each at the line it begins on" grep -q "^refused: line 5: ../x: " err
  equals "nothing is staged" "" "$(stagefs status t/r:w)"
  equals "no version is renewed" "$(cat before)" "$(sql 'SELECT * FROM version')"
  stagefs --json stage t/r:w --atomic --dry-run list.csv > out
  equals "of atomic, too: its status" 1 $?
  equals "the report has codes" '[true, true, 1, [[3, "not_found"], [5, "invalid_argument"]]]' "$(python3 -c 'import json
r = json.load(open("out"))
print(json.dumps([r["dry_run"], r["withdrawn"], r["added"], [[e["line"], e["code"]] for e in r["refused_entries"]]]))')"
  equals "and there is no last one" 0 "$(sql 'SELECT count(report) FROM workspace WHERE report <> 0')"
  echo "[{\"hash\":\"0\",\"path\":\"a\"}]" | stagefs stage t/r:w --dry-run - 2> err > /dev/null
  check "of JSON, by entries" grep -q '^refused: entry 1: a: ' err
  stagefs stage t/r:w sums > /dev/null && stagefs stage t/r:w --dry-run sums > out
  equals "what is staged already is there" "0 0" "$? $(stagefs stage t/r:w --dry-run sums 2> /dev/null | grep -c withdrawn)"
  refuses "what is no manifest is refused as ever" "neither JSON nor" sh -c 'echo "one  two" | "$STAGEFS_BINARY" stage t/r:w --dry-run -; exit $?'
}
test_what_is_missing() {
  repository
  { cat sums; printf '%064d  not there\n' 0; } > list
  stagefs missing t/r list > out 2> err
  equals "some are missing: its status" 1 $?
  equals "the lines whose content is not there" "$(tail -n 1 list)" "$(cat out err)"
  stagefs missing t/r - < sums > out 2> err
  equals "none" 0 "$?$(cat out err)"
  gzip -c list > list.gz
  equals "of what is compressed, in a pipe" "$(tail -n 1 list)" "$(stagefs missing t/r - < list.gz)"
  { cat list; echo 'what?  x'; } > odd
  stagefs missing t/r odd > out 2> err
  equals "what is no hash: its status" 1 $?
  equals "nobody can send it" "$(tail -n 1 list)" "$(cat out)"
  check "it is named" grep -q '^refused: line 4: x: ' err
  stagefs --json missing t/r odd > out 2> err
  equals "in numbers" '1 {"entries":4,"missing":1,"refused":1}' "$? $(cat out)"
  equals "nothing is changed" "" "$(stagefs status t/r:w)"
  refuses "what is no manifest" "neither JSON nor" sh -c 'echo prose | "$STAGEFS_BINARY" missing t/r -'
  refuses "what is not there" "list.none" stagefs missing t/r list.none
}
test_lists_of_moves() {
  repository
  stagefs stage t/r:w -d a sums > /dev/null && stagefs commit t/r:w -m first > /dev/null
  printf 'a/cat\tb/c/cat\n\na/dog\ta/wolf\nb/c\td\n' > moves
  equals "moves, one after the other" '{"moved":3}' "$(stagefs --json mv t/r:w --from moves)"
  equals "all is where it is to be" "a/wolf d/cat" "$(stagefs manifest t/r:w | cut -c67- | paste -sd' ')"
  stagefs status t/r:w > before
  printf 'd/cat\te/cat\nnone\tx\nd\td/below/it\na/wolf\te/wolf\na/wolf\te/wolf2\ne/wolf\tb/q/x\nb/q/x/y\tz\n' > bad
  refuses "what cannot move is named" "nothing is changed, as 4 paths cannot be:" stagefs mv t/r:w --from bad
  refuses "all of it" "d -> d/below/it: a folder cannot move into itself" stagefs mv t/r:w --from bad
  equals "and nothing moves" "$(cat before)" "$(stagefs status t/r:w)"
  stagefs --json mv t/r:w --partial --from - < bad > out 2> err
  equals "in part: its status" '1 {"moved":3}' "$? $(cat out)"
  check "each that did not is named" grep -q "none -> x: no such path" err
  equals "the others moved" "b/q/x e/cat" "$(stagefs manifest t/r:w | cut -c67- | paste -sd' ')"
  check "no folder is left of those that did not" sh -c '! "$STAGEFS_BINARY" ls t/r:w d | grep -q .'
  printf 'b/q/x\0new\nline\ttab\0e/cat\0cat\0' > moves0
  stagefs mv t/r:w -z --from moves0
  equals "names of any kind, with -z" '{"path": "new\nline\ttab"}' "$(stagefs --json manifest t/r:w | python3 -c 'import json, sys; print([json.dumps({"path": p}) for p in (json.loads(l)["path"] for l in sys.stdin) if p != "cat"][0])')"
  refuses "a line without a tab" "line 2: write FROM, a tab and TO" sh -c 'printf "cat\tdog\ncat dog\n" | "$STAGEFS_BINARY" mv t/r:w --from -'
  refuses "or with two" "line 1: more than one tab" sh -c 'printf "cat\tdog\tx\n" | "$STAGEFS_BINARY" mv t/r:w --from -'
  refuses "no path" "line 1: " sh -c 'printf "cat\t../x\n" | "$STAGEFS_BINARY" mv t/r:w --from -'
  refuses "half a pair" "move 2: its new path is missing" sh -c 'printf "cat\0dog\0dog" | "$STAGEFS_BINARY" mv t/r:w -z --from -'
  refuses "arguments and a list" "not both" stagefs mv t/r:w cat dog --from moves
  refuses "one argument" "its new path" stagefs mv t/r:w cat
  equals "an empty list" '{"moved":0}' "$(stagefs --json mv t/r:w --from /dev/null)"
  stagefs mv t/r:w cat dog
  equals "two arguments, as ever" 0 $?
}
test_lists_that_name_what_is_not_there() {
  repository
  stagefs stage t/r:w -d a sums > /dev/null && stagefs commit t/r:w -m first > /dev/null
  { echo a/cat; seq -f 'none/%g' 25; } > list
  head -c 3 /dev/zero | tr '\0' x > a-cat && stagefs put t/r a-cat > other && sed -i 's/a-cat/a\/cat/' other
  stagefs stage t/r:w other > /dev/null
  stagefs status t/r:w > before
  for command in rm unstage "restore @main" prefetch; do
    # shellcheck disable=SC2086 # Words.
    set -- $command
    stagefs "$1" t/r:w "${@:2}" --from list > out 2> err
    equals "$1: its status" 3 $?
    equals "the first 20 are named" 20 "$(grep -c 'none/' err)"
    check "and the others counted" grep -q "and 5 more" err
    equals "nothing is changed" "$(cat before)" "$(stagefs status t/r:w)"
    equals "an empty list is nothing" 0 "$(stagefs "$1" t/r:w "${@:2}" --from /dev/null > out 2>&1; echo $?)"
    equals "so nothing is changed" "$(cat before)" "$(stagefs status t/r:w)"
  done
  stagefs --json prefetch t/r:w --partial --from list > out 2> err
  equals "prefetch in part" '1 {"files":1,"bytes":3}' "$? $(cat out)"
  equals "each that is not there is named" 25 "$(grep -c 'none/' err)"
  equals "below another one only once" '{"files":2,"bytes":7}' "$(stagefs --json prefetch t/r:w a a/cat)"
  stagefs --json restore t/r:w @main --partial --from list > out 2> err
  equals "restore in part" '1 {"staged":1,"removed":0}' "$? $(cat out)"
  equals "it is as it was" "" "$(stagefs status t/r:w)"
  equals "each that is not there is named" 25 "$(grep -c 'none/' err)"
  refuses "one that is not there" "stagefs: no such path: none" stagefs restore t/r:w @main a none
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
