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
test_unmount_by_a_link() {
  versions
  ln -s "$MNT" way && ln -s way other
  check "mount by a link" stagefs mount t/r:w "$WORK/other" --create
  check "unmount by it" stagefs unmount "$WORK/other"
  check "it is unmounted" sh -c "! grep -qF ' $MNT ' /proc/self/mounts"
}
test_options_of_the_kernel() {
  versions
  check "mount" mount_w -o noexec,nosuid,nodev,noatime
  check "they hold" grep -qE " $MNT fuse.stagefs .*nosuid,nodev,noexec,noatime" /proc/self/mounts
  printf '#!/bin/sh\n' > "$MNT/tool" && chmod +x "$MNT/tool"
  refuses "a program is not run" "Permission denied" "$MNT/tool"
  unmount_w
  check "a workspace may be named like an option" stagefs mount t/r:w,allow_other "$MNT" --create
  check "which is no option" sh -c "! grep -F ' $MNT ' /proc/self/mounts | cut -d' ' -f4 | grep -q allow_other"
}
test_a_daemon_keeps_nothing_of_its_shell() {
  versions
  exec 8> lock && flock 8
  (ulimit -f 1000; mount_w)
  exec 8>&-
  check "a lock ends with its shell" flock -n lock true
  check "a limit on the size of files is not the daemon's end" sh -c "head -c 3000000 /dev/zero > $MNT/large; ls $MNT"
}
test_no_descriptors_are_left() {
  mounted
  for i in {1..200}; do echo "$i" > "$MNT/$i"; done
  unmount_w
  (ulimit -n 150; mount_w)
  check "open() says so, and what is open is read" python3 - "$MNT" <<'PY'
import errno, os, sys
opened = []
try:
    for i in range(1, 201): opened.append(os.open(f'{sys.argv[1]}/{i}', os.O_RDONLY))
    sys.exit('all are open')
except OSError as error: assert error.errno == errno.ENFILE, error
for i, descriptor in enumerate(opened, 1): assert os.read(descriptor, 9) == b'%d\n' % i
for descriptor in opened: os.close(descriptor)
PY
  check "and so is another one then" eventually cat "$MNT/200"
}
test_another_pid_namespace() {
  versions
  stagefs workspace create t/r:w > /dev/null
  if ! unshare --pid --fork true 2> /dev/null; then
    skip "another pid namespace" "needs one"
    return
  fi
  unshare --pid --fork --kill-child "$STAGEFS_BINARY" mount t/r:w "$MNT" --foreground &
  DAEMONS="$DAEMONS $!"
  check "the mount is there" eventually mountpoint -q "$MNT"
  printf 12345 > "$MNT/cut" && echo x > "$MNT/gone"
  check "rm, truncate, touch and mkdir" sh -c "cd $MNT && rm gone && truncate -s 2 cut && touch -d @1000 cut && mkdir made"
  equals "are done" "cut made 2 1000" "$(cd "$MNT" && echo * "$(stat -c '%s %Y' cut)")"
  stagefs unmount "$MNT"
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
