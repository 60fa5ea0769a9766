#!/usr/bin/env bash
# Who may know whom: core knows nobody, fs and api know core's public headers, main.cc alone sees all three,
# and each foreign library has one home.
set -u
cd "$(dirname "$0")/../.." || exit 1
# forbids WHAT PATTERN FILES…
forbids() {
  what=$1 pattern=$2
  shift 2
  if found=$(grep -nE "$pattern" "$@"); then
    echo "not ok - $what"
    echo "$found" | head -n 5 | sed 's/^/  /'
  else
    echo "ok - $what"
  fi
}
mapfile -t core < <(git ls-files 'core/*.cc' 'core/*.h')
mapfile -t fs < <(git ls-files 'fs/*.cc' 'fs/*.h')
mapfile -t api < <(git ls-files 'api/*.cc' 'api/*.h')
without() { local list=() file; for file in "${@:2}"; do [[ " $1 " == *" $file "* ]] || list+=("$file"); done; printf '%s\n' "${list[@]}"; }

forbids "core includes neither fuse nor HTTP" '#include.*(fuse|microhttpd|jwt|curl)' "${core[@]}"
forbids "core includes nothing of fs and api" '#include "(\.\./)?(fs|api)/' "${core[@]}"
forbids "public headers include no private ones" '#include "[a-z_]+\.h"' core/include/stagefs/*.h
mapfile -t list < <(without "fs/main.cc" "${fs[@]}")
forbids "fs knows core's public headers only" '#include "(\.\./|core/|api/)' "${list[@]}"
forbids "api knows core's public headers only" '#include "(\.\./|core/|fs/)' "${api[@]}"
mapfile -t list < <(without "core/sqlite.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "sqlite3.h has one home" '#include <sqlite3' "${list[@]}"
mapfile -t list < <(without "fs/fuse_ops.cc fs/fuse_mount.cc fs/fuse_killpriv.cc" "${fs[@]}" "${api[@]}")
forbids "fuse is named in fs/fuse_*.cc only" '#include <fuse' "${list[@]}"
mapfile -t list < <(without "api/http_server.cc" "${fs[@]}" "${api[@]}")
forbids "the HTTP library has one home" '#include <microhttpd' "${list[@]}"
mapfile -t list < <(without "api/token.cc" "${fs[@]}" "${api[@]}")
forbids "the JWT library has one home" '#include <jwt' "${list[@]}"
mapfile -t list < <(without "api/multipart.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "the form parser and zlib have one home" '#include <(Poco|zlib)' "${list[@]}"
mapfile -t list < <(without "api/archive.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "the archive library has one home" '#include <archive' "${list[@]}"
mapfile -t list < <(without "core/content_hash.cc api/sigv4.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "OpenSSL and xxhash have one home" '#include <(openssl|xxhash)' "${list[@]}"
mapfile -t list < <(without "core/manifest.cc core/stage_report.cc core/status_text.cc core/inbox.cc core/repository_places.cc api/aws_credentials.cc api/wire.cc api/wire_in.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "JSON is named where text is made or read" '#include <nlohmann' "${list[@]}"
mapfile -t list < <(without "fs/main.cc fs/command_set.h" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "the command line library is named in main.cc and command_set.h" '#include <CLI' "${list[@]}"
mapfile -t list < <(without "core/postgres.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "libpq has one home" '#include <(postgresql/)?libpq' "${list[@]}"
mapfile -t list < <(without "api/http_client.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "libcurl has one home" '#include <curl' "${list[@]}"
mapfile -t list < <(without "api/s3_client.cc" "${core[@]}" "${fs[@]}" "${api[@]}")
forbids "the XML library has one home" '#include <pugi' "${list[@]}"
forbids "nothing throws" '\bthrow\b' "${core[@]}" "${fs[@]}" "${api[@]}"

# Two types of one name in one program are undefined behavior that no compiler tells of.
twice=$(grep -hE '^(struct|class|enum class) [A-Za-z]+( final)?( :[^:].*)? \{' "${core[@]}" "${fs[@]}" "${api[@]}" |
  sed -E 's/^(struct|enum class|class) ([A-Za-z]+).*/\2/' | sort | uniq -d)
if [ -z "$twice" ]; then echo "ok - each type has a name of its own"; else echo "not ok - each type has a name of its own: $twice"; fi
