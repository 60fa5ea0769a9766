#!/usr/bin/env bash
# pjdfstest on a mount: what does not pass is a decision, listed in decisions.tsv with its reason.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
suite=${POSIX_TOOLS:-$here/../../build/posix}/bin/pjdfstest
[ -x "$suite" ] || { skip "pjdfstest" "cargo install pjdfstest did not work here"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip "pjdfstest" "it changes users, so it needs root"; exit 0; }
cd "$WORK" || exit 1
mount_w -o allow_other
mkdir "$MNT/pjd" second && chmod 777 second
timeout 900 "$suite" -c "$here/pjdfstest.toml" -p "$MNT/pjd" -s "$WORK/second" > suite.log 2>&1
sed -nE 's/^(\S+::\S+) +FAILED$/\1/p' suite.log | sort > failed
summary=$(grep '^Summary' suite.log)
check "it ran: $summary" grep -qE '3[0-9][0-9] total' suite.log
grep -v '^#' "$here/decisions.tsv" | cut -f1 > patterns
equals "each case that fails is a decision" "" "$(grep -vE -f patterns failed)"
while IFS=$'\t' read -r pattern reason; do
  count=$(grep -cE "$pattern" failed)
  check "decision: $pattern: $reason ($count cases)" [ "$count" -gt 0 ]
done < <(grep -v '^#' "$here/decisions.tsv")
check "the mount still answers" stat "$MNT"
rm -rf "$MNT/pjd"
check "it ends" unmount_w
