#!/usr/bin/env bash
# Dolphin on a mount.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
open_window() { dolphin --new-window "$1"; }
title() { echo "^$1 .*Dolphin"; }
ICON="325 187"  # Its name.
new_folder() { key F10 && settle && key ctrl+a && type_text "$1" && key Return; }
UNDO=1 KERNEL_COPIES=1
answer_drop() { settle && key c; }
story dolphin
