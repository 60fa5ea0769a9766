#!/usr/bin/env bash
# The examples of the READMEs do what they say.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir "$WORK/bin" && ln -s "$STAGEFS_BINARY" "$WORK/bin/stagefs" && export PATH=$WORK/bin:$PATH
cd "$WORK" && rmdir mnt && mkdir photos && echo cat > photos/cat.jpg && echo dog > photos/dog.jpg
python3 "$top/tests/mount/engineers_day.py" make 20
check "README.md" python3 "$top/tests/checks/readme_examples.py" "$top/README.md"
eventually sh -c "! pgrep -f -- 'mount (--json )?team/(images:relabel|labels:day) mnt'"
check "a mount for fs/README.md" mount_w
check "fs/README.md" python3 "$top/tests/checks/readme_examples.py" "$top/fs/README.md"
check "unmount" unmount_w
if [ "$HTTP" = 1 ]; then
  "$STAGEFS_BINARY" serve --listen :0 2> said &
  DAEMONS=$!
  timeout 20 sh -c 'until grep -q "^stagefs: serving" said; do kill -0 '$DAEMONS' || exit 1; done'
  URL=$(sed -n 's/^stagefs: serving //p' said) TOKEN=$(stagefs token create --user ann)
  export URL TOKEN
  check "api/README.md" python3 "$top/tests/checks/readme_examples.py" "$top/api/README.md"
  kill $DAEMONS && wait $DAEMONS
  DAEMONS=
fi
