#!/usr/bin/env bash
# Thunar on a mount, with mouse and keyboard: what a curator does, and what is staged by it.
# shellcheck source=tests/desktop/desktop.sh
. "$(dirname "$0")/desktop.sh"
command -v thunar > /dev/null && command -v xdotool > /dev/null || { skip "Thunar" "not installed"; exit 0; }

mkdir one many many/set
convert -size 300x200 plasma:red-blue one/pic.jpg
for number in $(seq -w 200); do convert -size 8x8 "xc:rgb($((10#$number)),0,0)" "many/set/$number.png"; done
mount_w
start_desktop || { echo "not ok - a desktop session"; exit 1; }
thunar "$WORK/one" > thunar.log 2>&1 &
DAEMONS="$DAEMONS $!"
ONE=$(window '^one - Thunar')
thunar "$WORK/mnt" &
MOUNT=$(window '^mnt - Thunar')
place "$ONE" 0
place "$MOUNT" 640
# The first icon of a window is here, and below it is nothing.
ICON_X=215 ICON_Y=205

drag $ICON_X $ICON_Y 1000 500
check "a file is copied by drag and drop" eventually staged_is "A pic.jpg"
check "as it was" cmp one/pic.jpg "$MNT/pic.jpg"
shot thunar-drop

focus "$ONE" && key ctrl+l && type_text "$WORK/many" && key Return
MANY=$(window '^many - Thunar')
focus "$MANY" && xdotool mousemove 400 600 click 1 && key ctrl+a ctrl+c
focus "$MOUNT" && xdotool mousemove 1000 600 click 1 && key ctrl+v
check "a folder of 200 is copied by paste" eventually sh -c "[ \$(find $MNT/set -type f | wc -l) = 200 ]"
check "all staged, nothing temporary" eventually sh -c "[ \$('$STAGEFS_BINARY' status t/r:w | wc -l) = 201 ]"
check "as they were" diff -r many/set "$MNT/set"
equals "no scratch" "" "$(stagefs status t/r:w | grep -v '^A')"
stagefs commit t/r:w -m "by Thunar" > /dev/null

focus "$MOUNT" && xdotool mousemove 1000 600 click 1 && key ctrl+shift+n
NEW=$(window 'New Folder')
focus "$NEW" && key ctrl+a && type_text "fresh" && key Return
check "a new folder" eventually test -d "$MNT/fresh"
focus "$MOUNT" && key F5 && xdotool mousemove 1000 600 click 1
settle
type_text "pic" && key Escape F2
RENAME=$(window 'Rename')
focus "$RENAME" && key ctrl+a && type_text "renamed.jpg" && key Return
check "a rename is staged" eventually staged_is "D pic.jpg A renamed.jpg"
shot thunar-rename
focus "$MOUNT" && key ctrl+z
check "undo takes it back" eventually staged_is ""

settle
focus "$MOUNT" && xdotool mousemove 1000 600 click 1 && type_text "pic" && key Escape ctrl+x
type_text "fresh" && key Escape Return
FRESH=$(window '^fresh - Thunar')
settle
focus "$FRESH" && xdotool mousemove 1000 600 click 1 && key ctrl+v
check "cut and paste moves inside the mount" eventually staged_is "A fresh/pic.jpg D pic.jpg"
settle
key ctrl+a ctrl+c ctrl+v
check "copy and paste copies inside the mount" eventually sh -c "[ \$(ls $MNT/fresh | wc -l) = 2 ]"
check "with the same content" sh -c "[ \$(sha256sum $MNT/fresh/* | cut -d' ' -f1 | sort -u | wc -l) = 1 ]"
settle
key ctrl+a shift+Delete
shot thunar-delete
ASK=$(window 'Attention')
focus "$ASK" && key Return
check "deleting unstages" eventually staged_is "D pic.jpg"

settle
before=$(view)
echo outside > data.txt
stagefs put t/r data.txt | stagefs stage t/r:w -d fresh - > /dev/null
check "the window shows another process's file" eventually view_changed "$before"
shot thunar-follows
stop_desktop
check "the mount ends" unmount_w
