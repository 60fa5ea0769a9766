# shellcheck shell=bash
# Names of tests: a script's is its path, a case's is PATH:CASE, its function's name without test_. A test is meant by a
# pattern when its name contains it; a blank and an underscore are the same, and so are capitals and small letters.

# cases_of SCRIPT [PATTERN]: the cases that are meant, in the order of the script.
cases_of() {
  local pattern=${2:-} name
  pattern=${pattern// /_}
  sed -nE 's/^test_([A-Za-z0-9_]+)\(\).*/\1/p' "$1" | while read -r name; do
    [[ ${1,,}:${name,,} != *"${pattern,,}"* ]] || echo "$name"
  done
}
# means PATTERN SCRIPT: the script, or one of its cases, is meant.
means() {
  local pattern=${1// /_}
  [[ ${2,,} == *"${pattern,,}"* ]] || [ -n "$(cases_of "$2" "$1")" ]
}
