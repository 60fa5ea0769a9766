"""Compares the table of api/server/routes.cc with the paths of api/server/openapi.json. Usage: routes_described.py API_FOLDER"""

import json
import re
import sys
from pathlib import Path

folder = Path(sys.argv[1])
REPO = "/api/repos/{namespace}/{repo_name}"
PREFIXES = {"": "", "REPO": REPO, "WORKSPACE": REPO + "/workspaces/{workspace_id}"}

routes = set()
for method, prefix, rest, handler in re.findall(
    r'\{"(\w*)", (REPO|WORKSPACE|)\s*(?:"([^"]*)")?, &(\w+)(?:, &\w+)?\}', (folder / "routes.cc").read_text()
):
    # OpenAPI 3.1 has no place for the method QUERY.
    if handler != "NotServed" and method != "QUERY":
        path = PREFIXES[prefix] + rest
        routes.add(f"{method} {path.replace('*}', '}')}")
described = {
    f"{method.upper()} {path}"
    for path, item in json.loads((folder / "openapi.json").read_text())["paths"].items()
    for method in item
    if not method.startswith("x-")
}
for missing in sorted(routes - described):
    print(f"not described: {missing}")
for unknown in sorted(described - routes):
    print(f"not a route: {unknown}")
sys.exit(routes != described or len(routes) < 50)
