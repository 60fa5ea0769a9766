#!/usr/bin/env bash
# A repository moves to PostgreSQL and S3, is used from another root, and moves back.
unset STAGEFS_TEST_POSTGRES STAGEFS_TEST_S3
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cluster/servers.sh
. "$TOP/tests/cluster/servers.sh"
cd "$WORK" || exit 1
start_servers "$WORK"
DAEMONS="$postgres $s3"
export STAGEFS_INDEX_WAIT=5 STAGEFS_VERSIONS_WAIT=5
places=(--index "$postgres_url" --versions "s3://bucket/p?endpoint=$s3_endpoint")

mkdir data
for i in $(seq 400); do echo "$i" > "data/$i"; done
head -c 40000000 /dev/urandom > data/large  # In parts.
check "a repository" stagefs create t/r
check "its versions" sh -c "$STAGEFS_BINARY put t/r data > sums"
check "a workspace" sh -c "$STAGEFS_BINARY workspace create t/r:w > /dev/null && $STAGEFS_BINARY stage t/r:w -d data sums"
check "a commit" stagefs commit t/r:w -m one
check "a branch and a change" sh -c "$STAGEFS_BINARY branch create t/r side && head -n 5 sums | $STAGEFS_BINARY stage t/r:w -d other - && $STAGEFS_BINARY rm t/r:w data/7"
before=$(stagefs status t/r:w && stagefs log t/r && stagefs branch list t/r && stagefs ls t/r:w data)
now() { stagefs status t/r:w && stagefs log t/r && stagefs branch list t/r && stagefs ls t/r:w data; }
mount_w

# Moving is begun, and killed.
stagefs migrate t/r "${places[@]}" > /dev/null 2>&1 & moving=$!
soon sh -c "find s3/bucket/p -type f 2>/dev/null | grep -q ."
kill -9 "$(pgrep -f "^$STAGEFS_BINARY migrate t/r")"
wait "$moving" 2> /dev/null
equals "killed while it moves: nothing changed" "$before" "$(now)"
check "and writing goes on" sh -c "echo meanwhile > $MNT/meanwhile && rm $MNT/meanwhile"
check "it goes on where it was" stagefs migrate t/r "${places[@]}"
equals "everything is there" "$before" "$(now)"
schema=$(psql -qXAt "$postgres_url" -c "SELECT 'stagefs_' || number FROM stagefs.repository")
equals "and nobody takes it for half of a move" 0 \
  "$(psql -qXAt "$postgres_url" -c "SELECT count(*) FROM $schema.meta WHERE key = 'moving from'")"
refuses "it is there already" "there already" stagefs migrate t/r "${places[@]}"
check "who reads at the old place goes on" cmp data/large "$MNT/data/large"
refuses "what is mounted at the old place is not deleted at the new one" "is mounted at" stagefs delete t/r
echo lost > lost
refuses "who writes there is refused" "Input/output error" cp lost "$MNT/late"
check "unmounted and mounted again" sh -c "$STAGEFS_BINARY unmount $MNT && $STAGEFS_BINARY mount t/r:w $MNT"
check "the tree is right" sh -c "rm -r $MNT/other && cp data/7 $MNT/data/ && diff -r data $MNT/data"
check "what was refused is not lost" stagefs retry t/r:w late
equals "with its bytes" lost "$(cat "$MNT/late")"
check "fsck" stagefs fsck t/r

# Another machine.
refuses "another root does not know it" "no repository" env STAGEFS_ROOT="$WORK/other" "$STAGEFS_BINARY" ls t/r
refuses "a name that the index does not know" "no repository" env STAGEFS_ROOT="$WORK/other" "$STAGEFS_BINARY" --index "$postgres_url" ls t/none
mkdir there
check "with the index's URL it does" env STAGEFS_ROOT="$WORK/other" "$STAGEFS_BINARY" --index "$postgres_url" mount t/r:w there
check "and knows where the versions are" cmp data/large there/data/large
check "what is written there" cp lost there/from-there
check "is seen here" eventually cmp lost "$MNT/from-there"
check "what is written here" cp data/1 "$MNT/from-here"
check "is seen there" eventually cmp data/1 there/from-here
refuses "the workspace is not deleted while it is mounted there" "is mounted at" stagefs workspace delete t/r:w
check "its mount ends" env STAGEFS_ROOT="$WORK/other" "$STAGEFS_BINARY" unmount there
refuses "a root with other versions is refused" "has its versions in" \
  env STAGEFS_ROOT="$WORK/third" "$STAGEFS_BINARY" --index "$postgres_url" --versions "s3://bucket/q?endpoint=$s3_endpoint" ls t/r

# And back.
unmount_w
before=$(now)
check "back" stagefs migrate t/r --embedded
equals "everything is there again" "$before" "$(now)"
refuses "another root does not take it for its own" "below another root" \
  env STAGEFS_ROOT="$WORK/other" "$STAGEFS_BINARY" migrate t/r --embedded
check "there a second time, over what it left there" sh -c "$STAGEFS_BINARY migrate t/r --index '$postgres_url' --versions 's3://bucket/p?endpoint=$s3_endpoint' > moved"
equals "everything is there once more" "$before" "$(now)"
check "what stays here is named" grep -q "left as it was, not used any more: index $STAGEFS_ROOT/t/r/stagefs.db" moved
check "and back" stagefs migrate t/r --embedded
equals "with everything" "$before" "$(now)"
refuses "a URL does not mean what is here" "leave out --index" stagefs --index "$postgres_url" delete t/r
check "which is still here" stagefs ls t/r

# The versions alone.
s3_place=(--versions "s3://bucket/alone?endpoint=$s3_endpoint")
mount_w
check "a file" cp lost "$MNT/before-it-moves"
check "the versions alone move" stagefs migrate t/r "${s3_place[@]}"
check "who reads at the old place goes on" cmp data/large "$MNT/data/large"
head -c 100 /dev/urandom > late
refuses "who writes there is refused" "Input/output error" cp late "$MNT/later"
check "and its bytes are kept" sh -c "$STAGEFS_BINARY status t/r:w | grep later | grep -q refused"
refuses "it is there already" "there already" stagefs migrate t/r "${s3_place[@]}"
check "unmounted and mounted again" sh -c "$STAGEFS_BINARY unmount $MNT && $STAGEFS_BINARY mount t/r:w $MNT"
check "the tree is right" diff -r data "$MNT/data"
check "what was refused is staged now" cmp late "$MNT/later"
check "they are in S3" sh -c "test \$(find s3/bucket/alone -type f | wc -l) -gt 400"
unmount_w
mv "$STAGEFS_ROOT/t/r/versions" versions.before
check "and nowhere else" stagefs fsck t/r
# As if killed before the folder knew: the index knows.
cp "$STAGEFS_ROOT/t/r/places.json" places.json
rm "$STAGEFS_ROOT/t/r/places.json"
check "the index says where they are" stagefs fsck t/r
check "and the folder knows again" cmp places.json "$STAGEFS_ROOT/t/r/places.json"
psql -qX "$postgres_url" -c "CREATE DATABASE alone"
check "then the index" stagefs migrate t/r --index "${postgres_url/\/\/\/postgres/\/\/\/alone}"
check "which leaves the versions where they are" sh -c "$STAGEFS_BINARY fsck t/r && ! test -e $STAGEFS_ROOT/t/r/versions"
check "both back" stagefs migrate t/r --embedded
stop_postgres
stop_s3
check "without the servers" stagefs fsck t/r
mv root elsewhere
check "and in another folder" env STAGEFS_ROOT="$WORK/elsewhere" "$STAGEFS_BINARY" fsck t/r
mv elsewhere root
mount_w
check "it is mounted, written and committed" sh -c "mkdir $MNT/new && cp lost $MNT/new/ && $STAGEFS_BINARY commit t/r:w -m two"
check "the tree is right again" diff -r data "$MNT/data"
unmount_w
