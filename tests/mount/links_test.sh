#!/usr/bin/env bash
# ln and ln -s: a link to content stages it, any other symbolic link is staged as one.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_ln_of_a_version_stages_it() {
  mounted
  check "ln stages a version" ln "$MNT/.stagefs/versions/$CAT" "$MNT/a.jpg"
  equals "status names it" "A  a.jpg" "$(status)"
}
test_links_are_independent_files() {
  mounted
  cp data/cat "$MNT/a.jpg"
  check "ln of a file stages its content" ln "$MNT/a.jpg" "$MNT/b.jpg"
  check "writing one leaves the other" sh -c "echo more >> $MNT/b.jpg && cmp $MNT/a.jpg data/cat"
}
test_symbolic_links_to_content_stage_it() {
  mounted
  cp data/cat "$MNT/a.jpg"
  check "ln -s HASH stages" sh -c "ln -s $DOG3 $MNT/s1 && cmp $MNT/s1 data/dog && test ! -L $MNT/s1"
  check "ln -s to a version stages" sh -c "ln -s .stagefs/versions/$CAT $MNT/s2 && cmp $MNT/s2 data/cat"
  check "ln -s to a known hash where nothing is stages" sh -c "ln -s /nowhere/$CAT $MNT/s3 && cmp $MNT/s3 data/cat"
  equals "status names what is staged" "A  a.jpg
A  s1
A  s2
A  s3" "$(status)"
}
test_other_symbolic_links_are_links() {
  mounted
  check "any other symbolic link is one" sh -c "ln -s /nowhere $MNT/s4 && test \$(readlink $MNT/s4) = /nowhere"
  equals "and staged as one" "A  s4 -> /nowhere (symbolic link)" "$(status)"
  mkdir "$MNT/v1" && echo one > "$MNT/v1/file" && ln -s v1 "$MNT/latest" && ln -s v1/file "$MNT/first"
  stagefs commit t/r:w -m links > /dev/null
  equals "a commit has it" "" "$(status)"
  equals "so has a folder of the commit" "v1 one" "$(cd "$MNT/.stagefs/commits/main" && echo "$(readlink latest) $(cat latest/file)")"
  equals "and .stagefs/base" "/nowhere l" "$(readlink "$MNT/.stagefs/base/s4") $(stat -c %A "$MNT/.stagefs/base/s4" | cut -c1)"
  local inode
  inode=$(stat -c %i "$MNT/latest")
  touch -h -d 2020-01-01 "$MNT/latest"
  equals "a time of its own is the workspace's" "" "$(status)"
  ln -sfn v2 "$MNT/latest"
  equals "changed, it is a change" "M  latest -> v2 (symbolic link)" "$(status)"
  equals "diff says which link it was" "M  link  link  latest -> v2" "$(stagefs diff t/r:w)"
  equals "and JSON both targets" "v1 v2" "$(stagefs --json diff t/r:w | jq -r '"\(.old_target) \(.new_target)"')"
  mkdir rev && stagefs mount t/r@main rev
  equals "a mount of the commit has the old one, with the same number" "v1 $inode" "$(readlink rev/latest) $(stat -c %i rev/latest)"
  stagefs unmount rev && rmdir rev
  stagefs checkout t/r@main out > /dev/null
  equals "and so has a folder checked out" "v1 one" "$(readlink out/latest) $(cat out/first)"
  equals "a manifest of sums counts what it leaves out" "stagefs: 3 symbolic links were left out: only --format ndjson and json say them" \
    "$(stagefs manifest t/r@main 2>&1 > /dev/null)"
  stagefs create t/copied && stagefs workspace create t/copied:w > /dev/null
  stagefs put t/copied out > /dev/null 2>&1
  stagefs manifest t/r@main --format ndjson | stagefs stage t/copied:w - > /dev/null
  equals "one of JSON has them" "$(stagefs manifest t/r@main --format ndjson)" "$(stagefs manifest t/copied:w --format ndjson)"
  rm "$MNT/first"
  equals "removed, it is a removal" "D  first
M  latest -> v2 (symbolic link)" "$(status)"
  stagefs restore t/r:w @main first > /dev/null
  equals "and comes back" v1/file "$(readlink "$MNT/first")"
}
test_scratch_links() {
  mounted
  ln -s user@host.1 "$MNT/.#file" # As emacs locks a file.
  equals "a lock of an editor is scratch" "?  .#file -> user@host.1 (scratch, never staged)" "$(status)"
}
test_links_to_files_of_the_mount_stay_links() {
  mounted
  mkdir "$MNT/bin" && echo one > "$MNT/bin/tool"
  check "ln -s to a file of the mount" sh -c "cd $MNT && ln -s bin/tool tool && ln -s $MNT/bin/tool whole"
  equals "is a link, read and written through" "bin/tool two" "$(readlink "$MNT/tool") $(echo two > "$MNT/tool" && cat "$MNT/bin/tool")"
  check "by its whole path, too" test -L "$MNT/whole"
  command -v git > /dev/null || { skip "a fresh clone with a link is clean" "no git"; return; }
  git() { command git -c user.name=a -c user.email=a@b "$@"; }
  git init -q source && echo r > source/README.md && ln -s README.md source/readme
  git -C source add -A && git -C source commit -qm 1 && git clone -q source "$MNT/clone"
  equals "a fresh clone with a link is clean" "" "$(git -C "$MNT/clone" status --short)"
}
test_links_that_are_refused() {
  mounted
  cp data/cat "$MNT/a.jpg"
  refuses "ln -s to an unknown hash is refused" "No such file" ln -s "$(printf 'f%.0s' $(seq 64))" "$MNT/s5"
  refuses "a hard link from outside is refused" "cross-device" ln data/cat "$MNT/outside"
  refuses "ln over an existing name is refused" "exists" ln "$MNT/.stagefs/versions/$CAT" "$MNT/a.jpg"
  equals "nothing of it is staged" "A  a.jpg" "$(status)"
}
test_the_count_of_what_is_open() {
  mounted
  check "it is that of the names that are left" python3 - "$MNT" << 'EOF'
import os, sys
os.chdir(sys.argv[1])
def counts(*expected):
    assert tuple(os.fstat(file).st_nlink for file in files) == expected, [os.fstat(file) for file in files]
open("a", "w").write("text")
os.link("a", "b")
os.link("a", "c")
files = [os.open(name, os.O_RDONLY) for name in "ab"]
number = os.stat("c").st_ino
counts(3, 3)
os.unlink("a")
counts(2, 2)
os.unlink("b")
counts(1, 1)
assert {os.fstat(file).st_ino for file in files} == {os.stat("c").st_ino} == {number}
os.unlink("c")
counts(0, 0)
files = [os.open("new", os.O_CREAT | os.O_RDWR), os.open("new", os.O_RDONLY)]
counts(1, 1)
os.write(files[0], b"text")
os.unlink("new")
counts(0, 0)
EOF
}
number_and_count() { stat -c '%i %h' "$1"; }
test_links_share_a_number_and_a_count() {
  mounted
  cd "$MNT" && cp ../data/cat x && number=$(stat -c %i x) && ln x y && ln y z
  for name in x y z; do equals "$name" "$number 3" "$(number_and_count $name)"; done
  check "find knows them" test "$(find . -samefile x | sort | xargs)" = "./x ./y ./z"
  check "du counts one" test "$(du -bc x y z | tail -n 1 | cut -f1)" = "$(du -bc x | tail -n 1 | cut -f1)"
  echo more >> y
  equals "what was appended to one is not in the others" "cat" "$(cat x)"
  check "it has a number of its own" test "$(stat -c %i y)" != "$number"
  equals "and a count" 1 "$(stat -c %h y)"
  equals "the others share theirs" "$number 2" "$(number_and_count x)"
  rm x
  equals "until one is removed" "$number 1" "$(number_and_count z)"
  stage_elsewhere y "$DOG" && stage_elsewhere w "$DOG"
  eventually grep -q dog y && ln y v
  equals "links" "$(number_and_count y)" "$(number_and_count v)"
  stage_elsewhere v "$CAT"
  eventually grep -q cat v
  check "until others stage something" test "$(stat -c %i y)" != "$(stat -c %i v)"
  equals "which the count shows" "1 1" "$(stat -c %h y v | xargs)"
}
test_programs_that_make_links() {
  mounted
  mkdir "$MNT/tree" && cd "$MNT" && cp ../data/cat ../data/dog tree && ln tree/cat tree/again && ln -s cat tree/link
  check "cp -al" cp -al tree linked
  equals "shares" "$(number_and_count tree/dog)" "$(number_and_count linked/dog)"
  equals "links are links" "cat" "$(readlink linked/link)"
  check "rsync -H" rsync -aH tree/ "$WORK/copy/"
  equals "finds them" "$(stat -c %i "$WORK/copy/cat")" "$(stat -c %i "$WORK/copy/again")"
  check "tar" tar -cf "$WORK/tree.tar" tree
  check "finds them" sh -c "tar -tvf '$WORK/tree.tar' | grep -q 'link to tree/'"
  git init -q source && git -C source config user.email a@b && git -C source config user.name n
  cp ../data/dog source && ln -s dog source/link && git -C source add -A && git -C source commit -qm 1
  check "git clone here" git clone -q source clone
  check "is right" git -C clone fsck --strict
  equals "is clean" "" "$(git -C clone status --short)"
  equals "and shares" "$(number_and_count source/.git/objects/*/*)" "$(number_and_count clone/.git/objects/*/*)"
}
run_cases
