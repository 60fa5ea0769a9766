#!/usr/bin/env bash
# Commits as folders, and ways back.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)

# Two commits, `one` and `two`; the first is tagged v1.
two_commits() {
  versions
  stagefs workspace create t/r:w > /dev/null
  printf '%s  d/cat\n%s  d/dog\n' "$CAT" "$DOG" | stagefs stage t/r:w - > /dev/null
  ONE=$(stagefs commit t/r:w -m one | cut -d' ' -f1)
  stagefs rm t/r:w d/dog
  printf '%s  big\n' "$BIG" | stagefs stage t/r:w - > /dev/null
  TWO=$(stagefs commit t/r:w -m two | cut -d' ' -f1)
  stagefs tag create t/r@main~1 v1 -m first > /dev/null || echo "not ok - there are no two commits"
}
mount_at() { stagefs mount "$@" > said; }
unmount_at() { # Until the daemon has ended.
  local pid
  pid=$(pgrep -f -- "^$STAGEFS_BINARY mount t/r@[^ ]* $MNT" | head -n 1)
  stagefs unmount "$MNT" || return 1
  [ -z "$pid" ] || ended "$pid"
}
not() { ! "$@" 2> /dev/null; }
numbers() { (cd "$MNT" && find . -printf '%i %y %T@ %s %p\n' | sort); }
refused() { # WHAT STATUS WORDS COMMAND…
  local what=$1 status=$2 words=$3
  shift 3
  "$@" > out 2> err
  equals "$what is refused" "$status" $?
  check "saying why" grep -qF -- "$words" err
}

test_a_mounted_commit_says_what_it_is() {
  two_commits
  check "a commit is mounted" mount_at t/r@v1 "$MNT"
  check "which says so" grep -q "shows commit $ONE of .*\"one\"" said
  check "the table of mounts, too" grep -q "^stagefs.043t/r@$ONE " /proc/self/mounts
  equals "config.json, too" "$ONE" "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["commit"])' < "$MNT/.stagefs/config.json")"
  equals "and its files are there" "cat dog" "$(cd "$MNT/d" && echo *)"
  check "with their content" cmp -s "$MNT/d/cat" data/cat
  check "nothing is written there" not touch "$MNT/new"
  check "nor removed" not rm -f "$MNT/d/cat"
  check "unmount" unmount_at
}
test_a_mounted_commit_never_changes() {
  two_commits
  mount_at t/r@main "$MNT"
  numbers > before
  exec 7< "$MNT/big"
  stagefs branch create t/r other --from v1
  stagefs workspace create t/r:o --branch other > /dev/null
  stagefs rm t/r:w big d
  printf '%s  more\n' "$DOG" | stagefs stage t/r:w - > /dev/null
  stagefs commit t/r:w -m three > /dev/null
  stagefs workspace delete t/r:w && stagefs branch delete t/r main
  stagefs gc t/r --keep 0 > /dev/null
  numbers > after
  check "names, inodes and times stay, whatever others do" cmp before after
  check "and bytes" cmp "$MNT/big" data/big
  check "also of what was open" cmp /dev/fd/7 data/big
  exec 7<&-
  unmount_at
}
test_the_same_after_a_remount_and_elsewhere() {
  two_commits
  mount_at "t/r@$ONE" "$MNT"
  numbers > before
  unmount_at
  mount_at t/r@main~1 "$MNT"
  numbers > after
  check "the same after a remount" cmp before after
  unmount_at
  [ -z "${STAGEFS_TEST_PLACES:-}" ] || return 0
  cp -a "$STAGEFS_ROOT" elsewhere
  STAGEFS_ROOT=$PWD/elsewhere mount_at t/r@v1 "$MNT"
  numbers > after
  check "and of another root" cmp before after
  unmount_at
}
test_any_commit_is_a_folder() {
  two_commits
  stagefs branch create t/r a/b --from v1
  mount_w
  local commits=$MNT/.stagefs/commits
  equals "a branch is a link" "$TWO" "$(readlink "$commits/main")"
  equals "a tag is, too" "$ONE" "$(readlink "$commits/v1")"
  equals "and steps" "$ONE" "$(readlink "$commits/main~1")"
  equals "and digits that begin an id" "$ONE" "$(readlink "$commits/${ONE:0:12}")"
  equals "a slash in a name is written" "$ONE" "$(readlink "$commits/a%2Fb")"
  check "the commit is a folder" cmp "$commits/$ONE/d/dog" data/dog
  equals "which shows what it had" "d/cat d/dog" "$(cd "$commits/v1" && echo d/*)"
  equals "listed are commits, branches and tags" 3 "$(find "$commits" -maxdepth 1 -type l | wc -l)"
  check "among them the newest" test -d "$commits/$TWO"
  check "what is none is not there" not test -e "$commits/nothing"
  check "nor is one too far back" not test -e "$commits/main~9"
  check "nothing is written there" not touch "$commits/$ONE/new"
  stagefs rm t/r:w d/cat && THREE=$(stagefs commit t/r:w -m three | cut -d' ' -f1)
  equals "a link follows its branch" "$THREE" "$(readlink "$commits/main")"
  check "what was resolved stays" test -e "$commits/$TWO/d/cat"
  check "a link to a commit's file is staged by hash" ln "$commits/v1/d/dog" "$MNT/again"
  equals "with its content" "A  again" "$(status | grep ^A)"
  unmount_w
}
test_a_commit_is_mounted_by_mount() {
  two_commits
  mkdir bin && ln -s "$STAGEFS_BINARY" bin/stagefs
  check "mount.stagefs takes a commit" env PATH="$PWD/bin:$PATH" \
    sh "$top/mount_scripts/mount.stagefs" t/r@v1 "$MNT" -o "ro,root=$STAGEFS_ROOT"
  check "and shows it" test -e "$MNT/d/dog"
  check "unmount" unmount_at
}
test_what_cannot_be_mounted() {
  two_commits
  refused "an unknown revision" 3 "no branch, tag or commit 'nope'" stagefs mount t/r@nope "$MNT"
  refused "an empty one" 2 "an empty revision" stagefs mount t/r@ "$MNT"
  refused "one too far back" 3 "goes back 9 commits" stagefs mount t/r@main~9 "$MNT"
  refused "making one" 2 "leave --create out" stagefs mount t/r@main "$MNT" --create
  refused "a repository" 2 "t/r@main to look at a branch" stagefs mount t/r "$MNT"
  refused "deleting what is mounted" 4 "is mounted" in_mounted stagefs delete t/r
}
in_mounted() {
  mount_at t/r@v1 "$MNT"
  "$@"
  local status=$?
  unmount_at
  return $status
}
test_a_commit_of_a_read_only_root() {
  two_commits
  [ -z "${STAGEFS_TEST_PLACES:-}" ] || return 0
  mount --bind "$STAGEFS_ROOT" "$STAGEFS_ROOT" && mount -o remount,ro,bind "$STAGEFS_ROOT"
  check "a commit of a root that is read-only is mounted" mount_at t/r@v1 "$MNT"
  check "and read" cmp "$MNT/d/cat" data/cat
  unmount_at
  umount "$STAGEFS_ROOT"
}

test_what_was_lost_comes_back() {
  two_commits
  mount_w
  check "a folder as it was" stagefs restore t/r:w @v1 d
  check "is seen in the mount" eventually cmp "$MNT/d/dog" data/dog
  equals "is staged" "A  d/dog" "$(status)"
  check "all of it" stagefs restore t/r:w '@main@{now}' .
  equals "leaves nothing staged" "" "$(status)"
  check "an old state elsewhere" stagefs restore t/r:w @v1 d --to old
  equals "is staged there" "A  old/cat A  old/dog" "$(status | paste -sd' ')"
  printf 'old/cat\0old/dog\0' > list
  check "paths come from a list" stagefs rm t/r:w --from list -z
  equals "and are removed" "" "$(status | grep -v ^E)"
  refused "what is not there" 3 "no such path: nope" stagefs restore t/r:w @v1 nope
  mkfifo release
  { echo more; read -r _ < release; } >> "$MNT/d/cat" &
  check "a file is being written" eventually sh -c "test \$(stat -c %s '$MNT/d/cat') = 9"
  refused "a file that is being written" 4 "being written" stagefs restore t/r:w @v1 d
  echo > release
  ends_well "the writer ends" $!
  unmount_w
}
test_a_conflict_says_what_each_side_has() {
  two_commits
  stagefs workspace create t/r:o > /dev/null
  printf '%s  d/cat\n' "$DOG" | stagefs stage t/r:o - > /dev/null && stagefs commit t/r:o -m theirs > /dev/null
  printf '%s  d/cat\n' "$BIG" | stagefs stage t/r:w - > /dev/null
  for command in "commit -m mine" rebase; do
    # shellcheck disable=SC2086
    refused "$command over others' changes" 4 "changed here and on the branch: d/cat" stagefs ${command%% *} t/r:w ${command#"${command%% *}"}
    equals "with the three hashes" "base $CAT here $BIG branch $DOG" "$(grep -E '^    ' err | awk '{ print $1, $2 }' | paste -sd' ')"
  done
}
test_a_commit_is_undone() {
  two_commits
  check "a commit is reverted" stagefs revert t/r:w @main
  equals "as its inverse" "D  big A  d/dog" "$(status | paste -sd' ')"
  equals "which leads to the commit before" "" "$(stagefs diff t/r@v1 :w)"
  refused "again" 4 "2 paths were changed since" stagefs revert t/r:w @main
  refused "the first" 2 "is the first one" stagefs revert t/r:w @v1~1
}
test_a_tree_comes_out_as_it_goes_in() {
  two_commits
  stagefs workspace create t/r:fresh > /dev/null
  stagefs rm t/r:fresh big d
  for style in "" "-z" "--tag" "--tag --hash xxh3" "--format json" "--format ndjson" "--format csv" "--format tsv"; do
    # shellcheck disable=SC2086
    stagefs manifest t/r@v1 $style > manifest
    check "a manifest${style:+ with $style}" stagefs stage t/r:fresh manifest
    equals "staged again is the tree" "" "$(stagefs diff t/r@v1 :fresh | grep -v '^[AMDR]  .*big$')"
    stagefs rm t/r:fresh d
  done
  mount_at t/r@v1 "$MNT"
  stagefs manifest t/r@v1 > manifest
  check "a mount has it, too" cmp manifest "$MNT/.stagefs/manifest.sum"
  equals "from any place" "$(tail -c 20 manifest)" "$(tail -c +$(($(stat -c %s manifest) - 19)) "$MNT/.stagefs/manifest.sum")"
  unmount_at
  mount_w
  cp data/dog "$MNT/staged"
  check "of a workspace with what is staged" grep -qx "$DOG  staged" "$MNT/.stagefs/manifest.sum"
  unmount_w
  stagefs unstage t/r:w staged > /dev/null
  stagefs manifest t/r@main | grep -v d/ > sums.main
  check "sha256sum takes it" sh -c "cd data && sha256sum -c --quiet ../sums.main"
}
test_a_commit_is_shown() {
  two_commits
  stagefs show t/r@main > shown
  equals "a commit is shown with its parent" "$TWO $ONE" "$(awk '$1 == "commit" || $1 == "parent" { print $2 }' shown | paste -sd' ')"
  equals "and what it changed" "A - $BIG big D $DOG - d/dog" "$(grep '^[ADMR]  ' shown | tr -s ' ' | paste -sd' ')"
  equals "or how much" "1 added (3000000 bytes), 0 modified, 1 removed (4 bytes), 0 moved" "$(stagefs show t/r@main --stat | tail -n 1)"
  equals "at some paths" "d/dog" "$(stagefs show t/r@main d | awk '/^[ADMR] / { print $4 }')"
  check "the first, too" stagefs show t/r@v1~1
  refused "a workspace" 2 "is a workspace" stagefs show t/r:w
}
test_tags() {
  two_commits
  equals "a tag is listed" "v1  $ONE" "$(stagefs tag list t/r | cut -d' ' -f1-3)"
  equals "log shows it" 1 "$(stagefs log t/r | grep -c "^$ONE .*  tag v1  ")"
  refused "one that exists" 4 "tags never move" stagefs tag create t/r@main v1
  refused "one named like steps" 2 "is not allowed" stagefs tag create t/r@main v~1
  refused "of a workspace" 2 "is a workspace" stagefs tag create t/r:w v2
  check "deleted" stagefs tag delete t/r v1
  refused "again" 3 "no tag 'v1'" stagefs tag delete t/r v1
}
run_cases
