#!/usr/bin/env bash
# import-oxen: versions of an Oxen repository on this disk, laid out as Oxen does.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# A file of an Oxen version store with the given content on standard input; prints its hash.
oxen_version() {
  cat > content
  hash=$(xxh128sum content 2>/dev/null | sed 's/^0*//' | cut -d' ' -f1)
  folder=oxen/.oxen/versions/files/${hash:0:2}/${hash:2}
  mkdir -p "$folder" && cp content "$folder/data" && echo "$hash"
}
# A store of $total versions: one with a leading zero in its hash, a large one, an empty one, 300 small ones, and what is no version.
oxen_repository() {
  HELLO=$(printf 'hello oxen\n' | oxen_version)
  BIG=$(seq 200000 | oxen_version)
  EMPTY=$(oxen_version < /dev/null)
  for number in $(seq 300); do echo "version $number" | oxen_version; done > many
  mkdir -p "oxen/.oxen/versions/files/${BIG:0:2}/${BIG:2}/chunks/0" && echo x > "oxen/.oxen/versions/files/${BIG:0:2}/${BIG:2}/chunks/0/chunk"
  mkdir -p oxen/.oxen/versions/files/ab/cd/chunks/0 && echo x > oxen/.oxen/versions/files/ab/cd/chunks/0/chunk
  total=$(($(sort -u many | wc -l) + 3))
}

test_what_is_there_comes_once() {
  oxen_repository
  equals "a hash with a leading zero has 31 digits" 31 "${#HELLO}"
  stagefs create t/r
  refuses "a folder without a store" "no Oxen version store" stagefs import-oxen t/r "$WORK/root"
  refuses "a folder that is not there" "no Oxen version store" stagefs import-oxen t/r "$WORK/none"
  equals "an import" "$((total - 1)) versions imported ($(($(stat -c %s oxen/.oxen/versions/files/*/*/data | paste -sd+))) bytes), 1 there already" \
    "$(stagefs import-oxen t/r oxen)"
  for path in oxen oxen/.oxen oxen/.oxen/versions oxen/.oxen/versions/files; do
    equals "again, from $path" "{\"imported\":0,\"there_already\":$total,\"bytes\":0,\"failed\":0}" "$(stagefs --json import-oxen t/r $path)"
  done
}
test_what_came_is_found_by_either_hash() {
  oxen_repository
  stagefs create t/r
  stagefs import-oxen t/r oxen > said
  stagefs workspace create t/r:w > id
  SUM=$(printf 'hello oxen\n' | sha256sum | cut -d' ' -f1)
  printf 'hash,path\n%s,xxh3.txt\n%s,sha.txt\n%s,big.txt\n%s,empty.txt\n' "$HELLO" "$SUM" "$BIG" "$EMPTY" | stagefs stage t/r:w - > /dev/null
  mount_w
  equals "by XXH3" "hello oxen" "$(cat "$MNT/xxh3.txt")"
  equals "by SHA-256" "hello oxen" "$(cat "$MNT/sha.txt")"
  check "a large one" cmp "$MNT/big.txt" <(seq 200000)
  equals "the empty one" 0 "$(stat -c %s "$MNT/empty.txt")"
  unmount_w
}
# What is damaged is named and left out; the rest comes, and what came stays.
test_damage() {
  oxen_repository
  stagefs create t/damaged
  printf 'HELLO oxen\n' > "oxen/.oxen/versions/files/${HELLO:0:2}/${HELLO:2}/data"
  mkdir -p oxen/.oxen/versions/files/no/hash && echo x > oxen/.oxen/versions/files/no/hash/data
  stagefs import-oxen t/damaged oxen > said 2> why
  equals "part of it: status" 1 "$?"
  equals "the rest came" "$((total - 2)) versions imported" "$(sed 's/ (.*//' said)"
  check "the damaged one is named" grep -q "${HELLO:2}/data: damaged" why
  check "so is what has no hash for a name" grep -q 'no/hash/data: its folders are not named' why
  refuses "it is not there" "no such version" sh -c "echo '$HELLO  x' | '$STAGEFS_BINARY' stage t/damaged:w -; '$STAGEFS_BINARY' workspace create t/damaged:w; echo '$HELLO  x' | '$STAGEFS_BINARY' stage t/damaged:w -"
  printf 'hello oxen\n' > "oxen/.oxen/versions/files/${HELLO:0:2}/${HELLO:2}/data" && rm -r oxen/.oxen/versions/files/no
  equals "mended, only that one comes" "1 versions imported (11 bytes), $((total - 1)) there already" "$(stagefs import-oxen t/damaged oxen)"
}
test_killed_at_any_moment_it_goes_on() {
  oxen_repository
  stagefs create t/killed
  "$STAGEFS_BINARY" import-oxen t/killed oxen > /dev/null 2>&1 &
  DAEMONS=$!
  eventually sh -c "ls '$STAGEFS_ROOT'/t/killed/versions/*/* | grep -q ."
  kill -9 "$DAEMONS" 2>/dev/null
  wait 2>/dev/null
  DAEMONS=
  check "after kill -9 it goes on" stagefs import-oxen t/killed oxen
  equals "and has them all" "{\"imported\":0,\"there_already\":$total,\"bytes\":0,\"failed\":0}" "$(stagefs --json import-oxen t/killed oxen)"
  check "nothing is damaged" stagefs fsck t/killed
}
run_cases
