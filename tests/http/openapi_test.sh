#!/usr/bin/env bash
# The OpenAPI document: valid, complete, and true. Tools from PyPI, kept below build/, read it and the server.
# shellcheck source=tests/http_lib.sh
. "$(dirname "$0")/../http_lib.sh"

check "the document describes every route that is served" python3 "$TOP/tests/checks/routes_described.py" "$TOP/api/server"

if python_environment openapi-tools openapi-spec-validator==0.9.0 schemathesis==4.32.5 openapi-python-client==0.29.1 ruff; then
  tools=$TOP/build/openapi-tools/bin
  check "the document is valid" "$tools/openapi-spec-validator" "$TOP/api/server/openapi.json"
else
  skip "the document, schemathesis and a generated client" "the tools cannot be installed from PyPI"
  exit 0
fi

mkdir data && echo hi > data/hi.txt
for repository in st/repo st/doomed t/r; do stagefs create $repository; done
for workspace in st/repo:w st/repo:doomed t/r:w; do stagefs workspace create $workspace > /dev/null; done
stagefs branch create st/repo doomed
stagefs put st/repo data | stagefs stage st/repo:w --directory data - > /dev/null
stagefs commit st/repo:w -m first > /dev/null
serve --listen :0
TOKEN=$(stagefs token create --user ann)
schemathesis() {
  timeout 600 "$tools/st" --config-file "$TOP/tests/http/schemathesis.toml" run "$URL/api/_spec/oxen_server_openapi.json" --url "$URL" \
    -H "Authorization: Bearer $TOKEN" --checks all --continue-on-failure -n 40 > schemathesis.log 2>&1
}
if schemathesis; then
  cases=$(sed -nE 's/^ *([0-9]+) generated, .*/\1/p' schemathesis.log)
  check "schemathesis: $cases cases, all checks, no failure" [ "$cases" -ge 2000 ]
else
  echo "not ok - schemathesis"
  sed -n '/FAILURES\|ERRORS/,$p' schemathesis.log | head -n 150 | sed 's/^/  /'
fi
check "the server still answers" curl -sSf -o /dev/null -H "authorization: Bearer $TOKEN" "$URL/api/health"

PATH=$tools:$PATH "$tools/openapi-python-client" generate --path "$TOP/tests/http/oxen_batch_route.yaml" --output-path generated --meta none > generate.log 2>&1
check "a client generated from Oxen's document stages its example" "$tools/python" "$TOP/tests/http/generated_client.py" "$URL" "$TOKEN" "$WORK/generated"
equals "into the directory it names" "A  data/train/images/train/dog.jpg" "$(stagefs status t/r:w)"
stop
equals "the server ends well" 0 "$stopped"
