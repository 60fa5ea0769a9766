#!/usr/bin/env bash
# Editors with windows: a save is one modified file.
# shellcheck source=tests/desktop/desktop.sh
. "$(dirname "$0")/desktop.sh"
# saved PROGRAM FILE: what the mount holds is what is staged, and nothing else is but scratch (locks).
saved() {
  check "$1: what is staged is one modified file" eventually sh -c "[ \"\$('$STAGEFS_BINARY' status t/r:w | grep -v '^?')\" = 'M  $2' ]"
  equals "$1: it is what the mount shows" "$(sha256sum < "$MNT/$2" | cut -d' ' -f1)" "$(getfattr --absolute-names --only-values -n user.stagefs.sha256 "$MNT/$2")"
  stagefs commit t/r:w -m "$1" > /dev/null
}
mount_w
start_desktop || { echo "not ok - a desktop session"; exit 1; }
echo old > "$MNT/notes.txt"
printf 'name,label\ncat,1\n' > "$MNT/table.csv"
stagefs commit t/r:w -m base > /dev/null

if command -v mousepad > /dev/null; then
  mousepad "$MNT/notes.txt" > mousepad.log 2>&1 &
  DAEMONS="$DAEMONS $!"
  id=$(window 'notes.txt.*Mousepad')
  place "$id" 0 && focus "$id" && settle
  key ctrl+End && type_text "new line" && key ctrl+s
  check "mousepad saves" eventually grep -q "new line" "$MNT/notes.txt"
  shot mousepad
  saved mousepad notes.txt
  focus "$id" && key ctrl+q
else
  skip "mousepad" "not installed"
fi
if command -v soffice > /dev/null; then
  # A spreadsheet of a table, made and saved in its own format, then changed in a window.
  check "soffice converts in the mount" timeout 120 soffice -env:UserInstallation="file://$WORK/office" --headless --convert-to ods --outdir "$MNT" "$MNT/table.csv"
  stagefs commit t/r:w -m ods > /dev/null
  soffice -env:UserInstallation="file://$WORK/office" --norestore --nologo "$MNT/table.ods" > office.log 2>&1 &
  DAEMONS="$DAEMONS $!"
  id=$(window 'table.ods')
  place "$id" 0 && focus "$id" && settle
  shot soffice-open
  key Escape ctrl+Home && type_text "changed" && key Return && key ctrl+s
  settle
  check "LibreOffice saves" eventually sh -c "unzip -p $MNT/table.ods content.xml | grep -q changed"
  shot soffice
  saved LibreOffice table.ods
  focus "$id" && key ctrl+q
  check "its lock goes with it" eventually sh -c "test -z \"\$(ls -A $MNT | grep '^\\.~lock')\""
else
  skip "LibreOffice" "not installed"
fi
equals "nothing else is left" "" "$(stagefs status t/r:w)"
stop_desktop
check "the mount ends" unmount_w
