# shellcheck shell=bash
# Sourced by the tests that drive real windows: a display, a session bus, a window manager; mouse and keyboard.
# Screenshots are kept in build/desktop/.
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
SHOTS=$TOP/build/desktop
mkdir -p "$SHOTS"
cd "$WORK" || exit 1

# A session of its own, so that nothing of the person who runs the tests is touched.
start_desktop() {
  export HOME=$WORK/home XDG_RUNTIME_DIR=$WORK/run XDG_CONFIG_HOME=$WORK/home/.config XDG_CACHE_HOME=$WORK/home/.cache \
    XDG_DATA_HOME=$WORK/home/.local/share LC_ALL=C.UTF-8 NO_AT_BRIDGE=1
  mkdir -p "$HOME" "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
  Xvfb -displayfd 3 -screen 0 1280x800x24 3> display > /dev/null 2>&1 &
  DAEMONS="$DAEMONS $!"
  eventually test -s display || return 1
  DISPLAY=:$(cat display)
  export DISPLAY
  dbus-daemon --session --fork --print-address=1 --print-pid=1 > bus || return 1
  DBUS_SESSION_BUS_ADDRESS=$(head -n 1 bus)
  export DBUS_SESSION_BUS_ADDRESS
  DAEMONS="$DAEMONS $(tail -n 1 bus)"
  openbox > /dev/null 2>&1 &
  DAEMONS="$DAEMONS $!"
  eventually sh -c "xprop -root _NET_SUPPORTED | grep -q _NET_ACTIVE_WINDOW"
}

# Everything of the session goes with its display.
stop_desktop() {
  for pid in $DAEMONS; do kill "$pid" 2> /dev/null; done
  for pid in $DAEMONS; do timeout 20 tail --pid="$pid" -f /dev/null; done
  DAEMONS=
}

# The newest window whose title matches; waits for it.
window_is_there() {
  id=
  for candidate in $(xprop -root _NET_CLIENT_LIST | grep -oE '0x[0-9a-f]+'); do
    title_of=$(xprop -id "$candidate" -notype _NET_WM_NAME WM_NAME 2> /dev/null | sed -n 's/^_*\(NET_\)*WM_NAME = "\(.*\)"$/\2/p')
    printf '%s\n' "$title_of" | grep -qE "$1" && id=$candidate
  done
  [ -n "$id" ]
}
window() { { eventually window_is_there "$1" || eventually window_is_there "$1"; } && echo "$id"; }
# place ID X: one half of the screen; again until it is there, as a program may still be choosing its own place.
is_placed() {
  eval "$(xdotool getwindowgeometry --shell "$1")" && [ $((X - $2)) -lt 40 ] && [ $(($2 - X)) -lt 40 ] &&
    [ "$Y" -lt 80 ] && [ "$WIDTH" -lt 660 ] && [ "$HEIGHT" -gt 640 ]
}
place_once() { timeout 5 xdotool windowmove --sync "$1" "$2" 40 windowsize --sync "$1" 620 700; is_placed "$1" "$2"; }
place() { eventually place_once "$1" "$2"; }
focus() { xdotool windowactivate --sync "$1"; }
key() { xdotool key --clearmodifiers --delay 60 "$@"; }
type_text() { xdotool type --clearmodifiers --delay 30 "$1"; }
# drag X1 Y1 X2 Y2: a button press, several moves and a release, as a hand does it.
drag() {
  xdotool mousemove "$1" "$2" sleep 0.2 mousedown 1 sleep 0.2
  for step in 1 2 3 4 5; do
    xdotool mousemove $(($1 + ($3 - $1) * step / 5)) $(($2 + ($4 - $2) * step / 5)) sleep 0.1
  done
  xdotool mousemove "$3" "$4" sleep 0.2 mouseup 1
}
# What the right half of the screen shows, as a number.
view() { import -window root -crop 440x560+820+165 rgb:- | cksum; }
view_changed() { [ "$(view)" != "$1" ]; }
# settle [ROUNDS [SECONDS]]: waits until the screen shows the same twice in a row: the windows have caught up. Not for
# long: a cursor may blink.
settle() {
  last=
  for _ in $(seq "${1:-15}"); do
    now=$(import -window root rgb:- | cksum)
    [ "$now" != "$last" ] || return 0
    last=$now
    read -r -t "${2:-0.3}" _ <> <(:) || :
  done
}
shot() { import -window root "$SHOTS/$1.png"; }
# staged: what status says, in one line, without empty folders.
staged() { stagefs status t/r:w | grep -v '^E' | xargs; }
staged_is() { [ "$(staged)" = "$1" ]; }
staged_count_is() { [ "$(stagefs status t/r:w | wc -l)" = "$1" ]; }
# by_hand CONDITION… -- GESTURE…: does it until the condition holds; again only where nothing at all came of it, as a
# person does whose keys came before a busy window was ready for them.
by_hand() {
  condition=()
  while [ "$1" != -- ]; do condition+=("$1") && shift; done
  shift
  for _ in 1 2 3; do
    was=$(staged)
    "$@"
    eventually "${condition[@]}" && return 0
    [ "$(staged)" = "$was" ] || return 1
  done
  return 1
}
