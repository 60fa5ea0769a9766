#!/usr/bin/env bash
# Adds stagefs to the desktop of the user who runs it, or removes it again. Usage: install.sh [--uninstall]
# Thunar's custom actions, scripts of Nautilus, actions of Nemo, service menus of Dolphin, a desktop entry.
set -eu
cd "$(dirname "$0")"
bin=$HOME/.local/bin
data=${XDG_DATA_HOME:-$HOME/.local/share}
config=${XDG_CONFIG_HOME:-$HOME/.config}
program=$bin/stagefs-desktop
uca=$config/Thunar/uca.xml

# ACTION LABEL ICON; what it is offered for: files, folders or both.
actions='stage|Stage this manifest here|document-import|files
show|Show hash and status|document-properties|files
unstage|Unstage|edit-undo|both
commit|Commit…|document-save|both'

remove() {
  rm -f "$program" "$data/applications/stagefs.desktop" "$data/kio/servicemenus/stagefs.desktop" "$data"/nemo/actions/stagefs-*.nemo_action
  rm -rf "$data/nautilus/scripts/stagefs"
  [ -f "$uca" ] || return 0
  # Thunar writes this file anew when its user edits actions: ours are known by their ids alone.
  awk '/<action>/ { inside = 1; action = "" }
    !inside { print; next }
    { action = action $0 "\n" }
    /<\/action>/ { inside = 0; if (action !~ /<unique-id>stagefs-/) printf "%s", action }' "$uca" > "$uca.new"
  mv "$uca.new" "$uca"
}

add_thunar_actions() {
  mkdir -p "${uca%/*}"
  if [ ! -f "$uca" ]; then
    # What Thunar itself starts with, so that nobody loses its actions.
    if [ -f /etc/xdg/Thunar/uca.xml ]; then
      cp /etc/xdg/Thunar/uca.xml "$uca"
    else
      printf '<?xml version="1.0" encoding="UTF-8"?>\n<actions>\n</actions>\n' > "$uca"
    fi
  fi
  local ours=''
  while IFS='|' read -r action label icon what; do
    local folders='<directories/>'
    [ "$what" = both ] || folders=''
    ours+="<action>
<icon>$icon</icon>
<name>$label</name>
<unique-id>stagefs-$action</unique-id>
<command>&quot;$program&quot; $action %F</command>
<description>stagefs: $label</description>
<patterns>*</patterns>
$folders<audio-files/><image-files/><other-files/><text-files/><video-files/>
</action>
"
  done <<< "$actions"
  awk -v ours="$ours" '/<\/actions>/ { printf "%s", ours } { print }' "$uca" > "$uca.new"
  mv "$uca.new" "$uca"
}

add_nemo_actions() {
  mkdir -p "$data/nemo/actions"
  while IFS='|' read -r action label icon what; do
    local extensions='any;'
    [ "$what" = both ] || extensions='nodirs;'
    cat > "$data/nemo/actions/stagefs-$action.nemo_action" << EOF
[Nemo Action]
Name=$label
Comment=stagefs: $label
Exec="$program" $action %F
Icon-Name=$icon
Selection=notnone
Extensions=$extensions
EOF
  done <<< "$actions"
}

add_nautilus_scripts() {
  mkdir -p "$data/nautilus/scripts/stagefs"
  while IFS='|' read -r _ label _ _; do
    ln -sf "$program" "$data/nautilus/scripts/stagefs/$label"
  done <<< "$actions"
}

add_dolphin_menu() {
  mkdir -p "$data/kio/servicemenus"
  {
    printf '[Desktop Entry]\nType=Service\nServiceTypes=KonqPopupMenu/Plugin\nMimeType=all/all;\nX-KDE-Submenu=stagefs\n'
    printf 'Actions=%s\n' "$(cut -d'|' -f1 <<< "$actions" | tr '\n' ';')"
    while IFS='|' read -r action label icon _; do
      printf '\n[Desktop Action %s]\nName=%s\nIcon=%s\nExec="%s" %s %%F\n' "$action" "$label" "$icon" "$program" "$action"
    done <<< "$actions"
  } > "$data/kio/servicemenus/stagefs.desktop"
  chmod 755 "$data/kio/servicemenus/stagefs.desktop"  # KDE runs nothing from one that is not.
}

remove
[ "${1:-}" != --uninstall ] || exit 0
install -D -m 755 stagefs-desktop "$program"
mkdir -p "$data/applications"
sed "s|^Exec=stagefs-desktop|Exec=\"$program\"|" stagefs.desktop > "$data/applications/stagefs.desktop"
add_thunar_actions
add_nemo_actions
add_nautilus_scripts
add_dolphin_menu
echo "Actions for Thunar, Nautilus (Scripts > stagefs), Nemo and Dolphin are installed for $(id -un); windows opened from now on have them."
