#!/usr/bin/env bash
# Disks that cannot be written to, or are full.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"
[ -z "${STAGEFS_INDEX:-}${STAGEFS_VERSIONS:-}" ] || { skip "disks" "index and versions are elsewhere"; exit 0; }
[ "$(id -u)" = 0 ] || { skip "disks" "mounting them needs root"; exit 0; }

# on_disk SIZE [OPTIONS]: the root on a file system of its own.
on_disk() {
  mkdir disk && mount -t tmpfs -o "size=$1${2:+,$2}" tmpfs disk || echo "not ok - there is no disk"
  export STAGEFS_ROOT=$WORK/disk/root
}
# What can be read of t/r:w, whose cat was staged.
can_be_read() {
  local of=$1
  equals "$of: ls" "$(stagefs ls t/r:w | grep -c cat)" 1
  check "$of: log" stagefs log t/r
  check "$of: status" stagefs status t/r:w
  check "$of: diff" stagefs diff t/r:w
  check "$of: fsck" stagefs fsck t/r
  check "$of: workspace list" stagefs workspace list t/r
  check "$of: mount -o ro" stagefs mount t/r:w "$MNT" -o ro
  check "$of: its files" cmp data/cat "$MNT/cat"
  check "$of: unmount" unmount_w
}
staged() {
  versions
  stagefs workspace create t/r:w > /dev/null && printf '%s  cat\n' "$CAT" | stagefs stage t/r:w - > /dev/null
}

test_a_root_on_a_read_only_file_system_is_read() {
  on_disk 40m && staged
  mount -o remount,ro disk
  can_be_read "closed cleanly"
  for command in "put t/r data" "unstage t/r:w cat" "commit t/r:w -m x" "gc t/r" "workspace delete t/r:w" "delete t/r" \
                 "mount t/r:w $MNT"; do
    # shellcheck disable=SC2086
    refuses "$command says why" "can only be read" stagefs $command
  done
  check "nothing was written" test ! -e "$STAGEFS_ROOT/t/r/stagefs.db-wal"
  equals "doctor says so" "$(stagefs doctor t/r | grep -ci 'read-only file system')" 1
}
test_a_snapshot_with_a_log_is_read() {
  on_disk 40m && staged
  mount_w && cp data/dog "$MNT/dog" && cp -a "$STAGEFS_ROOT" kept && unmount_w
  rm -rf "$STAGEFS_ROOT" && cp -a kept "$STAGEFS_ROOT"
  check "there is a log" test -s "$STAGEFS_ROOT/t/r/stagefs.db-wal"
  mount -o remount,ro disk
  can_be_read "as it was copied"
  equals "what only the log has is there" "$(stagefs ls t/r:w | grep -c dog)" 1
  mount -o remount,rw disk && rm "$STAGEFS_ROOT/t/r/stagefs.db-shm" && mount -o remount,ro disk
  can_be_read "without the log's shared memory"
  equals "what only the log has is there, too" "$(stagefs ls t/r:w | grep -c dog)" 1
  check "no copy is left" sh -c '! ls -d "${TMPDIR:-/tmp}"/stagefs-??????/stagefs.db 2> /dev/null'
}
test_a_root_that_others_change_is_read() {
  staged
  local root=$STAGEFS_ROOT
  mkdir seen && mount --bind "$root" seen && mount -o remount,bind,ro seen
  export STAGEFS_ROOT=$WORK/seen
  can_be_read "while nobody has it open"
  stagefs --root "$root" mount t/r:w "$MNT" && cp data/dog "$MNT/dog"
  equals "what a mount elsewhere staged is seen" "$(stagefs ls t/r:w | grep -c dog)" 1
  refuses "a change is refused" "can only be read" stagefs unstage t/r:w dog
  stagefs --root "$root" unmount "$MNT"
}
test_a_root_of_another_user_is_read() {
  staged
  chmod -R go+rX "$WORK" && chmod 0755 "$(dirname "$WORK")" "$WORK"
  as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups timeout 60 "$STAGEFS_BINARY" "$@"; }
  command -v setpriv > /dev/null && as_nobody --help > /dev/null 2>&1 || { skip "another user" "cannot run it"; return; }
  equals "ls" "$(as_nobody --root "$STAGEFS_ROOT" ls t/r:w | grep -c cat)" 1
  refuses "a change says why" "can only be read" as_nobody --root "$STAGEFS_ROOT" unstage t/r:w cat
}
test_shared_memory_that_cannot_be_written_is_mended_or_named() {
  staged
  chmod -R go+rX "$WORK" && chmod 0755 "$(dirname "$WORK")"
  as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups timeout 60 "$STAGEFS_BINARY" --root "$STAGEFS_ROOT" "$@"; }
  command -v setpriv > /dev/null && as_nobody --help > /dev/null 2>&1 || { skip "another user" "cannot run it"; return; }
  chown -R 65534:65534 "$STAGEFS_ROOT"
  : > "$STAGEFS_ROOT/t/r/stagefs.db-shm" && chmod 0444 "$STAGEFS_ROOT/t/r/stagefs.db-shm"
  refuses "another one's is named" "stagefs.db-shm" as_nobody unstage t/r:w cat
  chown 65534:65534 "$STAGEFS_ROOT/t/r/stagefs.db-shm"
  check "the own one is mended" as_nobody unstage t/r:w cat
}
test_a_full_disk_can_be_emptied() {
  on_disk 20m && mount_w
  for i in $(seq 40); do head -c 500000 /dev/urandom > "$MNT/f$i" || break; done 2> /dev/null
  while head -c 4096 /dev/zero >> disk/filler 2> /dev/null; do :; done
  check "rm" rm "$MNT/f1"
  check "unstage" stagefs unstage t/r:w f2
  check "status" stagefs status t/r:w
  check "gc" stagefs gc t/r --keep 0
  check "a file is read" sh -c "cat '$MNT/f3' > /dev/null"
  check "the reserve is whole again" eventually sh -c "test \$(find $STAGEFS_ROOT/t/r/reserve -size 256k | wc -l) = 6"
  check "and files can be written" sh -c "head -c 300000 /dev/urandom > $MNT/more"
}
test_without_inodes_things_can_be_removed() {
  on_disk 40m nr_inodes=400 && mount_w
  for i in $(seq 300); do head -c 100 /dev/urandom > "$MNT/f$i" || break; done 2> /dev/null
  while n=$((${n:-0} + 1)) && : > "disk/filler$n"; do :; done 2> /dev/null
  check "rm" rm "$MNT/f1"
  check "unstage" stagefs unstage t/r:w f2
  check "workspace list" stagefs workspace list t/r
  check "gc" stagefs gc t/r --keep 0
  unmount_w
  check "workspace delete" stagefs workspace delete t/r:w
  check "delete" stagefs delete t/r
}
test_files_of_no_workspace_are_shown() {
  staged
  mkdir -p "$STAGEFS_ROOT/t/r/recovered/unknown" && cp data/cat "$STAGEFS_ROOT/t/r/recovered/unknown/1-cat"
  equals "by status" "$(stagefs status t/r:w | grep -c 'recovered/unknown/ (1 recovered')" 1
  equals "and as JSON" "1 $STAGEFS_ROOT/t/r/recovered/unknown" \
    "$(stagefs --json status t/r:w | python3 -c 'import json, sys; print(*json.load(sys.stdin)["recovered_of_no_workspace"][0].values())')"
  equals "by doctor" "$(stagefs doctor t/r | grep -c 'recovered/unknown: 1 files')" 1
}
run_cases
