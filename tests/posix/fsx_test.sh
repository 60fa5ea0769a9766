#!/usr/bin/env bash
# fsx: random reads, writes, mappings, truncations, holes on one file, checked as it goes; then the file is compared
# once more after a remount. FSX_OPERATIONS and FSX_SEEDS ask for more; fsx 0.3.2 keeps what it mapped to read, so that
# one run can have some 250,000 operations before the kernel gives it no more mappings.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
suite=${POSIX_TOOLS:-$here/../../build/posix}/bin/fsx
[ -x "$suite" ] || { skip "fsx" "cargo install fsx did not work here"; exit 0; }
cd "$WORK" || exit 1
operations=${FSX_OPERATIONS:-50000}
for seed in ${FSX_SEEDS:-1 2 3 $RANDOM}; do
  mount_w
  if timeout 3000 "$suite" -q -f "$here/fsx.toml" -N "$operations" -S "$seed" -P "$WORK" "$MNT/file-$seed" > fsx.log 2>&1; then
    echo "ok - $operations operations, seed $seed"
  else
    echo "not ok - $operations operations, seed $seed"
    tail -n 30 fsx.log | sed 's/^/  /'
  fi
  before=$(sha256sum < "$MNT/file-$seed")
  unmount_w
  mount_w
  equals "after a remount it is as it was" "$before" "$(sha256sum < "$MNT/file-$seed")"
  equals "and so is what is staged" "${before%% *}" "$(cd "$MNT" && getfattr --only-values -n user.stagefs.sha256 "file-$seed")"
  unmount_w
done
check "nothing is damaged" stagefs fsck t/r
