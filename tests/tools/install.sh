#!/usr/bin/env bash
# Installs or removes what `make install` promises. Usage: install.sh BINARY|--uninstall DESTDIR PREFIX
set -eu
binary=$1 destdir=$2 prefix=$3
cd "$(dirname "$0")/../.."
made=
trap '[ -z "$made" ] || rm -rf "$made"' EXIT
if [ "$binary" != --uninstall ]; then
  made=$(mktemp -d)
  for text in man bash fish zsh; do "$binary" help --$text > "$made/$text"; done
fi
# What goes where; mount(8) looks for helpers in /sbin alone.
files="$binary:$prefix/bin/stagefs:755
mount_scripts/mount.stagefs:/sbin/mount.stagefs:755
mount_scripts/stagefs@.service:$prefix/lib/systemd/user/stagefs@.service:644
mount_scripts/stagefs-serve.service:$prefix/lib/systemd/system/stagefs-serve.service:644
$made/man:$prefix/share/man/man1/stagefs.1:644
$made/bash:$prefix/share/bash-completion/completions/stagefs:644
$made/fish:$prefix/share/fish/vendor_completions.d/stagefs.fish:644
$made/zsh:$prefix/share/zsh/site-functions/_stagefs:644"
echo "$files" | while IFS=: read -r from to mode; do
  if [ "$binary" = --uninstall ]; then
    rm -f "$destdir$to" && echo "removed $destdir$to"
  else
    install -D -m "$mode" "$from" "$destdir$to" && echo "installed $destdir$to"
  fi
done
