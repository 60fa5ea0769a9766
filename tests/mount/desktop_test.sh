#!/usr/bin/env bash
# `make install-desktop`, and its actions without a display: they answer on the terminal then. tests/desktop clicks them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
export HOME=$WORK/"a home" DISPLAY='' WAYLAND_DISPLAY=''
unset XDG_DATA_HOME XDG_CONFIG_HOME
mkdir -p "$HOME" bin
ln -s "$STAGEFS_BINARY" bin/stagefs
export PATH=$WORK/bin:$PATH
desktop="$HOME/.local/bin/stagefs-desktop"
share=$HOME/.local/share

mkdir -p "$HOME/.config/Thunar"
printf '<?xml version="1.0" encoding="UTF-8"?>\n<actions>\n<action>\n<name>mine</name>\n</action>\n</actions>\n' > "$HOME/.config/Thunar/uca.xml"
cp "$HOME/.config/Thunar/uca.xml" uca.xml
check "install-desktop" make -s -C "$TOP" install-desktop
check "again, it adds nothing twice" make -s -C "$TOP" install-desktop
check "Thunar's file is well-formed, with four actions of ours and one of the user's" python3 - "$HOME/.config/Thunar/uca.xml" <<'PY'
import sys, xml.etree.ElementTree
names = [action.findtext("name") for action in xml.etree.ElementTree.parse(sys.argv[1]).iter("action")]
assert names == ["mine", "Stage this manifest here", "Show hash and status", "Unstage", "Commit…"], names
PY
equals "Nautilus's scripts" "Commit… Show hash and status Stage this manifest here Unstage" "$(cd "$share/nautilus/scripts/stagefs" && printf '%s\n' * | LC_ALL=C sort | xargs)"
equals "Nemo's actions" 4 "$(find "$share/nemo/actions" -name 'stagefs-*.nemo_action' | wc -l)"
check "Dolphin's menu can be run" test -x "$share/kio/servicemenus/stagefs.desktop"
if command -v desktop-file-validate > /dev/null; then
  check "the desktop entry is well-formed" desktop-file-validate "$share/applications/stagefs.desktop"
fi

mkdir -p data/deep && echo cat > data/cat.jpg && echo dog > data/deep/dog.jpg
stagefs create t/r
stagefs put t/r data > list.sum
mount_w
mkdir -p "$MNT/train/new set"
cp list.sum "$MNT/train/new set/"
check "stage a manifest where it lies" "$desktop" stage "$MNT/train/new set/list.sum"
check "its files are in its folder" cmp data/deep/dog.jpg "$MNT/train/new set/deep/dog.jpg"
check "show tells hash and status" sh -c "'$desktop' show '$MNT/train/new set/cat.jpg' > shown && grep -qx 'train/new set/cat.jpg: added' shown && grep -q $(sha256sum < data/cat.jpg | cut -d' ' -f1) shown"
check "a script of Nautilus does what its name says, on names of the current folder" sh -c "cd '$MNT/train' && '$share/nautilus/scripts/stagefs/Show hash and status' 'new set/cat.jpg' 'new set/deep/dog.jpg' | grep -c added | grep -qx 2"
check "unstage a folder and a file" "$desktop" unstage "$MNT/train/new set/deep" "$MNT/train/new set/list.sum"
equals "they are" "A  train/new set/cat.jpg" "$(stagefs status t/r:w | grep -v '^E')"
check "commit asks for the message" sh -c "echo 'from the desktop' | '$desktop' commit '$MNT/train'"
check "the log has it" sh -c "'$STAGEFS_BINARY' log t/r | grep -q 'from the desktop'"
refuses "nothing more to commit" "Nothing is staged" "$desktop" commit "$MNT"
refuses "a file elsewhere is refused" "is not in a mounted stagefs workspace" "$desktop" show "$WORK/list.sum"
refuses "without an action it says how" "usage" "$desktop"
check "the entry mounts, and makes a bookmark" sh -c "echo t/r:w2 | '$desktop' mount && test -d '$HOME/stagefs/t-r:w2/.stagefs' && grep -q '/a%20home/stagefs/t-r:w2 t/r:w2$' '$HOME/.config/gtk-3.0/bookmarks'"
check "once" sh -c "'$desktop' mount t/r:w2 && test \$(wc -l < '$HOME/.config/gtk-3.0/bookmarks') = 1"
stagefs unmount "$HOME/stagefs/t-r:w2"
check "uninstall-desktop" make -s -C "$TOP" uninstall-desktop
equals "nothing of ours is left" "" "$(find "$HOME/.local" -type f -o -type l)"
check "and Thunar's file is as it was" cmp uca.xml "$HOME/.config/Thunar/uca.xml"
check "the mount ends" unmount_w
