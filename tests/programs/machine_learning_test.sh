#!/usr/bin/env bash
# Machine-learning libraries on a mount: what they read is what is there, what they write is what is staged.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
cd "$WORK" || exit 1
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HOME=$WORK/hub
mount_w

if /usr/bin/python3 -c 'import torchvision' 2> /dev/null; then
  /usr/bin/python3 "$here/torch_cases.py" "$MNT" 2> torch.err || { echo "not ok - torch"; sed 's/^/  /' torch.err; }
else
  skip "torchvision" "python3-torchvision is not installed"
fi
if python_environment learning pandas==3.1.1 pyarrow==26.0.1 datasets==5.2.0 huggingface_hub==2.4.0 deltalake==1.6.6 \
  pylance==14.0.2 pillow==13.0.0 filelock==4.2.12; then
  "$TOP/build/learning/bin/python" "$here/table_cases.py" "$MNT" 2> tables.err || { echo "not ok - tables"; sed 's/^/  /' tables.err; }
else
  skip "pandas, pyarrow, datasets, huggingface_hub, Delta, Lance" "PyPI does not answer here"
fi
check "nothing is left out" sh -c "! '$STAGEFS_BINARY' status t/r:w | grep '^[?XWL]'"
check "commit" stagefs commit t/r:w -m learned
check "the mount ends" unmount_w
check "nothing is damaged" stagefs fsck t/r
