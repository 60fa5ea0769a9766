#!/usr/bin/env bash
# An OpenAPI validator (from PyPI, kept below build/) accepts the document that is served.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
environment=$top/build/openapi-spec-validator
if [ ! -x "$environment/bin/openapi-spec-validator" ]; then
  { python3 -m venv "$environment" && timeout 120 "$environment/bin/pip" -q install openapi-spec-validator==0.7.1; } >/dev/null 2>&1
fi
if [ -x "$environment/bin/openapi-spec-validator" ]; then
  check "the OpenAPI document is valid" "$environment/bin/openapi-spec-validator" "$top/api/openapi.json"
else
  skip "the OpenAPI document" "openapi-spec-validator cannot be installed from PyPI"
fi
