#!/usr/bin/env bash
# The actions that `make install-desktop` adds, clicked in the menus of file managers.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
command -v zenity > /dev/null || { skip "desktop actions" "zenity is not installed"; exit 0; }
mkdir -p home bin data && ln -s "$STAGEFS_BINARY" bin/stagefs
export HOME=$WORK/home PATH=$WORK/bin:$PATH
echo cat > data/cat.jpg
stagefs create t/r
stagefs put t/r data > list.sum
mount_w
mkdir "$MNT/to" && cp list.sum "$MNT/to/"
start_desktop || { echo "not ok - a desktop session"; exit 1; }
check "install-desktop" make -s -C "$TOP" install-desktop

# menu SIDE KEYS…: opens the menu of the first file, and goes through it.
menu() {
  # shellcheck disable=SC2046 # Two numbers.
  xdotool mousemove $(icon "$1") click 1 sleep 0.3 click 3
  settle
  shift
  key "$@"
}
# answer NAME KEYS…: waits for the dialog, keeps a picture of it, and answers.
answer() {
  dialog=$(window '^stagefs$') && focus "$dialog" && settle
  shot "actions-$1"
  shift
  key "$@"
}

if command -v thunar > /dev/null; then
  open_window() { thunar "$1"; }
  title() { echo "^$1 - Thunar"; }
  ICON="215 165"
  show $LEFT "$MNT/to"
  menu $LEFT Up Up Up Up Up Return
  check "Thunar stages a manifest" eventually cmp data/cat.jpg "$MNT/to/cat.jpg"
  answer stage Return
  settle
  menu $LEFT Up Up Up Up Return
  answer show Return
  settle
  menu $LEFT Up Up Up Return
  check "Thunar unstages" eventually sh -c "! '$STAGEFS_BINARY' status t/r:w | grep -q '^A  to/cat.jpg'"
  answer unstage Return
  settle
  menu $LEFT Up Up Return
  dialog=$(window '^stagefs$') && focus "$dialog" && settle
  type_text "by hand"
  answer commit Return
  check "Thunar commits" eventually sh -c "'$STAGEFS_BINARY' log t/r | grep -q 'by hand'"
  answer committed Return
  settle
  close_window "$shown"
fi
if command -v dolphin > /dev/null; then
  open_window() { dolphin --new-window "$1"; }
  title() { echo "^$1 .*Dolphin"; }
  ICON="325 187"
  mkdir "$MNT/dolphin" && cp list.sum "$MNT/dolphin/"
  show $RIGHT "$MNT/dolphin"
  menu $RIGHT s t  # The keys underlined: where the entry stands depends on what else is installed.
  check "Dolphin stages a manifest" eventually cmp data/cat.jpg "$MNT/dolphin/cat.jpg"
  answer dolphin-stage Return
fi
if command -v nautilus > /dev/null; then
  open_window() { nautilus --new-window "$1"; }
  title() { echo "^$1\$"; }
  ICON="345 125"
  mkdir "$MNT/nautilus" && cp list.sum "$MNT/nautilus/"
  show $LEFT "$MNT/nautilus"
  in_window $LEFT "$shown" && key ctrl+a shift+F10
  settle
  for place in "320 333" "300 300" "330 364"; do  # Scripts, stagefs, Stage this manifest here.
    shot actions-nautilus-menu
    # shellcheck disable=SC2086 # Two numbers.
    xdotool mousemove $place click 1
    settle
  done
  check "Nautilus stages a manifest" eventually cmp data/cat.jpg "$MNT/nautilus/cat.jpg"
  answer nautilus-stage Return
fi
stop_desktop
check "the mount ends" unmount_w
