#!/usr/bin/env bash
# Manifests that are dropped into a folder or the inbox.
# shellcheck source=tests/mount/scene.sh
. "$(dirname "$0")/scene.sh"

test_a_dropped_manifest_is_staged_into_its_folder() {
  mounted
  mkdir "$MNT/drop"
  check "a dropped manifest is staged into its folder" sh -c "cp sums $MNT/drop/batch.stage.sum && cmp data/cat $MNT/drop/cat"
  check "its report lies beside it" grep -q '"added":3' "$MNT/drop/batch.stage.sum.result.json"
}
test_a_manifest_that_commands_append_to() {
  mounted
  for where in "$MNT" "$MNT/.stagefs/inbox"; do
    list=$where/list.stage.sum
    for i in {1..30}; do
      echo "$CAT  cat$i" >> "$list" || echo "not ok - line $i"
      cmp -s data/cat "$MNT/cat$i" || echo "not ok - line $i is not staged at once"
      [ "$i" != 10 ] || rm "$MNT/cat1"
    done
    check "the last report is of all lines" grep -q '"entries":30' "$list.result.json"
    check "lines that were staged before were not staged again" test ! -e "$MNT/cat1"
    sed "\$a$CAT  cat31" "$list" > longer
    cp longer "$list"
    check "a list that is written anew is staged anew" cmp data/cat "$MNT/cat1"
    check "all of it" cmp data/cat "$MNT/cat31"
    rm "$MNT"/cat*
  done
}
test_a_manifest_that_is_renamed_into_place() {
  mounted
  mkdir "$MNT/drop"
  check "one is renamed into place" sh -c "sed s/cat/tom/ sums > $MNT/drop/.batch.tmp && mv $MNT/drop/.batch.tmp $MNT/drop/again.stage.sum"
  check "and is staged soon" eventually cmp data/cat "$MNT/drop/tom"
}
test_close_waits_for_the_staging_that_a_childs_close_began() {
  mounted
  check "close() waits for the staging that a child's close began" python3 - "$MNT" sums <<'PY'
import os, sys, time
lines = open(sys.argv[2]).read()
for round in range(30):
    manifest = "".join(line.replace("  ", f"  {round}/{i}/") + "\n" for i in range(300) for line in lines.split("\n") if line)
    fd = os.open(f"{sys.argv[1]}/.stagefs/inbox/forked/{round}.sum", os.O_WRONLY | os.O_CREAT)
    os.write(fd, manifest.encode())
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"x")
        os.close(fd)  # The descriptor it inherited.
        os._exit(0)
    os.read(told, 1)
    time.sleep(0.002)  # Lets the child's FLUSH come first, most of the thirty times; right either way.
    os.close(fd)
    os.close(told); os.close(tell)
    assert os.path.exists(f"{sys.argv[1]}/forked/{round}/299/dog"), round
    os.waitpid(child, 0)
PY
}
test_a_malformed_manifest() {
  mounted
  mkdir "$MNT/drop"
  refuses "a malformed one fails its close" "Invalid argument" sh -c "echo '[{' > $WORK/bad.json && cp $WORK/bad.json $MNT/drop/bad.stage.json"
  check "and says why in its report" grep -q '"error":"manifest' "$MNT/drop/bad.stage.json.result.json"
}
test_the_inbox_stages_into_the_folder_it_is_named_for() {
  mounted
  mkdir "$MNT/drop"
  check "the inbox takes one" cp sums "$MNT/.stagefs/inbox/drop/in.sum"
  check "with its report beside it" sh -c "ls $MNT/.stagefs/inbox/drop | grep -qx in.sum.result.json"
  check "it is staged" cmp data/dog "$MNT/drop/dog"
  check "the newest report" grep -q '"entries":3' "$MNT/.stagefs/last.json"
  check "manifests can be removed" rm "$MNT/.stagefs/inbox/drop/in.sum"
}
test_compressed_manifests() {
  mounted
  mkdir "$MNT/drop"
  gzip -k sums && zstd -q sums
  check "a dropped one, with gzip" sh -c "cp sums.gz $MNT/drop/batch.stage.sum.gz && cmp data/cat $MNT/drop/cat"
  check "its report lies beside it" grep -q '"added":3' "$MNT/drop/batch.stage.sum.gz.result.json"
  check "one in the inbox, with zstd" sh -c "cp sums.zst $MNT/.stagefs/inbox/zstd/in.sum.zst && cmp data/dog $MNT/zstd/dog"
  for name in gz zst; do
    head -c -4 sums.$name > cut.$name
    refuses "one that is cut short fails its close" "Invalid argument" cp cut.$name "$MNT/drop/cut.stage.sum.$name"
    check "and says why" grep -q 'looks cut short' "$MNT/drop/cut.stage.sum.$name.result.json"
    for file in sums cut; do mkfifo fifo.$file.$name && cat $file.$name > fifo.$file.$name & done
    check "the command takes a file" stagefs stage t/r:w -d file.$name sums.$name
    check "standard input" sh -c "\"\$STAGEFS_BINARY\" stage t/r:w -d stdin.$name - < sums.$name"
    check "and a FIFO" stagefs stage t/r:w -d fifo.$name fifo.sums.$name
    refuses "and refuses what is cut short" "looks cut short" stagefs stage t/r:w -d cut fifo.cut.$name
    for folder in file stdin fifo; do check "all of it is staged" cmp data/cat "$MNT/$folder.$name/cat"; done
  done
  refuses "nothing of the others is" "No such file" ls "$MNT/cut"
}
test_the_inbox_makes_folders() {
  mounted
  check "the inbox makes folders" sh -c "mkdir $MNT/.stagefs/inbox/v1.0 && cp sums $MNT/.stagefs/inbox/v1.0/ && cmp data/dog $MNT/v1.0/dog"
}
test_rename_into_the_inbox() {
  mounted
  check "rename into the inbox" sh -c "cp sums $MNT/.stagefs/inbox/.tmp.Ab12Cd && mv $MNT/.stagefs/inbox/.tmp.Ab12Cd $MNT/.stagefs/inbox/late.sum"
  check "is staged soon" eventually cmp data/dog "$MNT/dog"
  check "with its report beside it" eventually test -s "$MNT/.stagefs/inbox/late.sum.result.json"
}
run_cases
