#!/usr/bin/env bash
# What `make install` puts where, mount(8)'s helper, units, the demo, and commands with bad input.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

installed_at_dest() { "$TOP/tests/tools/install.sh" "$STAGEFS_BINARY" "$WORK/dest" /usr; }

test_what_lies_where() {
  check "install" installed_at_dest
  equals "everything is there" "/sbin/mount.stagefs
/usr/bin/stagefs
/usr/lib/systemd/system/stagefs-serve.service
/usr/lib/systemd/user/stagefs@.service
/usr/share/bash-completion/completions/stagefs
/usr/share/fish/vendor_completions.d/stagefs.fish
/usr/share/man/man1/stagefs.1
/usr/share/zsh/site-functions/_stagefs" "$(cd dest && find . -type f | sed 's/^.//' | LC_ALL=C sort)"
  check "bash completes commands" bash -c '. dest/usr/share/bash-completion/completions/stagefs; COMP_WORDS=(stagefs comm) COMP_CWORD=1; _stagefs; [ "${COMPREPLY[*]}" = commit ]'
  if command -v man >/dev/null; then
    check "the man page has no faults" sh -c 'test -z "$(man --warnings -l dest/usr/share/man/man1/stagefs.1 2>&1 >/dev/null)"'
  else
    skip "the man page" "man is not installed"
  fi
  if command -v systemd-analyze >/dev/null; then
    sed -i "s|^ExecStart=stagefs|ExecStart=$STAGEFS_BINARY|" dest/usr/lib/systemd/*/*.service
    check "the units are well-formed" systemd-analyze verify --man=no dest/usr/lib/systemd/user/stagefs@.service dest/usr/lib/systemd/system/stagefs-serve.service
  else
    skip "the units" "systemd-analyze is not installed"
  fi
  check "uninstall" "$TOP/tests/tools/install.sh" --uninstall "$WORK/dest" /usr
  equals "nothing is left" "" "$(find dest -type f)"
}
test_the_helper_mounts() {
  installed_at_dest > installed
  export PATH=$WORK/dest/usr/bin:$PATH
  check "the helper mounts" dest/sbin/mount.stagefs t/r:w "$MNT" -o "create,ro,noauto,root=$STAGEFS_ROOT"
  check "as asked" sh -c "test -d $MNT/.stagefs && ! touch $MNT/x 2>/dev/null"
  check "and is unmounted" stagefs unmount "$MNT"
  eventually sh -c "! pgrep -f -- '$STAGEFS_ROOT mount'"
  refuses "the helper names the option it refuses" "unknown option --bogus" dest/sbin/mount.stagefs t/r:w "$MNT" --bogus
  touch bogus
  refuses "also one that could be a pattern" "b*s" dest/sbin/mount.stagefs t/r:w "$MNT" -o "root=$STAGEFS_ROOT,b*s"
  equals "its status for bad usage" 1 "$(dest/sbin/mount.stagefs t/r:w >/dev/null 2>&1; echo $?)"
  equals "its status for a failed mount" 32 "$(dest/sbin/mount.stagefs t/r:nope "$MNT" -o "root=$STAGEFS_ROOT" >/dev/null 2>&1; echo $?)"
}
# installed COMMAND: where the helper and the command are laid over the machine's, for this command alone.
installed() {
  unshare --mount sh -ec "mount -t overlay none -o lowerdir=$WORK/dest/sbin:/sbin /sbin
    mount -t overlay none -o lowerdir=$WORK/dest/usr/bin:/usr/local/bin /usr/local/bin
    $1"
}
test_mount_t_stagefs() {
  installed_at_dest > installed
  stagefs create t/r && stagefs workspace create t/r:w > id
  if [ "$(id -u)" = 0 ] && installed true 2> /dev/null; then
    check "mount -t stagefs, and umount" installed "mount -t stagefs t/r:w $MNT -o root=$STAGEFS_ROOT; test -d $MNT/.stagefs; umount $MNT"
    eventually sh -c "! pgrep -f -- '$STAGEFS_ROOT mount'"
  else
    skip "mount -t stagefs" "needs root, a mount namespace and overlays"
  fi
}
test_the_demo() {
  mkdir pictures && echo one > pictures/one.jpg && mkdir pictures/deep && echo two > "pictures/deep/two three.jpg"
  check "the demo on a folder" sh -c "env -u STAGEFS_ROOT TMPDIR=$WORK HTTP=$HTTP $TOP/tests/demo.sh $STAGEFS_BINARY pictures > demo.out && grep -qx same demo.out"
  check "it leaves nothing behind" sh -c "! ls -d $WORK/stagefs-demo-* 2>/dev/null && ! grep -q $WORK/stagefs-demo /proc/mounts"
}

# The command line: bad input changes nothing and says what to do.
status_of() { stagefs "$@" >/dev/null 2>&1; echo $?; }
with_pictures() {
  mkdir -p pictures/deep && echo one > pictures/one.jpg && echo two > "pictures/deep/two three.jpg"
  stagefs create t/r && stagefs workspace create t/r:w > id
}
test_statuses() {
  with_pictures
  equals "status 2 for bad usage" "2 2 2 2" "$(status_of) $(status_of bogus) $(status_of create 'a b') $(status_of status t/r)"
  equals "status 3 for what is not there" "3 3 3" "$(status_of status t/x:w) $(status_of status t/r:x) $(status_of ls t/r nope)"
  equals "status 4 for what is there already" "4 4" "$(status_of create t/r) $(status_of workspace create t/r:w)"
  equals "status 1 for refused entries" 1 "$(printf '00  x\n' | stagefs stage t/r:w - >/dev/null 2>&1; echo $?)"
  equals "status 2 for a malformed manifest" 2 "$(printf '[{' | stagefs stage t/r:w - >/dev/null 2>&1; echo $?)"
}
test_bad_input() {
  with_pictures
  refuses "nothing staged" "No changes to commit" stagefs commit t/r:w -m x
  refuses "put of what is not there" "No such file" stagefs put t/r nowhere
  refuses "unstage without a path" "--all" stagefs unstage t/r:w
}
test_commands() {
  with_pictures
  check "put and stage by a pipe" sh -c "$STAGEFS_BINARY put t/r pictures | $STAGEFS_BINARY stage t/r:w -d p -"
  equals "--json can be parsed" "2" "$(stagefs --json status t/r:w | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["staged_entries"]))')"
  equals "diff shows hashes" "A  -  $(sha256sum < pictures/one.jpg | cut -d' ' -f1)  p/one.jpg" "$(stagefs diff t/r:w | grep one)"
  check "commit" stagefs commit t/r:w -m first --author Ann --email ann@example.org
  check "log" sh -c "$STAGEFS_BINARY --json log t/r | head -n 1 | grep -q '\"author\":\"Ann\"'"
  check "branch" sh -c "$STAGEFS_BINARY branch create t/r side && $STAGEFS_BINARY branch list t/r | grep -q ^side && $STAGEFS_BINARY branch delete t/r side"
  check "ls of a branch" sh -c "$STAGEFS_BINARY ls t/r p | grep -q one.jpg"
  check "unstage, rebase, sync and gc" sh -c "$STAGEFS_BINARY rm t/r:w p && $STAGEFS_BINARY unstage t/r:w --all && $STAGEFS_BINARY rebase t/r:w && $STAGEFS_BINARY sync t/r && $STAGEFS_BINARY gc t/r"
}
test_put_names() {
  with_pictures
  mkdir -p train/cat val/cat closed links/below && echo 1 > train/cat/1.jpg && echo 2 > val/cat/1.jpg && echo 3 > val/3
  echo 4 > closed/4 && ln -s ../val/3 links/three && ln -s nowhere links/dangling && ln -s ../val links/folder && mkfifo links/pipe
  names() { stagefs put t/r "$@" 2> err | cut -c67- | sort | tr '\n' ' '; }
  equals "folders keep their names" "train/cat/1.jpg val/3 val/cat/1.jpg " "$(names train val/)"
  equals "one alone does not" "3 cat/1.jpg " "$(names ./val)"
  equals "files are named by their paths" "train/cat/1.jpg val/cat/1.jpg " "$(names ./train/cat/1.jpg "val/../val/cat/1.jpg")"
  equals "by those that a manifest may have" "${WORK#/}/val/3 " "$(names "$WORK/val/3")"
  equals "what is named twice is put once" "val/3 " "$(names val/3 val/3)"
  equals "a folder in two spellings, too" "train/cat/1.jpg " "$(names train ./train/ train/../train)"
  cp -r train/cat cat
  refuses "two of one name" "would both be called cat/1.jpg" sh -c "cd train && '$STAGEFS_BINARY' put t/r cat ../cat"
  equals "links to files are files, and the rest is said" "three " "$(names links)"
  for what in "links/dangling: a symbolic link to nothing" "links/folder: a symbolic link to a folder" "links/pipe: neither"; do
    check "$what" grep -q "$what" err
  done
  equals "with status 1" 1 "$(status_of put t/r links)"
}
test_names_that_are_not_text() {
  with_pictures
  printf '%s  \xff.jpg\0%s  a/\xfe.jpg\0' "$(sha256sum < pictures/one.jpg | cut -d' ' -f1)" "$(sha256sum < pictures/one.jpg | cut -d' ' -f1)" > list
  stagefs put t/r pictures > put.sum && stagefs stage t/r:w - < list > stage.out
  for command in "status t/r:w" "diff t/r:w" "ls t/r:w"; do
    # shellcheck disable=SC2086
    check "$command shows them exactly" sh -c "'$STAGEFS_BINARY' --json $command | grep -q '\"path_base64\":\"/y5qcGc=\"'"
  done
}
test_misspelt_commands() {
  refuses "an unknown command is named, with one that is near" "unknown command comit: did you mean commit?" stagefs comit t/r:w
  refuses "and the second word of one" "unknown command branch crate: did you mean branch create?" stagefs branch crate t/r
  refuses "help with what is no command" "no command bogus" stagefs help bogus
  equals "status 2 for these" "2 2 2" "$(status_of comit t/r:w) $(status_of branch crate) $(status_of help bogus)"
  check "without a command, the help is shown" sh -c "$STAGEFS_BINARY 2>&1 | grep -q '^Examples:'"
}
newer_schema() {
  if [ -n "${STAGEFS_INDEX:-}" ]; then
    psql -qX "$STAGEFS_INDEX" -c 'UPDATE stagefs.repository SET schema_version = 999'
  else
    sql 'PRAGMA user_version = 999'
  fi
}
test_a_newer_schema() {
  with_pictures
  check "the schema becomes a newer one" newer_schema
  check "a newer schema is refused" sh -c "! $STAGEFS_BINARY ls t/r 2>err && grep -q 'update stagefs' err"
}
run_cases
