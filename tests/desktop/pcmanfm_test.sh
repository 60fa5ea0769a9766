#!/usr/bin/env bash
# PCManFM on a mount.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
open_window() { pcmanfm --new-win "$1"; }
ICON="215 110"
confirm_trash() { key Return && settle && key Return; }
story pcmanfm
