#!/usr/bin/env bash
# Installs or removes what `make install` promises. Usage: install.sh BINARY|--uninstall DESTDIR PREFIX
set -eu
binary=$1 destdir=$2 prefix=$3
cd "$(dirname "$0")/../.."
# What goes where; mount(8) looks for helpers in /sbin alone.
files="$binary:$prefix/bin/stagefs:755
mount_scripts/mount.stagefs:/sbin/mount.stagefs:755
mount_scripts/stagefs@.service:$prefix/lib/systemd/user/stagefs@.service:644
mount_scripts/stagefs-serve.service:$prefix/lib/systemd/system/stagefs-serve.service:644
mount_scripts/stagefs.1:$prefix/share/man/man1/stagefs.1:644
mount_scripts/stagefs.bash:$prefix/share/bash-completion/completions/stagefs:644
mount_scripts/_stagefs:$prefix/share/zsh/site-functions/_stagefs:644"
echo "$files" | while IFS=: read -r from to mode; do
  if [ "$binary" = --uninstall ]; then
    rm -f "$destdir$to" && echo "removed $destdir$to"
  else
    install -D -m "$mode" "$from" "$destdir$to" && echo "installed $destdir$to"
  fi
done
