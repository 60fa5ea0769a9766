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
# What a hand does, from one window to the other.
drop() { drag_across $LEFT $RIGHT && answer_drop; }
# paste_all ID ID: everything of the left window into the right one.
paste_all() {
  in_window $LEFT "$1" && key ctrl+a && settle && copy_it && settle
  in_window $RIGHT "$2" && paste_here
}
cut_all() {
  in_window $LEFT "$1" && key ctrl+a && settle && cut_it && settle
  in_window $RIGHT "$2" && paste_here
}
paste_back() {
  in_window $RIGHT "$2" && key ctrl+a && settle && copy_it && settle
  in_window $LEFT "$1" && paste_here
}
rename_all() { in_window $RIGHT "$1" && key ctrl+a && settle && rename_to "$2"; }
make_folder() { in_window $RIGHT "$1" && new_folder "$2"; }
undo() { in_window $RIGHT "$1" && key ctrl+z; }
drag_from() { in_window $LEFT "$1" && drag_with "$2" $LEFT $RIGHT; }
# delete_all ID PICTURE
delete_all() {
  in_window $RIGHT "$1" && key ctrl+a shift+Delete && settle
  shot "$2"
  confirm_delete
}
trash_all() {
  in_window $RIGHT "$1" && key ctrl+a && trash_it && settle
  shot "$2"
  confirm_trash
}
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

  check "a file is copied by drag and drop" by_hand staged_is "A pic.jpg" -- drop
  check "as it was" cmp one/pic.jpg "$MNT/pic.jpg"
  settle
  shot "$1-drop"
  show $LEFT "$WORK/many" && many=$shown
  check "a folder of 200 is copied by paste" by_hand staged_count_is 201 -- paste_all "$many" "$mount"
  check "as they were" diff -r many/set "$MNT/set"
  equals "nothing temporary" "" "$(stagefs status t/r:w | grep -v '^A')"
  settle
  shot "$1-paste"
  rm -r "$MNT/set"
  check "a folder of 200 is copied by drag and drop" by_hand staged_count_is 201 -- drop
  check "as they were" diff -r many/set "$MNT/set"
  equals "nothing temporary" "" "$(stagefs status t/r:w | grep -v '^A')"
  stagefs commit t/r:w -m "by $1" > /dev/null
  rm -r "$MNT/set"
  stagefs commit t/r:w -m "without them" > /dev/null

  settle
  check "a rename is staged" by_hand staged_is "D pic.jpg A renamed.jpg" -- rename_all "$mount" renamed.jpg
  settle
  shot "$1-rename"
  if [ "$UNDO" = 1 ]; then
    check "undo takes it back" by_hand staged_is "" -- undo "$mount"
    stagefs unstage t/r:w --all > /dev/null 2>&1
    settle
  else
    mv "$MNT/renamed.jpg" "$MNT/pic.jpg"
  fi
  check "a new folder" by_hand test -d "$MNT/fresh" -- make_folder "$mount" fresh
  settle
  stagefs unstage t/r:w --all > /dev/null 2>&1
  for id in "$one" "$many" "$mount"; do close_window "$id"; done

  mkdir "$MNT/from" "$MNT/to" && mv "$MNT/pic.jpg" "$MNT/from/" && stagefs commit t/r:w -m "two folders" > /dev/null
  show $LEFT "$MNT/from" && from=$shown
  show $RIGHT "$MNT/to" && to=$shown
  check "cut and paste moves inside the mount" by_hand staged_is "D from/pic.jpg A to/pic.jpg" -- cut_all "$from" "$to"
  settle
  check "copy and paste copies inside the mount" by_hand staged_is "A to/pic.jpg" -- paste_back "$from" "$to"
  rm "$MNT/to/pic.jpg"
  settle
  before=$(cloned)
  check "a drag with Control copies inside the mount" by_hand staged_is "A to/pic.jpg" -- drag_from "$from" ctrl
  check "the same content" cmp one/pic.jpg "$MNT/to/pic.jpg"
  [ "$KERNEL_COPIES" = 0 ] || equals "and no byte was read for it" $((before + 1)) "$(cloned)"
  settle
  check "deleting unstages" by_hand staged_is "" -- delete_all "$to" "$1-delete"
  settle
  check "a drag with Control and Shift links" by_hand test -L "$MNT/to/pic.jpg" -- drag_from "$from" ctrl+shift
  check "to the same content" cmp one/pic.jpg "$MNT/to/pic.jpg"
  settle
  if [ "$TRASH" = 1 ]; then
    check "moving to the trash unstages" by_hand staged_is "" -- trash_all "$to" "$1-trash"
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
  check "a version is dropped from the version store" by_hand one_version_is_staged -- drag_with ctrl $LEFT $RIGHT
  [ "$KERNEL_COPIES" = 0 ] || equals "and no byte was read for it" $((before + 1)) "$(cloned)"
  settle
  shot "$1-versions"
  stop_desktop
  check "the mount ends" unmount_w
}
