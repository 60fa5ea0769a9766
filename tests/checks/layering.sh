#!/usr/bin/env bash
# Who may know whom: core knows nobody, fs and api know core's public headers, main.cc alone sees all three, the rooms
# of core and api know those below them, and each foreign library has one home.
set -u
cd "$(dirname "$0")/../.." || exit 1
# forbids WHAT PATTERN FILES…
forbids() {
  what=$1 pattern=$2
  shift 2
  if found=$(grep -nE "$pattern" /dev/null "$@"); then
    echo "not ok - $what"
    echo "$found" | head -n 5 | sed 's/^/  /'
  else
    echo "ok - $what"
  fi
}
mapfile -t core < <(git ls-files 'core/*.cc' 'core/*.h')
mapfile -t fs < <(git ls-files 'fs/*.cc' 'fs/*.h' | grep -v '^fs/main.cc$')
mapfile -t api < <(git ls-files 'api/*.cc' 'api/*.h')
all=("${core[@]}" "${fs[@]}" "${api[@]}" fs/main.cc)
# lives_in HOME WHAT LIBRARY: only the files that HOME, an extended regular expression, matches include it.
lives_in() {
  mapfile -t others < <(printf '%s\n' "${all[@]}" | grep -vE "^($1)\$")
  forbids "$2" "#include <($3)" "${others[@]}"
}

forbids "core includes neither fuse nor an HTTP server" '#include.*(fuse|microhttpd|jwt)' "${core[@]}"
forbids "core includes nothing of fs and api" '#include "(\.\./)*(fs|api)/' "${core[@]}"
forbids "fs knows core's public headers only" '#include "(\.\./|core/|api/)' "${fs[@]}"
forbids "api knows core's public headers only" '#include "(\.\./|core/|fs/)' "${api[@]}"
lives_in 'core/index/sqlite/sqlite\.cc' "sqlite3.h has one home" 'sqlite3'
lives_in 'core/index/postgres/postgres\.cc' "libpq has one home" '(postgresql/)?libpq'
lives_in 'core/versions/http_client\.cc' "libcurl has one home" 'curl'
lives_in 'core/versions/s3/s3_client\.cc' "the XML library has one home" 'pugi'
lives_in 'core/system/content_hash\.cc' "OpenSSL and xxhash have one home" 'openssl|xxhash'
lives_in 'fs/mount/fuse_[a-z]+\.cc' "fuse is named in fs/mount/fuse_*.cc only" 'fuse'
lives_in 'api/server/http_server\.cc' "the HTTP library has one home" 'microhttpd'
lives_in 'api/server/token\.cc' "the JWT library has one home" 'jwt'
lives_in 'core/system/compression\.cc' "zlib and zstd have one home" 'zlib|zstd'
lives_in 'api/wire/archive\.cc' "the archive library has one home" 'archive'
lives_in 'fs/commands/command_line\.cc' "the command line library has one home" 'CLI'
json='core/system/text|core/history/checkout_state|core/staging/(manifest_json|stage_report|status_text|inbox)|core/durable/repository_places|core/versions/s3/aws_credentials|api/wire/wire_object'
lives_in "($json)\\.cc|api/wire/body_json\\.h" "JSON is named where text is made or read" 'nlohmann'
forbids "nothing throws" '\bthrow\b' "${all[@]}"

if found=$(python3 -B tests/checks/rooms.py); then
  echo "ok - rooms of core and api know only those below them"
else
  echo "not ok - rooms of core and api know only those below them"
  echo "$found" | head -n 20 | sed 's/^/  /'
fi

# Two types of one name in one program are undefined behavior that no compiler tells of.
twice=$(grep -hE '^(struct|class|enum class) [A-Za-z]+( final)?( :[^:].*)? \{' "${all[@]}" |
  sed -E 's/^(struct|enum class|class) ([A-Za-z]+).*/\2/' | sort | uniq -d)
if [ -z "$twice" ]; then echo "ok - each type has a name of its own"; else echo "not ok - each type has a name of its own: $twice"; fi
