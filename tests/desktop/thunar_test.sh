#!/usr/bin/env bash
# Thunar on a mount.
# shellcheck source=tests/desktop/story.sh
. "$(dirname "$0")/story.sh"
open_window() { thunar "$1"; }
title() { echo "^$1 - Thunar"; }
ICON="215 165"
UNDO=1
confirm_trash() { key alt+y; }
story thunar
