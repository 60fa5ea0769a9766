"""Stages the documented example with a client generated from the document. Usage: URL TOKEN PACKAGE_FOLDER"""

import importlib
import sys
from pathlib import Path

url, token, package = sys.argv[1:]
sys.path.insert(0, str(Path(package).parent))
name = Path(package).name
client_class = importlib.import_module(f"{name}.client").AuthenticatedClient
route = importlib.import_module(f"{name}.api.workspace_files.add_version_files")
models = importlib.import_module(f"{name}.models")

example = models.FileWithHash(
    hash_="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", path="images/train/dog.jpg"
)
answer = route.sync_detailed(
    "t", "r", "w", "data/train", client=client_class(base_url=url, token=token), body=[example], update_timestamp=False
)
assert answer.status_code == 200, answer
assert answer.parsed.err_files == [] and answer.parsed.status == "success", answer.parsed
missing = route.sync_detailed("t", "r", "nowhere", "x", client=client_class(base_url=url, token=token), body=[example])
assert missing.status_code == 404, missing
