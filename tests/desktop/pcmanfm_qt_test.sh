#!/usr/bin/env bash
# PCManFM-Qt on a mount.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
open_window() { pcmanfm-qt --new-window "$1"; }
ICON="205 128"
copy_it() { key alt+e && settle && key c; }
cut_it() { key alt+e && settle && key t; }
paste_here() { key alt+e && settle && key p; }
trash_it() { key alt+e && settle && key m; }
confirm_delete() { key alt+y; }
answer_drop() { settle && key Down Return; }
story pcmanfm-qt
