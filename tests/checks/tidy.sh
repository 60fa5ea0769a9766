#!/usr/bin/env bash
# The tree itself: width, leftovers, scripts.
set -u
cd "$(dirname "$0")/../.." || exit 1
none() {
  what=$1
  if [ -z "$2" ]; then
    echo "ok - $what"
  else
    echo "not ok - $what"
    echo "$2" | head -n 8 | sed 's/^/  /'
  fi
}
mapfile -t code < <(git ls-files '*.cc' '*.h')
mapfile -t scripts < <(git ls-files '*.sh' mount_scripts/mount.stagefs .ci/run)
none "no line of code is wider than 120 columns" "$(awk 'length > 120 {print FILENAME ":" FNR}' "${code[@]}")"
none "no trailing white space" "$(git ls-files | grep -vE '\.(png|jpg)$|^tests/(fuzz/corpus|fixtures)/' | xargs grep -nE '[[:space:]]+$' -- | head -n 8)"
none "no tabs in code" "$(grep -nP '\t' "${code[@]}")"
none "nothing is left to do" "$(grep -nE 'TODO|FIXME|XXX[^X]' "${code[@]}" | grep -v XXXXXX)"
none "no debugging output" "$(grep -nE 'std::cerr|std::cout|printf\("DEBUG' "${code[@]}")"
none "every header guards itself" "$(for file in $(git ls-files '*.h'); do grep -q '#pragma once' "$file" || echo "$file"; done)"
none "every header says what it is" "$(for file in $(git ls-files '*.h'); do head -n 1 "$file" | grep -q '^// ' || echo "$file"; done)"
if command -v shellcheck >/dev/null; then
  none "shellcheck" "$(shellcheck --external-sources --severity=warning "${scripts[@]}" 2>&1)"
else
  echo "skip - shellcheck: not installed"
fi
