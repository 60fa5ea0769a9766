#!/usr/bin/env bash
# Nautilus on a mount.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
open_window() { nautilus --new-window "$1"; }
ICON="345 125"
UNDO=1 TRASH=0
story nautilus
