#!/usr/bin/env bash
# Manifests as real tools write them (tests/fixtures/manifests), through every door.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

stagefs create t/r && stagefs workspace create t/r:w > id
mount_w || echo "not ok - mount"
URL=- TOKEN=-
if [ "$HTTP" = 1 ]; then
  TOKEN=$(stagefs token create --user ann)
  serve --listen 127.0.0.1:0
fi
python3 -B "$TOP/tests/mount/manifests.py" "$TOP/tests/fixtures/manifests" "$MNT" "$URL" "$TOKEN" || echo "not ok - manifests.py ended with status $?"
[ "$HTTP" = 0 ] || stop
check "unmount" unmount_w
