# shellcheck shell=bash
# Sourced by the shell tests: a root, a mount, and checks that count.
# Each check is one line: `ok - WHAT`, `not ok - WHAT`, `skip - WHAT: WHY`; tests/run.sh adds them up.
#
# A script's cases are functions named test_…, each for itself: it begins in an empty folder, $WORK, with a root of its own,
# and whatever it mounts or starts ends with it. The last line is `run_cases`, which heeds CASE=PATTERN and SHUFFLE=SEED.
# A script without cases is one case: it sets itself up.
set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIPT=$(realpath --relative-to="$TOP" "$0")
# shellcheck source=tests/names.sh
. "$TOP/tests/names.sh"
STAGEFS_BINARY=$(realpath "${STAGEFS_BINARY:-$TOP/build/${BUILD:-release}/stagefs}")
export STAGEFS_BINARY HTTP=${HTTP:-1}

# new_place FOLDER: from here on, everything is in FOLDER, which is made.
places=0
new_place() {
  WORK=$1
  export STAGEFS_ROOT=$WORK/root
  MNT=$WORK/mnt
  mkdir -p "$MNT"
  DAEMONS=
  PLACE=stagefs_test_$$_$places
  # With a server to test on, everything below this root has its index in a database of its own there.
  if [ -n "${STAGEFS_TEST_POSTGRES:-}" ]; then
    psql -qX "$STAGEFS_TEST_POSTGRES" -c "CREATE DATABASE $PLACE"
    export STAGEFS_INDEX=${STAGEFS_TEST_POSTGRES/\/postgres\?/\/$PLACE?}
  fi
  # The same with an S3 server, and versions below a prefix of their own.
  if [ -n "${STAGEFS_TEST_S3:-}" ]; then
    PREFIX=$PLACE
    export STAGEFS_VERSIONS="s3://bucket/$PREFIX?endpoint=$STAGEFS_TEST_S3"
  fi
}
# Where the bytes of a version of t/r are.
version_file() {
  if [ -n "${STAGEFS_VERSIONS:-}" ]; then
    echo "$STAGEFS_TEST_S3_FOLDER/$PREFIX/t/r/${1:0:2}/$1"
  else
    echo "$STAGEFS_ROOT/t/r/versions/${1:0:2}/${1:2}"
  fi
}

stagefs() { timeout 120 "$STAGEFS_BINARY" "$@"; }

# Asks the index of the only repository.
sql() {
  if [ -n "${STAGEFS_INDEX:-}" ]; then
    psql -qXAt "$STAGEFS_INDEX" -c "SET search_path = stagefs_1; $1"
  else
    sqlite3 "$STAGEFS_ROOT/t/r/stagefs.db" "$1"
  fi
}
mounts_known() { [ "$(sql 'SELECT count(*) FROM mount')" = "$1" ]; }
# Mounts t/r:w at $MNT in the background, made where it is missing.
mount_w() { stagefs mount t/r:w "$MNT" --create "$@"; }
# ended PID [SECONDS]: waits for a process's end. One that nobody asked for its status yet has ended, too.
ended() {
  local deadline=$((SECONDS + ${2:-60})) stat
  while { read -r stat < "/proc/$1/stat"; } 2> /dev/null && [[ $stat != *') Z '* ]]; do
    [ $SECONDS -lt $deadline ] || return 1
    read -r -t 0.01 _ <> <(:) || :
  done
}
# The daemon of $MNT.
daemon_pid() { pgrep -f -- "^$STAGEFS_BINARY mount t/r:w $MNT" | head -n 1; }
# Unmounts and waits for the daemon's end.
unmount_w() {
  pid=$(daemon_pid)
  stagefs unmount "$MNT" || return 1
  [ -z "$pid" ] || ended "$pid"
}

# Ends what was mounted and started in $WORK, and removes it.
clean_up() {
  status=$?
  mapfile -t left < <({ tr ' ' '\n' <<< "$DAEMONS"; pgrep -f -- "$WORK/"; } | grep . | grep -vx $$)
  [ ${#left[@]} -eq 0 ] || kill "${left[@]}" 2> /dev/null
  for pid in "${left[@]}"; do ended "$pid" 20; done
  grep -F " $WORK/" /proc/self/mounts | cut -d' ' -f2 | while read -r path; do
    umount -l "$path" 2>/dev/null || fusermount3 -uz "$path" 2> /dev/null
  done
  find "$WORK" -name mount.log -size +0 2>/dev/null | while read -r log; do
    if grep -qE 'Sanitizer|runtime error|Assertion' "$log"; then
      echo "not ok - a daemon complained"
      head -n 60 "$log" | sed 's/^/  /'
    fi
  done
  [ -z "${STAGEFS_TEST_POSTGRES:-}" ] || psql -qX "$STAGEFS_TEST_POSTGRES" -c "DROP DATABASE $PLACE WITH (FORCE)"
  chmod -R u+w "$WORK" 2>/dev/null
  rm -rf "$WORK"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
new_place "$(mktemp -d "${TMPDIR:-/tmp}/stagefs-test-XXXXXX")"

# run_case NAME: in a process of its own, so that nothing of it stays: variables, files that are open, its folder.
run_case() {
  echo "# ${1//_/ }"
  places=$((places + 1))
  (
    new_place "$WORK/$places"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    cd "$WORK" || exit 1
    "test_$1"
    exit 0
  )
  local status=$?
  [ $status -eq 0 ] || echo "not ok - ${1//_/ }: ended with status $status"
  [ $status -ne 130 ] || exit 130
}
run_cases() {
  local name all
  mapfile -t all < <(cd "$TOP" && cases_of "$SCRIPT" "${CASE:-}")
  [ ${#all[@]} -gt 0 ] || echo "not ok - no case of $SCRIPT is named like '${CASE:-}'"
  [ -z "${SHUFFLE:-}" ] || mapfile -t all < <(printf '%s\n' "${all[@]}" | shuf --random-source=<(yes "$SHUFFLE"))
  for name in "${all[@]}"; do run_case "$name"; done
}

# check WHAT COMMAND…: the command succeeds.
check() {
  what=$1
  shift
  if output=$("$@" 2>&1); then
    echo "ok - $what"
  else
    echo "not ok - $what"
    echo "  command: $*"
    printf '%s\n' "$output" | head -n 20 | sed 's/^/  /'
  fi
}
# shows WHAT COMMAND…: the same, and what it says is shown in any case: seeds and figures.
shows() {
  what=$1
  shift
  if output=$("$@" 2>&1); then echo "ok - $what"; else echo "not ok - $what"; fi
  printf '%s\n' "$output" | sed 's/^/  /'
}
# refuses WHAT TEXT COMMAND…: the command fails and says TEXT.
refuses() {
  what=$1 text=$2
  shift 2
  if output=$("$@" 2>&1); then
    echo "not ok - $what (it succeeded)"
  elif printf '%s' "$output" | grep -qF -- "$text"; then
    echo "ok - $what"
  else
    echo "not ok - $what (it did not say '$text')"
    printf '%s\n' "$output" | head -n 20 | sed 's/^/  /'
  fi
}
# equals WHAT EXPECTED ACTUAL
equals() {
  if [ "$2" = "$3" ]; then
    echo "ok - $1"
  else
    echo "not ok - $1"
    printf 'expected:\n%s\nactual:\n%s\n' "$2" "$3" | sed 's/^/  /'
  fi
}
skip() { echo "skip - $1: $2"; }
# eventually COMMAND…: succeeds within ten seconds. The promise for other processes' changes is one; a busy machine
# may be slower, and how fast it is belongs into a benchmark.
eventually() {
  deadline=$(($(date +%s%N) + 10000000000))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s%N)" -lt $deadline ] || return 1
    read -r -t 0.05 _ <> <(:) || :
  done
}
# python_environment NAME PACKAGE…: makes build/NAME a Python environment with packages from PyPI, once. Fails where
# there is no PyPI.
python_environment() {
  name=$1
  shift
  [ ! -e "$TOP/build/$name/done" ] || return 0
  rm -rf "$TOP/build/$name"
  { python3 -m venv "$TOP/build/$name" && timeout 400 "$TOP/build/$name/bin/pip" -q install "$@"; } > pip.log 2>&1 &&
    touch "$TOP/build/$name/done"
}
