#!/usr/bin/env bash
# What a browser, an unpacker and a terminal get of stored bytes and names.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

# Commits what is in data/ and serves it.
served() {
  stagefs create t/r && stagefs workspace create t/r:w > id
  (cd data && stagefs put t/r .) | stagefs stage t/r:w - > /dev/null
  stagefs commit t/r:w -m first > log
  TOKEN=$(stagefs token create --user ann)
  serve --listen 127.0.0.1:0
  R=$URL/api/repos/t/r
}
# header NAME URL
header() {
  curl -sS -m 30 -D - -o /dev/null -H "authorization: Bearer $TOKEN" "$2" | tr -d '\r' | sed -n "s/^$1: //Ip"
}

test_bytes_never_run_in_the_origin() {
  mkdir data
  for name in page.html page.HTM page.xhtml picture.svg feed.xml paper.pdf code.js plain; do echo '<script>' > data/$name; done
  for name in a.txt a.png a.csv a.json a.mp4 a.md; do echo '<script>' > data/$name; done
  served
  for name in page.html page.HTM page.xhtml picture.svg feed.xml paper.pdf code.js plain; do
    equals "$name is saved, not shown" "attachment sandbox nosniff" "$(for header in content-disposition content-security-policy \
      x-content-type-options; do header $header "$R/file/main/$name"; done | paste -sd' ')"
  done
  for name in a.txt a.png a.csv a.json a.mp4 a.md; do
    equals "$name may be shown, in a sandbox" " sandbox nosniff" "$(for header in content-disposition content-security-policy \
      x-content-type-options; do header $header "$R/file/main/$name" | paste -sd' '; done | paste -sd' ' | sed 's/^sandbox/ &/')"
  done
  stagefs put t/r data/page.html --stage t/r:w > /dev/null 2>&1
  equals "a part of one, too" attachment "$(header content-disposition "$R/chunk/main/page.html")"
  equals "so is a zip" attachment "$(header content-disposition "$R/export/download/main")"
  equals "an error is in the sandbox" sandbox "$(header content-security-policy "$R/file/main/%0d%0ax:y")"
  equals "no name of a path becomes a header" "" "$(header x "$R/file/main/%0d%0ax:y")"
}

test_names_in_a_zip() {
  mkdir -p data/dir data/C:
  python3 - <<'PY'
import os
for name in (b"..\\..\\evil", b"\\\\server\\share", b"C:/x", b"C%3A", b"c:autoexec", b"a:b", b"dir/C:x", b"new\nline", b"\x1b[31mred", b"del\x7f", b"a%5Cb",
             b"a\\b", b"100%25", b"100%", b"a%20b", b"umlaut-\xc3\xa4", b"latin-\xe4", b"latin-\xe5", b"dir/run"):
    with open(os.path.join(b"data", name), "wb") as file:
        file.write(name)
PY
  served
  mount_w && chmod +x "$MNT/dir/run" && unmount_w
  equals "a zip of hostile names" 200 "$(http "$R/export/download/w")"
  check "no name leaves the folder, clashes, or is a command to a terminal; the exec bit is kept" python3 - <<'PY'
import re, urllib.parse, zipfile
names = {i.filename.encode("utf-8" if i.flag_bits & 0x800 else "cp437"): i for i in zipfile.ZipFile("body").infolist()}
contents = {name: zipfile.ZipFile("body").read(info) for name, info in names.items()}
assert len(names) == 19, sorted(names)
for name, content in contents.items():
    assert not re.search(rb"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/", name), name
    meant = re.sub(rb"%(0A|1B|7F|5C|3A|25|E4|E5)", lambda m: bytes([int(m[1], 16)]), name)
    assert meant == content, (name, content)
for plain in (b"dir/C:x", b"a%20b", b"100%", "umlaut-ä".encode()):
    assert contents[plain] == plain
modes = {name: info.external_attr >> 16 & 0o777 for name, info in names.items()}
assert modes.pop(b"dir/run") == 0o755 and set(modes.values()) == {0o644}, modes
PY
}

test_an_export_is_sent_while_it_is_made() {
  mkdir data
  head -c 150000000 /dev/urandom > data/large
  echo last > data/zz
  served
  equals "an export of 150 MB" 200 "$(http "$R/export/download/main")"
  check "is whole" python3 -c 'import zipfile; assert zipfile.ZipFile("body").testzip() is None'
  mib=$(($(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$DAEMONS/status") / 1024))
  check "in flat memory, not $mib MiB" [ "$mib" -lt "$([ "${BUILD:-release}" = release ] && echo 60 || echo 600)" ]
  rm -f "$(version_file "$(sha256sum data/zz | cut -d' ' -f1)")"
  rm -rf "$STAGEFS_ROOT"/t/r/cache/??  # This machine's copy, where it is in S3.
  curl -sS -m 60 -o body -w '%{http_code}' -H "authorization: Bearer $TOKEN" "$R/export/download/main" > code 2> said-by-curl
  equals "one that cannot go on has begun, and breaks off" "18 200" "$? $(cat code)"
  answers "the server goes on" 200 oxen_version http "$URL/api/version"
}
run_cases
