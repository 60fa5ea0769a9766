#!/usr/bin/env bash
# Each route and each refusal by value: statuses, bodies, headers, bytes.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

# says WHAT CODE FILTER EXPECTED CURL…: the status, and what jq-like FILTER (a Python expression of `j`) gives.
says() {
  what=$1 code=$2 filter=$3 expected=$4
  shift 4
  got=$("$@" 2>&1)
  value=$(python3 -c 'import json, sys
j = json.load(open("body"))
value = eval(sys.argv[1])
print(value if isinstance(value, str) else json.dumps(value))' "$filter" 2>&1)
  if [ "$got" = "$code" ] && [ "$value" = "$expected" ]; then echo "ok - $what"; else
    echo "not ok - $what (status $got, $filter is $value)"
    head -c 600 body | sed 's/^/  /'
    echo
  fi
}
header() { tr -d '\r' < headers | awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]+ /, ""); print }'; }
method() { http -X "$@"; }
# A refusal with "error", as most are, and the two shapes without.
REFUSAL='[j["error"]["type"], j["error"]["title"], j["error"]["detail"], j["status"], j["status_message"]]'
PLAIN='[j["status"], j["status_message"], j.get("status_description")]'

# A server.
served() {
  serve --listen :0
  TOKEN=$(stagefs token create --user ann)
  API=$URL/api
  R=$API/repos/t/r
  echo form > form.txt
}
# And a repository t/r, with a file and with those that are named; FIRST is its first commit.
repository() {
  served
  post '{"namespace":"t","name":"r","files":[{"path":"README.md","contents":"# r"}]}' "$API/repos" > code
  FIRST=$(stagefs log t/r | cut -c1-32)
  for name; do on_branch main "$name"; done
}
# on_branch BRANCH PATH: commits form.txt there.
on_branch() { method PUT -F 'file=@form.txt' "$R/file/$1/$2" > code; }
# And a workspace called "my name"; X and S are the hashes of the file `hello`.
workspace() {
  repository "$@"
  method PUT --data-binary '{"workspace_id":"workspace-1","branch_name":"main","name":"my name"}' "$R/workspaces" > code
  W=$R/workspaces/workspace-1
  printf 'hello oxen\n' > hello && gzip -k hello
  X=372241c8c620874ddaeaf4fa0bb243b S=$(sha256sum hello | cut -d' ' -f1)
}
# upload FILE PATH: into the workspace.
upload() { http -F "file[]=@$1;filename=$2" "$W/files/" > code; }
short_xxh3() { xxh128sum "$1" 2> /dev/null | sed 's/^0*//' | cut -d' ' -f1; }

test_repositories() {
  served
  says "create" 200 '[j["status_message"], j["repository"]["namespace"], j["repository"]["storage_kind"], j["metadata_entries"]]' \
    '["resource_found", "t", "local", null]' post '{"namespace":"t","name":"r","files":[{"path":"README.md","contents":"# r"}]}' "$API/repos"
  says "create again" 409 "$PLAIN" '["error", "Repo already exists.", null]' post '{"namespace":"t","name":"r"}' "$API/repos"
  says "a repository name that is none" 400 "$REFUSAL" \
    "[\"bad_request\", \"Bad Request\", \"Invalid JSON: missing field \`name\`\", \"error\", \"bad_request\"]" post '{"namespace":"t"}' "$API/repos"
  says "an invalid repository name" 400 "$REFUSAL" \
    '["invalid_repo_name", "Invalid Repository Name", "Invalid repository or namespace name '"'a b'"'. Must match [a-zA-Z0-9][a-zA-Z0-9_.-]+", "error", "bad_request"]' \
    post '{"namespace":"t","name":"a b"}' "$API/repos"
  says "JSON that is none" 400 'j["error"]["detail"]' 'Invalid JSON: the body is not JSON' post '{' "$API/repos"
  says "another content type" 400 'j["error"]["detail"]' 'Unsupported Content-Type' http -H 'content-type: text/plain' --data-binary x "$API/repos"
  says "create by a form" 200 'j["repository"]["name"]' 'form' http -F 'new_repo={"namespace":"t","name":"form"}' -F 'file[]=@form.txt;filename=d/form.txt' "$API/repos"
  equals "its files are in the first commit" 'd/form.txt' "$(cd . && stagefs ls t/form d | sed 's,.* ,d/,' | head -n 1)"
  says "a form with a bad path makes nothing" 400 'j["status"]' error http -F 'new_repo={"namespace":"t","name":"bad"}' -F 'file[]=@form.txt;filename=../x' "$API/repos"
  says "so it is not there" 404 'j["status_description"]' "Repository 't/bad' not found" http "$API/repos/t/bad"
  says "get" 200 '[j["repository"][key] for key in ("namespace", "name", "is_empty", "min_version", "storage_kind")]' \
    '["t", "r", false, "0.36.0", "local"]' http "$R"
  says "an unknown repository" 404 "$PLAIN" '["error", "resource_not_found", "Repository '"'t/none'"' not found"]' http "$API/repos/t/none/branches"
  says "namespaces" 200 'j["namespaces"]' '[{"namespace": "t"}]' http "$API/namespaces"
  says "a namespace" 200 'j["namespace"]["namespace"]' t http "$API/namespaces/t"
  says "an unknown namespace" 404 'j["status_description"]' "Namespace 'none' not found" http "$API/namespaces/none"
  says "an action" 200 'j' '{"action": "push_workspace", "status": "success", "state": "started"}' method POST "$R/action/started/push_workspace"
  says "delete" 200 'j["status_message"]' resource_deleted method DELETE "$API/repos/t/form"
  says "deleted" 404 'j["status"]' error http "$API/repos/t/form"
}
test_tags() {
  repository more.txt
  HEAD=$(stagefs log t/r | head -n 1 | cut -c1-32)
  says "none" 200 '[j["status_message"], j["tags"]]' '["resource_found", []]' http "$R/tags"
  says "a tag of a branch's head" 200 '[j["status_message"], j["tag"]["name"], j["tag"]["message"], j["tag"]["author"], j["tag"]["email"]]' \
    '["resource_created", "v1.0/a", "As trained on", "Ann", "ann@example.com"]' \
    post '{"new_name":"v1.0/a","from_name":"main","message":"As trained on","author":"Ann","email":"ann@example.com"}' "$R/tags"
  says "the same again" 200 '[j["status_message"], j["tag"]["author"]]' '["resource_found", "Ann"]' post '{"new_name":"v1.0/a","from_name":"main"}' "$R/tags"
  says "of a commit" 200 '[j["tag"]["commit_id"], j["tag"]["author"], j["tag"]["message"]]' "[\"$FIRST\", \"Oxen\", \"\"]" post "{\"new_name\":\"first\",\"commit_id\":\"$FIRST\"}" "$R/tags"
  says "a list" 200 '[[tag["name"], tag["commit_id"]] for tag in j["tags"]]' "[[\"first\", \"$FIRST\"], [\"v1.0/a\", \"$HEAD\"]]" http "$R/tags"
  says "one" 200 '[j["status_message"], j["tag"]["commit_id"], sorted(j["tag"])]' "[\"resource_found\", \"$HEAD\", [\"author\", \"commit_id\", \"email\", \"message\", \"name\", \"timestamp\"]]" http "$R/tags/v1.0/a"
  says "as the command line has it" 200 'j["tag"]["name"]' first http "$R/tags/$(stagefs tag list t/r | head -n 1 | cut -d' ' -f1)"
  says "it is a revision" 200 'j["resource"]["commit"]["id"]' "$FIRST" http "$R/revisions/first"
  says "tags never move" 409 '[j["error"]["type"], j["error"]["title"]]' '["resource_already_exists", "Tag exists"]' post "{\"new_name\":\"first\",\"from_name\":\"main\"}" "$R/tags"
  says "nor take a branch's name" 409 'j["error"]["detail"]' 'a branch is called main' post "{\"new_name\":\"main\",\"from_name\":\"main\"}" "$R/tags"
  says "from nothing" 400 'j["error"]["detail"]' 'send from_name or commit_id' post '{"new_name":"z"}' "$R/tags"
  says "of no branch" 404 'j["error"]["title"]' 'Branch does not exist' post '{"new_name":"z","from_name":"none"}' "$R/tags"
  says "a name that is none" 400 'j["error"]["title"]' 'Request refused' post '{"new_name":"a..b","from_name":"main"}' "$R/tags"
  says "a message that is no text" 400 'j["status"]' error post '{"new_name":"z","from_name":"main","message":7}' "$R/tags"
  says "an unknown tag" 404 'j["error"]["detail"]' "Could not find tag: Tag 'none' not found" http "$R/tags/none"
  says "a branch is none" 404 'j["error"]["title"]' 'Tag does not exist' http "$R/tags/main"
  says "delete one" 200 '[j["status_message"], j["tag"]["name"]]' '["resource_deleted", "v1.0/a"]' method DELETE "$R/tags/v1.0/a"
  says "so it is gone" 404 'j["error"]["title"]' 'Tag does not exist' method DELETE "$R/tags/v1.0/a"
  equals "the other one stays" "first" "$(stagefs tag list t/r | cut -d' ' -f1)"
}
test_manifests_of_trees() {
  workspace d/one.txt d/e/two.txt
  printf '#!/bin/sh\n' > run
  printf '[{"hash":"%s","path":"x/run","executable":true,"mtime":5},{"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","path_base64":"/ywiCg=="}]' "$(stagefs put t/r run | cut -d' ' -f1)" | stagefs stage t/r:"my name" - > /dev/null
  while read -r format type; do
    for target in main main/d main/d/one.txt workspace-1 "my%20name/x"; do
      got=$(http -D headers "$R/manifest/$target?format=$format")
      mv body "body.$format"
      of=$(printf '%b' "${target//%/\\x}") path=
      case $of in
        main*) path=${of#main} name=t/r@main ;;
        workspace-1*) name=t/r:workspace-1 ;;
        *) path=${of#my name} name="t/r:my name" ;;
      esac
      stagefs manifest "$name" "${path#/}" --format "$format" > wanted 2> /dev/null
      equals "$target as $format: status and type" "200 $type" "$got $(header content-type)"
      check "what the command writes" cmp "body.$format" wanted
    done
  done <<'END'
sum text/plain
ndjson application/x-ndjson
json application/json
csv text/csv
tsv text/tab-separated-values
END
  http "$R/manifest/main" > code && check "sums are the default" sh -c '"$STAGEFS_BINARY" manifest t/r@main | cmp - body'
  http "$R/manifest/main?hash=xxh3" > code && check "by the other hash" sh -c '"$STAGEFS_BINARY" manifest t/r@main --hash xxh3 | cmp - body'
  says "no such format" 400 'j["error"]["detail"]' "format xml: use sum, ndjson, json, csv or tsv" http "$R/manifest/main?format=xml"
  says "no such hash" 400 'j["error"]["detail"]' "hash md5: use sha256 or xxh3" http "$R/manifest/main?hash=md5"
  says "no such path" 404 'j["status"]' error http "$R/manifest/main/none"
  says "no such revision" 404 'j["status"]' error http "$R/manifest/none"
  http "$R/manifest/workspace-1?format=ndjson" > code
  stagefs workspace create t/r:copy > /dev/null && stagefs stage t/r:copy body > /dev/null
  stagefs manifest t/r:copy --format ndjson > copy
  check "what is sent gives the same tree elsewhere" cmp body copy
}
test_a_long_manifest() {
  workspace
  python3 - <<'PY' | stagefs stage t/r:workspace-1 - > /dev/null
empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
for folder in range(3):
    for file in range(5000):
        print(f"{empty}  many/{folder}/{file:05}/x")
for file in range(3000):
    print(f"{empty}  many/1/{file:05}.txt")
PY
  stagefs manifest t/r:workspace-1 --format json > wanted
  http "$R/manifest/workspace-1?format=json" > code
  check "comes in pieces, and whole" cmp body wanted
  equals "every file" 18001 "$(grep -c '"hash"' body)"
  http --limit-rate 20k -m 2 "$R/manifest/workspace-1" > code 2> /dev/null
  says "a client that goes before its end leaves the server as it was" 200 'j["status"]' success http "$R/tags"
  stagefs stage t/r:workspace-1 wanted > out
  equals "nobody holds the index meanwhile" 0 $?
}
test_branches_commits_revisions() {
  repository
  says "a branch from a branch" 200 '[j["status_message"], j["branch"]["name"]]' '["resource_created", "feature/x"]' post '{"new_name":"feature/x","from_name":"main"}' "$R/branches"
  says "the same again" 200 'j["status_message"]' resource_found post '{"new_name":"feature/x","from_name":"main"}' "$R/branches"
  says "a branch from a commit, without a content type" 200 'j["branch"]["commit_id"]' "$FIRST" http -H 'content-type:' --data-binary "{\"new_name\":\"y\",\"commit_id\":\"$FIRST\"}" "$R/branches"
  says "from nothing" 400 'j["error"]["detail"]' 'send from_name or commit_id' post '{"new_name":"z"}' "$R/branches"
  says "from an unknown branch" 404 "$REFUSAL" \
    '["resource_not_found", "Branch does not exist", "Could not find branch: Branch '"'none'"' not found", "error", "resource_not_found"]' post '{"new_name":"z","from_name":"none"}' "$R/branches"
  says "a branch name that is none" 400 'j["error"]["title"]' 'Request refused' post '{"new_name":"a..b","from_name":"main"}' "$R/branches"
  says "a list" 200 '[branch["name"] for branch in j["branches"]]' '["feature/x", "main", "y"]' http "$R/branches"
  says "an unknown branch" 404 'j["error"]["detail"]' "Could not find branch: Branch 'none' not found" http "$R/branches/none"
  says "a revision" 200 '[j["resource"]["branch"]["name"], j["resource"]["path"], j["resource"]["resource"]]' '["feature/x", "a/b", "feature/x/a/b"]' http "$R/revisions/feature/x/a/b"
  says "an unknown revision" 404 '[j["error"]["title"], j["error"]["detail"]]' '["Path does not exist", "Could not find path: none"]' http "$R/revisions/none"
  says "a commit" 200 '[j["commit"]["id"], j["commit"]["parent_ids"]]' "[\"$FIRST\", []]" http "$R/commits/$FIRST"
  says "an unknown commit" 404 "$PLAIN" '["error", "resource_not_found", null]' http "$R/commits/none"
  says "complete" 200 'j["status_message"]' resource_created method POST "$R/commits/$FIRST/complete"
}
test_uploads_that_commit() {
  repository
  says "put a file" 200 '[j["status_message"], j["commit"]["message"], j["commit"]["author"]]' '["resource_created", "by form", "Ann"]' \
    method PUT -F 'files[]=@form.txt;filename=one.txt' -F message='by form' -F name=Ann -F email=ann@example.org "$R/file/main/data"
  says "put one as the whole path" 200 'j["commit"]["message"]' 'Auto-commit files to data/two.csv' method PUT -F 'file=@form.txt' "$R/file/main/data/two.csv"
  says "put one into a folder" 200 'j["status"]' success method PUT -F 'file=@form.txt;filename=three.txt' "$R/file/main/data"
  says "put nothing new" 422 "$REFUSAL" '["no_changes", "No changes to commit", "the branch has this content at this path already", "error", "conflict"]' method PUT -F 'files[]=@form.txt;filename=one.txt' "$R/file/main/data"
  says "put both kinds" 400 'j["error"]["type"]' bad_request method PUT -F 'files[]=@form.txt' -F 'file=@form.txt' "$R/file/main/data"
  says "put no file" 400 'j["error"]["detail"]' 'no file: send `file` or `files[]`' method PUT -F message=x "$R/file/main/data"
  says "put beneath a file" 400 'j["status"]' error method PUT -F 'files[]=@form.txt' "$R/file/main/data/one.txt"
  says "put .. " 400 'j["status"]' error method PUT -F 'files[]=@form.txt;filename=../x' "$R/file/main/data"
  says "put to an unknown branch" 404 'j["error"]["title"]' 'Branch does not exist' method PUT -F 'files[]=@form.txt' "$R/file/none/data"
}
test_pages_of_a_wide_folder() {
  repository
  python3 -c '
import hashlib
version = hashlib.sha256(b"form\n").hexdigest()
for i in range(2300): print(f"{version}  wide/{i:04}")
for i in range(0, 2300, 2): print(f"{version}  wide/{i:04}-folder/file")' > sums
  stagefs put t/r form.txt > put && stagefs workspace create t/r:wide > put && stagefs stage t/r:wide sums > put
  stagefs commit t/r:wide -m wide > put
  for page in $(seq 11); do
    http "$R/dir/main/wide?page=$page&page_size=333" > code
    python3 -c 'import json; j = json.load(open("body"))
for e in j["entries"]: print(e["filename"])' >> listed
  done
  (seq -f %04g-folder 0 2 2299 && seq -f %04g 0 2299) > expected
  check "each page of a wide folder follows the one before, folders first" diff expected listed
  says "beyond the end there is nothing" 200 '[len(j["entries"]), j["total_entries"], j["total_pages"]]' '[0, 3450, 11]' \
    http "$R/dir/main/wide?page=12&page_size=333"
}
test_what_is_read_of_commits() {
  repository
  method PUT -F 'files[]=@form.txt;filename=one.txt' -F message='by form' -F name=Ann -F email=ann@example.org "$R/file/main/data" > code
  on_branch main data/two.csv
  on_branch main data/three.txt
  HEAD=$(stagefs log t/r | head -n 1 | cut -c1-32)
  says "a folder" 200 '[[e["filename"] for e in j["entries"]], j["total_entries"], j["dir"]["is_dir"], j["metadata"]["dir"]["data_types"]]' \
    '[["one.txt", "three.txt", "two.csv"], 3, true, [{"data_type": "tabular", "count": 1}, {"data_type": "text", "count": 2}]]' http "$R/dir/main/data"
  says "a page of it" 200 '[[e["filename"] for e in j["entries"]], j["total_pages"]]' '[["three.txt"], 3]' http "$R/dir/main/data?page=2&page_size=1"
  says "folders come first" 200 '[e["filename"] for e in j["entries"]]' '["data", "README.md"]' http "$R/dir/main/"
  says "the first page of several, with a folder" 200 '[e["filename"] for e in j["entries"]]' '["README.md"]' http "$R/dir/main?page=2&page_size=1"
  says "a folder that is not there" 404 'j["error"]["detail"]' 'Could not find path: main/none' http "$R/dir/main/none"
  says "an entry" 200 '[j["entry"][key] for key in ("filename", "hash", "size", "data_type", "mime_type", "extension", "is_dir")] + [j["entry"]["resource"]["path"]]' \
    "[\"two.csv\", \"$(xxh128sum form.txt 2>/dev/null | sed 's/^0*//' | cut -d' ' -f1)\", 5, \"tabular\", \"text/csv\", \"csv\", false, \"data/two.csv\"]" http "$R/meta/main/data/two.csv"
  says "its last commit" 200 'j["entry"]["latest_commit"]["message"]' 'Auto-commit files to data/two.csv' http "$R/meta/$HEAD/data/two.csv"
  says "history" 200 '[[c["message"] for c in j["commits"]], j["has_more"], j["total_entries"]]' '[["by form"], false, 1]' http "$R/commits/history/main/data/one.txt"
  says "history in pages" 200 '[len(j["commits"]), j["has_more"], j["total_pages"]]' '[1, true, 4]' http "$R/commits/history/main?page=1&page_size=1"
  says "history of nothing" 404 'j["error"]["title"]' 'Revision not found' http "$R/commits/history/none"
  says "a page size of none" 400 'j["error"]["detail"]' 'page counts from 1 and page_size from 1 to 10000' http "$R/commits/history/main?page_size=0"
}
test_ranges_and_chunks() {
  repository
  seq 1000 > numbers && cp numbers whole
  method PUT -F 'file=@numbers' "$R/file/main/numbers.txt" > /dev/null
  equals "a file" 200 "$(http -D headers "$R/file/main/numbers.txt")"
  check "its bytes" cmp body whole
  TAG=$(header etag)
  equals "its headers" "text/plain bytes $(stat -c %s whole) content-length" "$(header content-type) $(header accept-ranges) $(header content-length) $(header access-control-expose-headers)"
  range() { http -D headers -H "range: bytes=$1" "$R/file/main/numbers.txt"; }
  equals "the first bytes" "206 bytes 0-9/$(stat -c %s whole)" "$(range 0-9) $(header content-range)"
  check "are right" cmp body <(head -c 10 whole)
  equals "the last bytes" 206 "$(range -7)"
  check "are right, too" cmp body <(tail -c 7 whole)
  equals "from the middle on" 206 "$(range 3000-)"
  check "right again" cmp body <(tail -c +3001 whole)
  equals "beyond the end" "416 bytes */$(stat -c %s whole)" "$(range 999999-) $(header content-range)"
  equals "several ranges are the whole" 200 "$(range 0-1,5-6)"
  equals "a range that is none is the whole" 200 "$(range x-y)"
  equals "If-Range of another version" 200 "$(http -H 'range: bytes=0-1' -H 'if-range: "other"' "$R/file/main/numbers.txt")"
  equals "If-Range of this one" 206 "$(http -H 'range: bytes=0-1' -H "if-range: $TAG" "$R/file/main/numbers.txt")"
  equals "what the client has already" 304 "$(rm body && http -H "if-none-match: $TAG" "$R/file/main/numbers.txt")"
  equals "HEAD" "200 $(stat -c %s whole)" "$(curl -sS -m 30 -I -H "authorization: Bearer $TOKEN" "$R/file/main/numbers.txt" | tr -d '\r' | awk '/^HTTP/{c=$2} tolower($1)=="content-length:"{l=$2} END{print c, l}')"
  equals "a chunk" 200 "$(http "$R/chunk/main/numbers.txt?chunk_start=5&chunk_size=10")"
  check "its bytes" cmp body <(tail -c +6 whole | head -c 10)
  equals "a chunk beyond the end is empty" "200 0" "$(http "$R/chunk/main/numbers.txt?chunk_start=99999") $(stat -c %s body)"
  says "a chunk from nowhere" 400 'j["error"]["detail"]' 'chunk_start and chunk_size are whole numbers from 0' http "$R/chunk/main/numbers.txt?chunk_start=-1"
}
test_what_is_no_file() {
  repository data/one.txt numbers.txt
  says "a file that is not there" 404 '[j["error"]["title"], j["error"]["detail"]]' '["Path does not exist", "Could not find path: main/none"]' http "$R/file/main/none"
  says "a folder is no file" 404 'j["status"]' error http "$R/file/main/data"
  says "a resized image is not served" 501 'j["error"]["type"]' not_implemented http "$R/file/main/numbers.txt?width=10"
}
# Clients know none: one that leads to a file of the tree is that file, any other is left out, and named.
test_symbolic_links() {
  repository data/one.txt
  stagefs workspace create t/r:w > put
  W=$R/workspaces/w
  says "a manifest has them" 200 '[j["status"], j["err_files"]]' '["success", []]' \
    post '[{"path":"a","target":"../data/one.txt"},{"path":"b","target":"nothing"},{"path":"c","target":"../data"}]' "$W/files/batch/links"
  says "what is staged" 200 '[[e["filename"], e["size"], e["hash"]] for e in j["staged"]["added_files"]["entries"]]' \
    "[[\"links/a\", 5, \"$(short_xxh3 form.txt)\"], [\"links/b\", 7, \"\"], [\"links/c\", 7, \"\"]]" http "$W/changes"
  for at in w main; do
    says "a listing of $at shows that file" 200 '[[e["filename"], e["size"], e["hash"]] for e in j["entries"]]' "[[\"a\", 5, \"$(short_xxh3 form.txt)\"]]" http "$R/dir/$at/links"
    says "and names those that lead to none" 200 '[[l["path"], l["why"]] for l in j["left_out_links"]]' \
      '[["links/b", "it leads to nothing"], ["links/c", "it leads to a folder"]]' http "$R/dir/$at/links"
    equals "its bytes" "200 form" "$(http "$R/file/$at/links/a") $(cat body)"
    equals "none of the others" 404 "$(http "$R/file/$at/links/b")"
    equals "a zip" "200 form 1" "$(http "$R/export/download/$at/links") $(python3 -c 'import zipfile; z = zipfile.ZipFile("body"); print(z.read("a").decode().strip(), len(z.namelist()))')"
    stagefs commit t/r:w -m links > put
  done
  equals "the workspace's file" "200 form" "$(http "$W/files/links/a") $(cat body)"
  printf '[{"path":"links/a","target":"../README.md"}]' | stagefs stage t/r:w - > put && stagefs commit t/r:w -m other > put
  says "compared, it is the file that it leads to now" 200 '[[e["filename"], e["status"], e["base_entry"]["size"], e["head_entry"]["size"]] for e in j["compare"]["entries"] if not e["is_dir"]]' \
    '[["links/a", "modified", 5, 3]]' http "$R/compare/entries/main~1..main"
  equals "of a commit with others, too" 200 "$(http "$R/compare/entries/main~2..main")"
}
test_a_folder_as_zip() {
  repository data/one.txt data/two.csv data/three.txt
  equals "a folder as zip" 200 "$(http "$R/export/download/main/data")"
  equals "holds its files" "form 3" "$(python3 -c 'import zipfile; z = zipfile.ZipFile("body"); print(z.read("one.txt").decode().strip(), len(z.namelist()))')"
}
test_moving_and_deleting_files() {
  repository data/one.txt data/two.csv numbers.txt
  says "move" 200 '[j["status_message"], j["commit"]["message"]]' '["resource_updated", "moved"]' method PATCH -H 'content-type:' --data-binary '{"new_path":"moved/one.txt","message":"moved"}' "$R/file/main/data/one.txt"
  says "move onto something" 400 "$PLAIN" '["error", "new_path already exists in the repository", null]' method PATCH --data-binary '{"new_path":"numbers.txt"}' "$R/file/main/moved/one.txt"
  says "move to nowhere" 400 "$PLAIN" '["error", "new_path cannot be empty", null]' method PATCH --data-binary '{"new_path":""}' "$R/file/main/moved/one.txt"
  says "move what is not there" 404 'j["status"]' error method PATCH --data-binary '{"new_path":"x"}' "$R/file/main/none"
  says "delete a file" 200 '[j["status_message"], j["commit"]["message"]]' '["resource_deleted", "gone"]' method DELETE -F message=gone -F name=Ann -F email=a@b "$R/file/main/moved/one.txt"
  says "delete a folder" 200 'j["commit"]["message"]' "Removed 'data'" method DELETE "$R/file/main/data"
  says "delete what is not there" 404 'j["status"]' error method DELETE "$R/file/main/data"
  says "delete the whole tree" 400 'j["status"]' error method DELETE "$R/file/main"
  equals "what is left" "README.md numbers.txt" "$(stagefs ls t/r | awk '{print $NF}' | xargs)"
}
test_merges() {
  repository
  post '{"new_name":"feature/x","from_name":"main"}' "$R/branches" > code
  post '{"new_name":"y","from_name":"main"}' "$R/branches" > code
  seq 1000 > numbers && method PUT -F 'file=@numbers' "$R/file/main/numbers.txt" > code
  method PUT -F 'file=@form.txt' "$R/file/feature/x/theirs.txt" > /dev/null
  says "mergeable" 200 '[j["is_mergeable"], j["conflicts"], len(j["commits"])]' '[true, [], 1]' http "$R/merge/main..feature/x"
  says "merge" 200 '[len(j["commits"]["merge"]["parent_ids"]), j["commits"]["merge"]["author"]]' '[2, "Ann"]' post '{"name":"Ann","email":"ann@example.org"}' "$R/merge/main..feature/x"
  method PUT -F 'file=@form.txt' "$R/file/y/numbers.txt" > /dev/null
  says "not mergeable" 200 '[j["is_mergeable"], j["conflicts"]]' '[false, [{"path": "numbers.txt"}]]' http "$R/merge/main..y"
  says "a merge conflict" 409 '[j["error"]["type"], j["error"]["title"], j["status_message"], "numbers.txt" in j["error"]["detail"]]' '["conflict", "Merge conflict", "conflict", true]' method POST "$R/merge/main..y"
  says "merge into nothing" 404 'j["error"]["title"]' 'Branch does not exist' method POST "$R/merge/none..y"
  says "merge nothing" 404 'j["error"]["title"]' 'Revision not found' method POST "$R/merge/main..none"
  says "a merge without dots" 400 'j["error"]["detail"]' 'write BASE..HEAD' http "$R/merge/main"
  says "move a branch" 200 'j["branch"]["commit_id"]' "$FIRST" method PUT --data-binary "{\"commit_id\":\"$FIRST\"}" "$R/branches/y"
  says "delete a branch" 200 '[j["status_message"], j["branch"]["name"]]' '["resource_deleted", "y"]' method DELETE "$R/branches/y"
}
# What differs, in short; folders with a slash.
DIFFERS='[[e["status"], e["filename"] + ("/" if e["is_dir"] else "")] for e in j["compare"]["entries"]]'
test_comparisons() {
  repository keep.txt d/one.txt d/moves.txt d/e/two.txt
  START=$(stagefs log t/r | head -n 1 | cut -c1-32)
  post '{"new_name":"v1/dir/x","from_name":"main"}' "$R/tags" > code
  post '{"new_name":"feature/dir/x","from_name":"main"}' "$R/branches" > code
  echo other > other.txt
  method PUT -F 'file=@other.txt;filename=one.txt' "$R/file/feature/dir/x/d" > code
  method PATCH --data-binary '{"new_path":"new/er/moved.txt","message":"move"}' -H 'content-type: application/json' "$R/file/feature/dir/x/d/moves.txt" > code
  method DELETE "$R/file/feature/dir/x/d/e/two.txt" > code
  on_branch feature/dir/x d/table.csv
  HEAD=$(stagefs log t/r@feature/dir/x | head -n 1 | cut -c1-32)
  on_branch main on-main.txt
  C=$R/compare
  ALL='[["modified", "d/"], ["removed", "d/e/"], ["added", "new/"], ["added", "new/er/"], ["removed", "d/e/two.txt"], ["removed", "d/moves.txt"], ["modified", "d/one.txt"], ["added", "d/table.csv"], ["added", "new/er/moved.txt"]]'

  says "commits" 200 '[[[c["message"], c["side"]] for c in j["compare"]["commits"]], j["compare"]["base_commit"]["id"], j["compare"]["head_commit"]["id"], j["total_entries"], j["page_number"]]' \
    "[[[\"Auto-commit files to d/table.csv\", \"head\"], [\"Removed 'd/e/two.txt'\", \"head\"], [\"move\", \"head\"], [\"Auto-commit files to d\", \"head\"]], \"$START\", \"$HEAD\", 4, 1]" \
    http "$C/commits/v1/dir/x..feature/dir/x"
  says "commits in pages" 200 '[[c["message"] for c in j["compare"]["commits"]], j["total_entries"], j["total_pages"], j["page_size"]]' '[["move"], 4, 4, 1]' http "$C/commits/v1/dir/x..feature/dir/x?page=3&page_size=1"
  says "commits that are the base's" 200 '[c["message"] for c in j["compare"]["commits"]]' '["Auto-commit files to on-main.txt"]' http "$C/commits/feature/dir/x..main"
  says "commits of both sides" 200 '[[c["side"] for c in j["compare"]["commits"]], j["compare"]["base_commit"]["message"]]' '[["base", "head", "head", "head", "head"], "Auto-commit files to on-main.txt"]' http "$C/commits/main...feature/dir/x"
  says "commits of one and the same" 200 '[j["compare"]["commits"], j["total_entries"], j["total_pages"]]' '[[], 0, 1]' http "$C/commits/main..main"

  says "entries" 200 "$DIFFERS" "$ALL" http "$C/entries/v1/dir/x..feature/dir/x"
  says "counts are of files" 200 '[j["compare"]["counts"], j["total_entries"], j["total_pages"], j["compare"]["base_commit"]["id"], j["compare"]["head_commit"]["id"]]' \
    "[{\"added\": 2, \"removed\": 2, \"modified\": 1}, 9, 1, \"$START\", \"$HEAD\"]" http "$C/entries/$START..$HEAD"
  says "and the folder's" 200 '[j["compare"]["self"][key] for key in ("status", "filename", "is_dir", "data_type", "diff_summary", "diff")] + [j["compare"]["self"]["head_entry"]["is_dir"]]' \
    '["modified", "", true, "dir", {"dir": {"file_counts": {"added": 2, "removed": 2, "modified": 1}}}, null, true]' http "$C/entries/$START..$HEAD"
  says "of each folder, too" 200 '[list(e["diff_summary"]["dir"]["file_counts"].values()) for e in j["compare"]["entries"] if e["is_dir"]]' '[[1, 2, 1], [0, 1, 0], [1, 0, 0], [1, 0, 0]]' http "$C/entries/$START..$HEAD"
  for size in 1 2 4 5; do
    got=
    for page in $(seq $(((9 + size - 1) / size))); do
      http "$C/entries/$START..$HEAD?page=$page&page_size=$size" > code
      got+=$(python3 -c "import json; j = json.load(open('body')); print(*(e['filename'] for e in j['compare']['entries']), sep='\n')")$'\n'
    done
    equals "in pages of $size" "$(python3 -c 'import json, sys; print(*(path.rstrip("/") for _, path in json.loads(sys.argv[1])), sep="\n")' "$ALL")"$'\n' "$got"
  done
  says "beyond the end there is nothing" 200 '[j["compare"]["entries"], j["total_entries"], j["page_number"], j["compare"]["counts"]["added"]]' '[[], 9, 4, 2]' http "$C/entries/$START..$HEAD?page=4&page_size=4"
  says "two dots take the base as it is" 200 '[e["filename"] for e in j["compare"]["entries"] if e["status"] == "removed" and not e["is_dir"]]' '["d/e/two.txt", "d/moves.txt", "on-main.txt"]' http "$C/entries/main..feature/dir/x"
  says "three what both descend from" 200 "[$DIFFERS == $ALL, j['compare']['base_commit']['id']]" "[true, \"$START\"]" http "$C/entries/main...feature/dir/x"
  says "steps from a name" 200 "$DIFFERS" '[["added", "on-main.txt"]]' http "$C/entries/main~1..main"
  says "the reverse" 200 "$DIFFERS" '[["removed", "on-main.txt"]]' http "$C/entries/main..refs:v1/dir/x"
  says "nothing differs" 200 '[j["compare"]["entries"], j["compare"]["self"], j["compare"]["counts"], j["total_entries"], j["total_pages"]]' '[[], null, {"added": 0, "removed": 0, "modified": 0}, 0, 1]' http "$C/entries/main..main"
  ONE='next(e for e in j["compare"]["entries"] if e["filename"] == "d/one.txt")'
  says "an entry is both its sides" 200 "[[${ONE}[side + '_entry']['hash'], ${ONE}[side + '_entry']['filename'], ${ONE}[side + '_entry']['latest_commit']['message'], ${ONE}[side + '_resource']['resource']] for side in ('base', 'head')] + [${ONE}['size'], ${ONE}['data_type'], ${ONE}['diff_summary']]" \
    "[[\"$(short_xxh3 form.txt)\", \"one.txt\", \"Auto-commit files to d/one.txt\", \"$START/d/one.txt\"], [\"$(short_xxh3 other.txt)\", \"one.txt\", \"Auto-commit files to d\", \"$HEAD/d/one.txt\"], 6, \"text\", null]" \
    http "$C/entries/$START..$HEAD"
  says "of which one may be missing" 200 '[[e["base_entry"] is None, e["base_resource"] is None, e["head_entry"] is None, e["head_resource"] is None, e["size"]] for e in j["compare"]["entries"] if e["filename"] in ("d/e/two.txt", "d/table.csv", "new")]' \
    '[[true, true, false, false, 0], [false, false, true, true, 5], [true, true, false, false, 5]]' http "$C/entries/$START..$HEAD"
  equals "an entry's resource is what GET …/file takes" 200 "$(http "$R/file/$START/d/one.txt")"

  says "entries of a folder" 200 "[$DIFFERS, j['compare']['self']['filename'], j['compare']['self']['status'], j['compare']['counts']]" \
    '[[["removed", "d/e/"], ["removed", "d/e/two.txt"], ["removed", "d/moves.txt"], ["modified", "d/one.txt"], ["added", "d/table.csv"]], "d", "modified", {"added": 1, "removed": 2, "modified": 1}]' \
    http "$C/entries/v1/dir/x..feature/dir/x/dir/d"
  says "of one that is new" 200 "[$DIFFERS, j['compare']['self']['status'], j['compare']['self']['base_entry']]" '[[["added", "new/er/moved.txt"]], "added", null]' http "$C/entries/v1/dir/x..feature/dir/x/dir/new/er"
  says "of one that is gone" 200 "[$DIFFERS, j['compare']['self']['status'], j['compare']['self']['head_entry']]" '[[["removed", "d/e/two.txt"]], "removed", null]' http "$C/entries/v1/dir/x..feature/dir/x/dir/d/e"
  says "of the root" 200 "$DIFFERS == $ALL" true http "$C/entries/v1/dir/x..feature/dir/x/dir/"
  says "of one that does not differ" 200 '[j["compare"]["entries"], j["compare"]["self"]]' '[[], null]' http "$C/entries/main~1..main/dir/d"
  says "of one that is not there" 404 'j["error"]["detail"]' 'Could not find path: none' http "$C/entries/main~1..main/dir/none"
  says "of a file" 404 'j["error"]["detail"]' 'Could not find path: keep.txt' http "$C/entries/main~1..main/dir/keep.txt"
  says "of what is no path" 404 'j["error"]["title"]' 'Path does not exist' http --path-as-is "$C/entries/main~1..main/dir/a/%2e%2e/b"

  says "folders" 200 '[[d["name"], d["status"], d["num_subdirs"], d["can_display"], [[c["name"], c["status"]] for c in d["children"]]] for d in j["dirs"]]' \
    '[["d", "modified", 1, false, [["d/e", "removed"]]], ["new", "added", 1, false, [["new/er", "added"]]], ["", "modified", 2, false, [["d", "modified"], ["new", "added"]]]]' http "$C/dir_tree/main...feature/dir/x"
  says "the root alone" 200 '[[d["name"], d["status"], d["num_subdirs"], d["children"]] for d in j["dirs"]]' '[["", "modified", 0, []]]' http "$C/dir_tree/main~1..main"
  says "no folder" 200 'j' '{"status": "success", "status_message": "resource_found", "oxen_version": "0.50.0", "dirs": []}' http "$C/dir_tree/main..main"

  says "a file" 200 '[j["compare"]["status"], j["compare"]["filename"], j["compare"]["diff"]]' \
    '["modified", "d/one.txt", {"lines": [{"modification": "Removed", "text": "form"}, {"modification": "Added", "text": "other"}, {"modification": "Unchanged", "text": ""}], "filename1": "one.txt", "filename2": "one.txt"}]' \
    http "$C/file/v1/dir/x..feature/dir/x/d/one.txt"
  says "that is new" 200 '[j["compare"]["status"], j["compare"]["base_entry"], [l["modification"] for l in j["compare"]["diff"]["lines"]], j["compare"]["diff"]["filename1"], j["compare"]["diff"]["filename2"]]' \
    '["added", null, ["Added", "Unchanged"], null, "moved.txt"]' http "$C/file/main...feature/dir/x/new/er/moved.txt"
  says "that is gone" 200 '[j["compare"]["status"], j["compare"]["head_entry"], [l["modification"] for l in j["compare"]["diff"]["lines"]]]' '["removed", null, ["Removed", "Unchanged"]]' http "$C/file/main..feature/dir/x/on-main.txt"
  says "that is the same" 200 '[j["compare"]["status"], j["compare"]["base_entry"]["hash"] == j["compare"]["head_entry"]["hash"], j["compare"]["diff"]["lines"]]' '["modified", true, []]' http "$C/file/main~1..main/keep.txt"
  says "a table has no lines" 200 '[j["compare"]["status"], j["compare"]["data_type"], j["compare"]["diff"], j["compare"]["diff_summary"]]' '["added", "tabular", null, null]' http "$C/file/main..feature/dir/x/d/table.csv"
  says "a folder is no file" 404 'j["error"]["detail"]' 'Could not find path: d' http "$C/file/main..feature/dir/x/d"
  says "nor is what is not there" 404 'j["error"]["detail"]' 'Could not find path: d/none' http "$C/file/main..feature/dir/x/d/none"
  says "nor the root" 404 'j["error"]["title"]' 'Path does not exist' http "$C/file/main..feature/dir/x"
  printf 'a\0b' > nul.txt && method PUT -F 'file=@nul.txt' "$R/file/main/nul.txt" > code
  says "nor are bytes that are no text lines" 200 '[j["compare"]["data_type"], j["compare"]["diff"]]' '["text", null]' http "$C/file/main~1..main/nul.txt"

  for route in commits dir_tree entries file; do
    says "$route: an unknown head" 404 '[j["error"]["title"], "none" in j["error"]["detail"]]' '["Revision not found", true]' http "$C/$route/main..none"
    says "$route: an unknown base" 404 '[j["error"]["title"], j["error"]["detail"]]' '["Revision not found", "Could not find branch or commit: none"]' http "$C/$route/none..main"
    says "$route: no dots" 400 'j["error"]["detail"]' 'write BASE..HEAD or BASE...HEAD' http "$C/$route/main"
    says "$route: no head" 400 'j["error"]["detail"]' 'write BASE..HEAD or BASE...HEAD' http "$C/$route/main.."
    says "$route: no base" 400 'j["error"]["detail"]' 'write BASE..HEAD or BASE...HEAD' http "$C/$route/..main"
    says "$route: another method" 405 'j["status"]' error method POST "$C/$route/main..main"
  done
  method PUT --data-binary '{"workspace_id":"workspace-1","branch_name":"main"}' "$R/workspaces" > code
  says "a workspace is no commit" 404 'j["error"]["title"]' 'Revision not found' http "$C/file/main..workspace-1/keep.txt"
  says "another comparison" 404 'j["status_message"]' resource_not_found http "$C/schemas/main..main"
  for call in "POST $C/data_frames" "GET $C/data_frames/id/diff/main..main" "PUT $C/data_frames/id" "DELETE $C/data_frames/id"; do
    says "of tables: ${call%% *} ${call#*/api/repos/t/r}" 501 'j["error"]["type"]' not_implemented method "${call%% *}" "${call#* }"
  done
}
test_workspaces() {
  repository
  says "create a workspace" 200 '[j["status_message"], j["workspace"]["id"], j["workspace"]["name"]]' '["resource_created", "workspace-1", "my name"]' \
    method PUT --data-binary '{"workspace_id":"workspace-1","branch_name":"main","name":"my name","resource_path":"/","entity_type":"user","force":true}' "$R/workspaces"
  says "the same name is the same workspace" 200 '[j["status_message"], j["workspace"]["id"]]' '["resource_found", "workspace-1"]' \
    method PUT --data-binary '{"workspace_id":"workspace-2","branch_name":"main","name":"my name"}' "$R/workspaces"
  says "so is the same id" 200 'j["status_message"]' resource_found method POST --data-binary '{"workspace_id":"workspace-1","branch_name":"main"}' "$R/workspaces"
  says "JSON that is none" 400 'j["status_message"]' 'the body is not JSON' method PUT --data-binary '{' "$R/workspaces"
  says "no branch" 400 'j["status_message"]' 'missing field `branch_name`' method PUT --data-binary '{}' "$R/workspaces"
  says "an unknown branch" 400 'j["status_message"]' 'Branch not found: none. For non-empty repositories, create the branch first.' method PUT --data-binary '{"branch_name":"none"}' "$R/workspaces"
  says "list" 200 '[w["id"] for w in j["workspaces"]]' '["workspace-1"]' http "$R/workspaces"
  says "list by name" 200 'j["workspaces"]' '[]' http "$R/workspaces?name=other"
  says "get by name" 200 'j["workspace"]["id"]' workspace-1 http "$R/workspaces/my%20name"
  says "an unknown workspace" 404 "$PLAIN" '["error", "resource_not_found", "Workspace not found: none"]' http "$R/workspaces/none"
  says "validate" 200 "$PLAIN" '["success", "resource_found", null]' post '{"size":5}' "$R/workspaces/workspace-1/validate"
}
test_versions_are_what_they_say() {
  workspace
  says "no version yet" 404 "$PLAIN" '["error", "resource_not_found", null]' http "$R/versions/$X/metadata"
  says "a wrong hash" 200 '[[e["hash"], e["path"]] for e in j["err_files"]]' '[["b5e9c1ad071b3e7fc779cfaa5e523818", null]]' http -F "file[]=@hello;filename=b5e9c1ad071b3e7fc779cfaa5e523818" "$R/versions"
  says "leaves nothing" 404 'j["status"]' error http "$R/versions/$X/metadata"
  says "broken gzip" 200 'j["err_files"][0]["error"]' "Failed to store version: Failed to read request payload: gzip data is broken" http -F "file[]=@hello;filename=$X;type=application/gzip" "$R/versions"
  says "an upload" 200 'j["err_files"]' '[]' http -F "file[]=@hello.gz;filename=$X;type=application/gzip" "$R/versions"
  for spelling in $X 0$X $(echo $X | tr a-f A-F) "$S" "$(echo "$S" | tr a-f A-F)" "xxh3:$X" "sha256:$S"; do
    says "found as $spelling" 200 '[j["version"]["hash"], j["version"]["size"]]' "[\"$X\", 11]" http "$R/versions/$spelling/metadata"
    says "staged as $spelling" 200 'j["err_files"]' '[]' post "[{\"hash\":\"$spelling\",\"path\":\"by/hash.txt\"}]" "$W/versions/"
  done
  says "by SHA-256, plain" 200 'j["err_files"]' '[]' http -F "file[]=@form.txt;filename=$(sha256sum form.txt | cut -d' ' -f1)" "$R/versions"
  says "not even a hash" 200 'len(j["err_files"])' 1 http -F "file[]=@hello;filename=hello.txt" "$R/versions"
  says "no form" 400 'j["error"]["detail"]' 'send multipart/form-data' post '{}' "$R/versions"
}
test_many_versions_as_a_tar() {
  workspace
  http -F "file[]=@hello;filename=$X" "$R/versions" > code
  printf '%s\n%s\n' "$X" "$S" | gzip > hashes
  equals "many versions" 200 "$(method QUERY --data-binary @hashes "$R/versions")"
  equals "come as a tar" "hello oxen hello oxen" "$(tar -xzOf body "$X" "$S" | xargs)"
  says "one that is missing" 404 'j["error"]["missing_hashes"]' '["abcd"]' method QUERY --data-binary "abcd" "$R/versions"
}
test_uploads_in_chunks() {
  workspace
  head -c 25000 /dev/urandom > big && B=$(xxh128sum big 2>/dev/null | sed 's/^0*//' | cut -d' ' -f1)
  split -b 10000 -d big piece.
  complete() { post "{\"files\":[{\"hash\":\"$B\",\"file_name\":\"big.bin\",\"dst_dir\":\"chunks\",\"num_chunks\":$1,\"upload_results\":null}],\"workspace_id\":$2,\"update_timestamp\":false}" "$R/versions/$B/complete"; }
  says "create" 200 'j["status_message"]' resource_found post '{}' "$R/versions/$B/create"
  says "a chunk" 200 'j["status_message"]' resource_created method PUT --data-binary @piece.02 "$R/versions/$B/chunks?offset=20000"
  says "another" 200 'j["status_message"]' resource_created method PUT --data-binary @piece.00 "$R/versions/$B/chunks?offset=0"
  says "chunks are missing" 400 'j["status_message"]' 'Number of chunks does not match expected number of chunks: 2 != 3' complete 3 '"my name"'
  says "in another number than said" 400 'j["error"]["detail"]' 'pieces are missing or overlap at byte 10000' complete 2 '"my name"'
  says "an unknown workspace" 404 'j["status_message"]' 'Workspace not found: none' complete 3 '"none"'
  says "the last chunk" 200 'j["status_message"]' resource_created method PUT --data-binary @piece.01 "$R/versions/$B/chunks?offset=10000"
  says "complete" 200 'j["status_message"]' resource_found complete 3 '"my name"'
  equals "it is staged" 200 "$(http "$W/files/chunks/big.bin")"
  check "as it was" cmp body big
  says "complete again" 200 'j["status_message"]' resource_found complete 3 null
  says "several files" 400 'j["status_message"]' 'Expected a single file in the request' post '{"files":[]}' "$R/versions/$B/complete"
  says "no number of chunks" 400 'j["error"]["detail"]' 'Missing both num_chunks and upload_results in request' post '{"files":[{"hash":"aa","file_name":"x"}]}' "$R/versions/aa/complete"
  says "a body that is none" 400 'j["status_message"]' 'Invalid request body' post '[' "$R/versions/$B/complete"
  method PUT --data-binary @piece.00 "$R/versions/aa/chunks?offset=0" > /dev/null
  says "chunks of something else" 400 'j["error"]["detail"]' 'the uploaded bytes do not hash to aa' post '{"files":[{"hash":"aa","file_name":"x","num_chunks":1}]}' "$R/versions/aa/complete"
  check "leave nothing" sh -c '[ -z "$(ls "$0"/t/r/uploads)" ]' "$STAGEFS_ROOT"
}
test_uploads_in_parts() {
  workspace
  head -c 10485770 /dev/urandom > large && L=$(xxh128sum large 2>/dev/null | sed 's/^0*//' | cut -d' ' -f1)
  split -b 10485760 -d large part.
  begin() { post "{\"hash\":\"$1\",\"size\":10485770,\"destination\":{\"workspace_id\":\"my name\",\"path\":\"parts/$2\"}}" "$R/versions/uploads"; }
  says "begin" 200 '[j["file"], j["part_size"], j["num_parts"], j["part_window"]]' '["awaiting_parts", 10485760, 2, 4]' begin "$L" large.bin
  ID=$(python3 -c 'import json; print(json.load(open("body"))["upload_id"])')
  says "a part of another length" 400 'j["error"]["detail"]' 'part 2 has 10 bytes' method PUT --data-binary xyz "$R/versions/uploads/$ID/parts/2"
  says "a part that is none" 400 'j["error"]["detail"]' 'parts are numbered from 1 to 2' method PUT --data-binary xyz "$R/versions/uploads/$ID/parts/3"
  says "a part" 200 'j["completed"]' false method PUT --data-binary @part.01 "$R/versions/uploads/$ID/parts/2"
  says "the last one" 200 'j["completed"]' true method PUT --data-binary @part.00 "$R/versions/uploads/$ID/parts/1"
  says "a part too many" 404 'j["status"]' error method PUT --data-binary @part.00 "$R/versions/uploads/$ID/parts/1"
  equals "it is staged" 200 "$(http "$W/files/parts/large.bin")"
  check "as it was" cmp body large
  says "what is stored already" 200 'j["file"]' already_stored begin "$L" again.bin
  equals "is staged without a byte" 200 "$(http "$W/files/parts/again.bin")"
  says "begin with another hash" 200 'j["file"]' awaiting_parts begin b5e9c1ad071b3e7fc779cfaa5e523818 wrong.bin
  ID=$(python3 -c 'import json; print(json.load(open("body"))["upload_id"])')
  method PUT --data-binary @part.00 "$R/versions/uploads/$ID/parts/1" > /dev/null
  says "is refused at its end" 400 'j["error"]["detail"]' 'the uploaded bytes do not hash to b5e9c1ad071b3e7fc779cfaa5e523818' method PUT --data-binary @part.01 "$R/versions/uploads/$ID/parts/2"
  says "and not staged" 404 'j["status"]' error http "$W/files/parts/wrong.bin"
}
test_files_of_a_workspace() {
  workspace numbers.txt theirs.txt
  upload hello by/hash.txt
  upload form.txt chunks/big.bin
  upload form.txt parts/large.bin
  says "upload" 200 '[j["paths"], j["err_files"]]' '[["up/a.txt", "up/sub/b.txt"], []]' http -F 'file[]=@hello;filename=a.txt' -F 'file[]=@hello.gz;filename=sub/b.txt;type=application/gzip' "$W/files/up"
  says "upload into a folder called batch" 200 'j["paths"]' '["batch/x/a.txt"]' http -F 'file[]=@hello;filename=a.txt' "$W/files/batch/x"
  says "upload beneath a file" 400 'j["error"]["title"]' 'Request refused' http -F 'file[]=@hello;filename=x' "$W/files/up/a.txt"
  says "some beneath a file" 200 '[j["paths"], j["err_files"][0]["path"]]' '[["good"], "up/a.txt/x"]' http -F 'file[]=@hello;filename=good' -F 'file[]=@hello;filename=up/a.txt/x' "$W/files/"
  says "upload to .." 400 'j["error"]["detail"]' "Invalid staging path (directory \"up\", file \"../x\"): path '../x' contains '..'" http -F 'file[]=@hello;filename=../x' "$W/files/up"
  says "upload nothing" 400 'j["status"]' error http -F 'x=y' "$W/files/up"
  equals "read a range" "206 hello" "$(http -H 'range: bytes=0-4' "$W/files/up/a.txt") $(cat body)"
  says "move" 200 "$PLAIN" '["success", "resource_updated", null]' method PATCH --data-binary '{"new_path":"moved/a.txt"}' "$W/files/up/a.txt"
  says "move onto something" 400 'j["status_message"]' 'new_path already exists in the repository' method PATCH --data-binary '{"new_path":"good"}' "$W/files/moved/a.txt"
  says "move to nowhere" 400 'j["status_message"]' 'new_path cannot be empty' method PATCH --data-binary '{"new_path":""}' "$W/files/moved/a.txt"
  says "move what is not there" 404 'j["error"]["detail"]' 'Could not find path: none' method PATCH --data-binary '{"new_path":"x"}' "$W/files/none"
  says "unstage" 200 'j["status_message"]' resource_deleted method DELETE "$W/files/moved/a.txt"
  says "unstage what is not staged" 404 "$PLAIN" '["error", "resource_not_found", null]' method DELETE "$W/changes/moved/a.txt"
  says "unstage many" 200 'j["status_message"]' resource_deleted method DELETE --data-binary '["good","parts","none"]' "$W/changes"
  says "unstage what is no path" 206 '[j["status"], j["status_message"], j["paths"]]' '["error", "resource_not_found", ["../x"]]' method DELETE --data-binary '["../x","batch"]' "$W/staged"
  says "remove" 200 '[j["status_message"], j["paths"]]' '["resource_deleted", []]' method DELETE --data-binary '["numbers.txt"]' "$W/files"
  says "remove some" 206 '[j["status"], j["paths"]]' '["error", ["none"]]' method DELETE --data-binary '["none","theirs.txt"]' "$W/versions"
  says "what is staged" 200 '[[e["filename"] for e in j["staged"][key]["entries"]] for key in ("added_files", "modified_files", "removed_files")]' \
    '[["by/hash.txt", "chunks/big.bin", "up/sub/b.txt"], [], ["numbers.txt", "theirs.txt"]]' http "$W/changes"
  says "the workspace as a revision" 200 '[j["entry"]["changes"], j["entry"]["latest_commit"], j["entry"]["resource"]["workspace"]["name"]]' '[{"status": "Added"}, null, "my name"]' http "$R/meta/workspace-1/by/hash.txt"
}
test_commits_of_workspaces() {
  workspace
  upload hello by/hash.txt
  says "a commit without a message" 422 "$PLAIN" '["error", "Basic(a commit needs a message)", null]' post '{"message":"","author":"a","email":"e"}' "$W/commit/main"
  says "a commit without an author" 400 'j["status_message"]' 'missing field `author`' post '{"message":"m"}' "$W/commit/main"
  says "to an unknown branch" 404 "$PLAIN" '["error", "resource_not_found", "none"]' post '{"message":"m","author":"a","email":"e"}' "$W/commit/none"
  says "commit" 200 '[j["status_message"], j["commit"]["message"]]' '["resource_created", "m"]' post '{"message":"m","author":"a","email":"e"}' "$W/commit/main"
  says "commit nothing" 422 "$PLAIN" '["error", "Basic(No changes to commit)", null]' post '{"message":"m","author":"a","email":"e"}' "$W/commit/main"
}
test_a_workspace_that_is_behind() {
  workspace
  upload hello by/hash.txt
  seq 9 > numbers
  upload numbers chunks/big.bin
  upload form.txt other.txt
  post '{"message":"m","author":"a","email":"e"}' "$W/commit/main" > code
  F=$(short_xxh3 form.txt) N=$(short_xxh3 numbers)
  method PUT --data-binary '{"workspace_id":"behind","branch_name":"main"}' "$R/workspaces" > /dev/null
  post "[{\"hash\":\"$X\",\"path\":\"chunks/big.bin\"}]" "$W/versions/" > /dev/null
  post "[{\"hash\":\"$S\",\"path\":\"chunks/big.bin\"},{\"hash\":\"$N\",\"path\":\"by/hash.txt\"}]" "$R/workspaces/behind/versions/" > /dev/null
  post "[{\"hash\":\"$F\",\"path\":\"by/hash.txt\"}]" "$W/versions/" > /dev/null
  post '{"message":"first","author":"a","email":"e"}' "$W/commit/main" > /dev/null
  says "a workspace that is behind" 409 '[j["error"]["type"], j["error"]["title"], j["status_message"]]' '["conflict", "Workspace is behind", "conflict"]' post '{"message":"m","author":"a","email":"e"}' "$R/workspaces/behind/commit/main"
  says "can be asked before" 200 '[j["is_mergeable"], j["conflicts"], len(j["commits"])]' '[false, [{"path": "by/hash.txt"}], 1]' http "$R/workspaces/behind/merge/main"
  says "of an unknown branch" 404 'j["status_description"]' none http "$R/workspaces/behind/merge/none"
  says "delete a workspace" 200 '[j["status_message"], j["workspace"]["id"]]' '["resource_created", "behind"]' method DELETE "$R/workspaces/behind"
}
test_a_mounted_workspace_stays() {
  workspace
  stagefs mount "t/r:my name" "$MNT"
  says "one that is mounted stays" 409 'j["error"]["title"]' 'Workspace is mounted' method DELETE "$W"
  says "so does its repository" 409 'j["error"]["title"]' 'Repository is in use' method DELETE "$R"
  says "and it outlives a clearing" 409 'j["error"]["title"]' 'Workspace is mounted' method DELETE "$R/workspaces"
  unmount_w_named() { stagefs unmount "$MNT"; }
  check "unmounted" unmount_w_named
  says "clear" 200 'j["status_message"]' resource_created method DELETE "$R/workspaces"
  says "none is left" 200 'j["workspaces"]' '[]' http "$R/workspaces"
}
test_damage_is_set_aside_and_healed() {
  workspace
  upload hello up/sub/b.txt
  stagefs commit t/r:workspace-1 -m hello > log
  file=$(version_file "$S")
  chmod u+w "$file" && printf 'HELLO oxen\n' > "$file"
  says "clean" 200 '[j["result"]["corrupted"], j["result"]["cleaned"], j["result"]["errors"]]' '[1, 1, 0]' method DELETE "$R/versions"
  check "the damaged bytes are kept" grep -q HELLO "$STAGEFS_ROOT/t/r/damaged/$S"
  says "no path of the server is told" 500 'j["error"]["detail"]' "see the server's log" http "$R/file/main/up/sub/b.txt"
  says "the same upload" 200 'j["err_files"]' '[]' http -F "file[]=@hello;filename=$X" "$R/versions"
  check "heals it" stagefs fsck t/r
}
test_what_is_not_served() {
  repository
  for call in "GET $R/tree/download/main" "POST $R/tree/nodes" "POST $R/commits/missing" "GET $R/data_frames/main/a.csv"; do
    says "not served: ${call%% *} ${call#*/api/repos/t/r}" 501 '[j["error"]["type"], j["error"]["title"], j["status_message"], "mount the workspace" in j["error"]["detail"]]' \
      '["not_implemented", "Not served by stagefs", "not_implemented", true]' method "${call%% *}" "${call#* }"
  done
  says "JSON that is too deep" 400 'j["status_message"]' 'JSON nested deeper than 32' method PUT --data-binary "$(printf '[%.0s' $(seq 100000))" "$R/workspaces"
  stop
  equals "the server ends well" 0 "$stopped"
}
run_cases
