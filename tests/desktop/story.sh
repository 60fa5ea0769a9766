# shellcheck shell=bash
# Sourced by the test of each file manager: what a curator does with mouse and keyboard, and what is staged by it.
# The test first says how its program is driven:
#   open_window PATH…         starts the program on a folder
#   title NAME                a pattern for the title of the window that shows a folder
#   ICON                      where the first icon of a window is, from its corner
#   new_folder NAME, rename_to NAME, copy_it, cut_it, paste_here, trash_it, answer_drop, confirm_delete, confirm_trash   what its keys are in the window that has the focus
#   UNDO=1                    it can take back the last thing done
#   TRASH=0                   its Delete key does nothing where there is no trash
#   KERNEL_COPIES=1           it asks the kernel to copy
# shellcheck source=tests/desktop/desktop.sh
. "$(dirname "${BASH_SOURCE[0]}")/desktop.sh"

# Two windows side by side, as the screen shows them.
LEFT=0 RIGHT=640
# An empty place of a window, from its corner: below whatever is in a folder of a few names.
BLANK="380 520"
UNDO=0 KERNEL_COPIES=0 TRASH=1
new_folder() { key ctrl+shift+n && settle && key ctrl+a && type_text "$1" && key Return; }
rename_to() { key F2 && settle && key ctrl+a && type_text "$1" && key Return; }
confirm_delete() { key Return; }
confirm_trash() { key Return; }
copy_it() { key ctrl+c; }
cut_it() { key ctrl+x; }
paste_here() { key ctrl+v; }
trash_it() { key Delete; }
answer_drop() { :; }  # Where a drop asks what to do: copy.
title() { echo "^$1\$"; }

# show SIDE PATH: a window on the folder; sets `shown`.
show() {
  open_window "$2" >> manager.log 2>&1 &
  DAEMONS="$DAEMONS $!"
  shown=$(window "$(title "$(basename "$2")")")
  place "$shown" "$1"
  settle 30 1  # No cursor yet; a slow machine may take long to show two hundred names.
}
# Screen places.
icon() { read -r x y <<< "$ICON" && echo "$(($1 + x)) $((40 + y))"; }
blank() { read -r x y <<< "$BLANK" && echo "$(($1 + x)) $((40 + y))"; }
# in_window SIDE ID: gives it the focus, with nothing selected.
in_window() {
  focus "$2"
  # shellcheck disable=SC2046 # Two numbers.
  xdotool mousemove $(blank "$1") click 1
  settle
}
drag_across() {
  # shellcheck disable=SC2046 # Two numbers each.
  drag $(icon "$1") $(blank "$2")
}
# The same with keys held down.
drag_with() {
  xdotool keydown "${1%+*}" keydown "${1#*+}"
  drag_across "$2" "$3"
  xdotool keyup "${1#*+}" keyup "${1%+*}"
}
# One file, named by the hash of its content.
one_version_is_staged() {
  set -- "$MNT"/to/*
  [ $# = 1 ] && [ "$(basename "$1")" = "$(sha256sum < "$1" | cut -d' ' -f1)" ] && staged_is "A to/$(basename "$1")"
}
close_window() { focus "$1" && key alt+F4; }
# How many files were staged by the kernel's copy, without a byte being read.
cloned() { awk '/^files_staged_without_copying/{print $2}' "$MNT/.stagefs/stats"; }

# story PROGRAM: plays it; screenshots are PROGRAM-STEP.png.
story() {
  if ! command -v "$1" > /dev/null || ! command -v xdotool > /dev/null; then
    skip "$1" "not installed"
    exit 0
  fi
  mkdir -p one many/set
  convert -size 300x200 plasma:red-blue one/pic.jpg
  for number in $(seq -w 200); do convert -size 8x8 "xc:rgb($((10#$number)),0,0)" "many/set/$number.png"; done
  echo outside > data.txt
  mount_w
  start_desktop || { echo "not ok - a desktop session"; exit 1; }
  show $LEFT "$WORK/one" && one=$shown
  show $RIGHT "$WORK/mnt" && mount=$shown

  drag_across $LEFT $RIGHT && answer_drop
  check "a file is copied by drag and drop" eventually staged_is "A pic.jpg"
  check "as it was" cmp one/pic.jpg "$MNT/pic.jpg"
  settle
  shot "$1-drop"
  show $LEFT "$WORK/many" && many=$shown
  in_window $LEFT "$many" && key ctrl+a && settle && copy_it && settle
  in_window $RIGHT "$mount" && paste_here
  check "a folder of 200 is copied by paste" eventually sh -c "[ \$('$STAGEFS_BINARY' status t/r:w | wc -l) = 201 ]"
  check "as they were" diff -r many/set "$MNT/set"
  equals "nothing temporary" "" "$(stagefs status t/r:w | grep -v '^A')"
  settle
  shot "$1-paste"
  rm -r "$MNT/set"
  drag_across $LEFT $RIGHT && answer_drop
  check "a folder of 200 is copied by drag and drop" eventually sh -c "[ \$('$STAGEFS_BINARY' status t/r:w | wc -l) = 201 ]"
  check "as they were" diff -r many/set "$MNT/set"
  equals "nothing temporary" "" "$(stagefs status t/r:w | grep -v '^A')"
  stagefs commit t/r:w -m "by $1" > /dev/null
  rm -r "$MNT/set"
  stagefs commit t/r:w -m "without them" > /dev/null

  settle
  in_window $RIGHT "$mount" && key ctrl+a && settle && rename_to renamed.jpg
  check "a rename is staged" eventually staged_is "D pic.jpg A renamed.jpg"
  settle
  shot "$1-rename"
  if [ "$UNDO" = 1 ]; then
    in_window $RIGHT "$mount" && key ctrl+z
    check "undo takes it back" eventually staged_is ""
    stagefs unstage t/r:w --all > /dev/null 2>&1
    settle
  else
    mv "$MNT/renamed.jpg" "$MNT/pic.jpg"
  fi
  in_window $RIGHT "$mount" && new_folder fresh
  check "a new folder" eventually test -d "$MNT/fresh"
  settle
  stagefs unstage t/r:w --all > /dev/null 2>&1
  for id in "$one" "$many" "$mount"; do close_window "$id"; done

  mkdir "$MNT/from" "$MNT/to" && mv "$MNT/pic.jpg" "$MNT/from/" && stagefs commit t/r:w -m "two folders" > /dev/null
  show $LEFT "$MNT/from" && from=$shown
  show $RIGHT "$MNT/to" && to=$shown
  in_window $LEFT "$from" && key ctrl+a && settle && cut_it && settle
  in_window $RIGHT "$to" && paste_here
  check "cut and paste moves inside the mount" eventually staged_is "D from/pic.jpg A to/pic.jpg"
  settle
  in_window $RIGHT "$to" && key ctrl+a && settle && copy_it && settle
  in_window $LEFT "$from" && paste_here
  check "copy and paste copies inside the mount" eventually staged_is "A to/pic.jpg"
  rm "$MNT/to/pic.jpg"
  settle
  in_window $LEFT "$from"
  before=$(cloned)
  drag_with ctrl $LEFT $RIGHT
  check "a drag with Control copies inside the mount" eventually staged_is "A to/pic.jpg"
  check "the same content" cmp one/pic.jpg "$MNT/to/pic.jpg"
  [ "$KERNEL_COPIES" = 0 ] || equals "and no byte was read for it" $((before + 1)) "$(cloned)"
  settle
  in_window $RIGHT "$to" && key ctrl+a shift+Delete && settle
  shot "$1-delete"
  confirm_delete
  check "deleting unstages" eventually staged_is ""
  settle
  in_window $LEFT "$from"
  drag_with ctrl+shift $LEFT $RIGHT
  check "a drag with Control and Shift links: the content is staged" eventually staged_is "A to/pic.jpg"
  check "and is a file of its own" sh -c "test ! -L $MNT/to/pic.jpg && cmp one/pic.jpg $MNT/to/pic.jpg"
  settle
  if [ "$TRASH" = 1 ]; then
    in_window $RIGHT "$to" && key ctrl+a && trash_it && settle
    shot "$1-trash"
    confirm_trash
    check "moving to the trash unstages" eventually staged_is ""
  else
    rm "$MNT/to/pic.jpg"
  fi
  equals "no trash is left in the mount" "fresh from to" "$(cd "$MNT" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)"

  settle
  before=$(view)
  stagefs put t/r data.txt | stagefs stage t/r:w -d to - > /dev/null
  check "the window shows another process's file" eventually view_changed "$before"
  settle
  shot "$1-follows"
  stagefs unstage t/r:w --all > /dev/null
  close_window "$from"
  settle
  show $LEFT "$MNT/.stagefs/versions"
  before=$(cloned)
  drag_with ctrl $LEFT $RIGHT
  check "a version is dropped from the version store" eventually one_version_is_staged
  [ "$KERNEL_COPIES" = 0 ] || equals "and no byte was read for it" $((before + 1)) "$(cloned)"
  settle
  shot "$1-versions"
  stop_desktop
  check "the mount ends" unmount_w
}
