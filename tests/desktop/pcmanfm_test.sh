#!/usr/bin/env bash
# PCManFM on a mount: drop, rename, paste, delete, and following what others do.
# shellcheck source=tests/desktop/desktop.sh
. "$(dirname "$0")/desktop.sh"
command -v pcmanfm > /dev/null && command -v xdotool > /dev/null || { skip "PCManFM" "not installed"; exit 0; }

mkdir one many many/set
convert -size 300x200 plasma:red-blue one/pic.jpg
for number in $(seq -w 200); do convert -size 8x8 "xc:rgb($((10#$number)),0,0)" "many/set/$number.png"; done
echo outside > data.txt

mount_w
start_desktop || { echo "not ok - a desktop session"; exit 1; }
pcmanfm --new-win "$WORK/one" > manager.log 2>&1 &
DAEMONS="$DAEMONS $!"
left=$(window '^one$')
pcmanfm --new-win "$WORK/mnt" >> manager.log 2>&1 &
right=$(window '^mnt$')
place "$left" 0
place "$right" 640
settle
drag 215 150 1000 500
check "a file is copied by drag and drop" eventually staged_is "A pic.jpg"
check "as it was" cmp one/pic.jpg "$MNT/pic.jpg"

settle
focus "$right" && xdotool mousemove 1000 650 click 1 && key ctrl+a F2
settle
key ctrl+a && type_text "renamed.jpg" && key Return
check "a rename is staged" eventually staged_is "A renamed.jpg"
settle
focus "$left" && key ctrl+l && type_text "$WORK/many" && key Return
left=$(window '^many$')
settle
focus "$left" && xdotool mousemove 450 650 click 1 && key ctrl+a ctrl+c
focus "$right" && xdotool mousemove 1000 650 click 1 && key ctrl+v
check "a folder of 200 is copied by paste" eventually sh -c "[ \$('$STAGEFS_BINARY' status t/r:w | wc -l) = 201 ]"
check "as they were" diff -r many/set "$MNT/set"
equals "nothing temporary" "" "$(stagefs status t/r:w | grep -v '^A')"
settle
shot "pcmanfm-paste"

focus "$right" && xdotool mousemove 1000 650 click 1 && key ctrl+a shift+Delete
settle
shot "pcmanfm-delete"
key Return
check "deleting unstages" eventually staged_is ""

settle
before=$(view)
stagefs put t/r data.txt | stagefs stage t/r:w - > /dev/null
check "the window shows another process's file" eventually view_changed "$before"
settle
shot "pcmanfm-follows"
stop_desktop
check "the mount ends" unmount_w
