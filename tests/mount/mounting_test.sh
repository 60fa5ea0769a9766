#!/usr/bin/env bash
# Mounting and unmounting: what may be mounted where, how, and how a mount ends.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_what_may_not_be_mounted_where() {
  mounted
  refuses "a mountpoint that is mounted" "is a stagefs mount already" stagefs mount t/r:w "$MNT"
  refuses "a file" "is not a folder" stagefs mount t/r:w "$WORK/sums"
  refuses "a missing one" "mkdir it first" stagefs mount t/r:w "$WORK/none"
  refuses "one that is not empty" "is not empty" stagefs mount t/r:w "$WORK/data"
  refuses "one inside the root" "inside the root" stagefs mount t/r:w "$STAGEFS_ROOT/t"
  refuses "one around the root" "it would hide itself" stagefs mount t/r:w "$WORK"
}
test_what_cannot_be_mounted() {
  versions
  refuses "an unknown repository" "stagefs create t/x" stagefs mount t/x:w "$MNT"
  refuses "an unknown workspace" "Workspace not found: nope" stagefs mount t/r:nope "$MNT"
  refuses "an unknown option" "-o bogus: unknown" stagefs mount t/r:w "$MNT" -o bogus
}
test_what_is_in_use_stays() {
  mounted
  refuses "a busy mount is not unmounted" "is in use" sh -c "cd $MNT && $STAGEFS_BINARY unmount $MNT"
  refuses "a mounted workspace is not deleted" "is mounted at" stagefs workspace delete t/r:w
  refuses "a mounted repository is not deleted" "is mounted at" stagefs delete t/r
}
test_no_dev_fuse() {
  versions
  if unshare --mount true 2>/dev/null; then
    stagefs workspace create t/r:w > /dev/null
    refuses "no /dev/fuse" "/dev/fuse is missing" unshare --mount sh -c "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && $STAGEFS_BINARY mount t/r:w $MNT --foreground"
  else
    skip "no /dev/fuse" "needs a mount namespace"
  fi
}
test_unmount() {
  mounted
  check "unmount" unmount_w
  refuses "unmount of what is not mounted" "is not a stagefs mount" stagefs unmount "$MNT"
}
test_read_only() {
  with_folder
  unmount_w
  check "read-only" mount_w -o ro
  refuses "nothing can be written then" "Read-only" touch "$MNT/x"
  check "reading works" cmp data/cat "$MNT/drop/cat"
  check "unmount the read-only one" unmount_w
}
test_owner_and_modes() {
  with_folder
  unmount_w
  check "owner and modes as asked" mount_w -o uid=1234,gid=4321,umask=027,allow_other
  equals "they show" "1234 4321 640" "$(stat -c '%u %g %a' "$MNT/drop/cat")"
}
test_sigterm_unmounts() {
  mounted
  pid=$(daemon_pid)
  check "SIGTERM" kill "$pid"
  check "ends the daemon" ended "$pid"
  check "and unmounts" sh -c "! grep -qF ' $MNT ' /proc/self/mounts"
}
test_sigint_ends_a_foreground_mount() {
  versions
  stagefs workspace create t/r:w > /dev/null
  # A shell starts what it puts in the background with SIGINT ignored.
  timeout 60 env --default-signal=INT "$STAGEFS_BINARY" mount t/r:w "$MNT" --foreground &
  DAEMONS=$!
  check "a foreground mount answers" eventually test -d "$MNT/.stagefs"
  kill -INT "$(daemon_pid)"
  wait "$DAEMONS"
  equals "SIGINT ends it with status 0" 0 $?
  DAEMONS=
}
test_a_workspace_that_is_deleted_below_its_mount() {
  mounted
  check "deletion asks for --force" stagefs workspace delete t/r:w --force
  refuses "the mount says that it is stale" "Stale file handle" ls "$MNT"
  check "it can be unmounted" unmount_w
  check "nothing is damaged" stagefs fsck t/r
}
run_cases
