"""Stages each manifest of a folder through every door, into a folder of its own, and compares what is staged with what its
expected.json says. Usage: manifests.py FOLDER MOUNTPOINT URL TOKEN (URL `-`: without a server); runs in a folder with room.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request

folder, mountpoint, url, token = sys.argv[1:]
stagefs = os.environ["STAGEFS_BINARY"]
said = json.load(open(os.path.join(folder, "expected.json"), encoding="utf-8"))
TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
}


def command(*words, given=None):
    return subprocess.run(
        [stagefs, *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False
    )


# Each door: True where it says that all is staged.
def by_file(path, name, into):
    return command("stage", "t/r:w", "-d", into, path).returncode == 0


def by_input(path, name, into):
    return command("stage", "t/r:w", "-d", into, "-", given=open(path, "rb").read()).returncode == 0


def by_pipe(path, name, into):
    fifo = "pipe-" + name
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: shutil.copyfileobj(open(path, "rb"), open(fifo, "wb")))
    writer.start()
    staged = command("stage", "t/r:w", "-d", into, fifo).returncode == 0
    writer.join()
    return staged


def by_inbox(path, name, into):
    inbox = f"{mountpoint}/.stagefs/inbox/{into}"
    os.makedirs(inbox, exist_ok=True)
    target = f"{inbox}/{name if '.' in name else name + '.list'}"
    try:
        shutil.copyfile(path, target)
    except OSError:
        return False
    # Of an empty one nothing is said at close(): its report, which has an error and no counts, comes with the release, later.
    if not os.path.exists(target + ".result.json"):
        return False
    return json.load(open(target + ".result.json", encoding="utf-8")).get("refused") == 0


def by_http(path, name, into):
    words = name.split(".")
    headers = {"authorization": f"Bearer {token}"}
    coding = {"gz": "gzip", "zst": "zstd"}.get(words[-1])
    if coding:
        headers["content-encoding"] = coding
        words.pop()
    if url == "-" or words[-1] not in TYPES:
        return None
    headers["content-type"] = TYPES[words[-1]]
    request = urllib.request.Request(
        f"{url}/api/repos/t/r/workspaces/w/files/batch/{into}", open(path, "rb").read(), headers
    )
    try:
        return json.load(urllib.request.urlopen(request, timeout=60))["err_files"] == []
    except urllib.error.HTTPError as error:
        assert error.code in (400, 413), error.code
        return False


for number, text in enumerate(said["contents"].values()):
    open(f"content-{number}", "w", encoding="utf-8").write(text)
command("put", "t/r", *(f"content-{number}" for number in range(len(said["contents"])))).check_returncode()
doors = {"file": by_file, "input": by_input, "pipe": by_pipe, "inbox": by_inbox, "http": by_http}
wanted, outcomes = {}, {}
for name, files in said["manifests"].items():
    for door, stage in doors.items():
        into = f"{door}/{name}"
        outcomes[into] = stage(os.path.join(folder, name), name, into)
        if outcomes[into] is not None:
            wanted.update(
                {f"{into}/{path}": hashlib.sha256(text.encode()).hexdigest() for path, text in (files or {}).items()}
            )
staged = {
    os.fsdecode(base64.b64decode(entry["path_base64"])) if "path_base64" in entry else entry["path"]: entry["sha256"]
    for entry in json.loads(command("--json", "status", "t/r:w").stdout)["staged_entries"]
}
for name, files in said["manifests"].items():
    wrong = []
    for door in doors:
        into = f"{door}/{name}"
        if outcomes[into] not in (None, files is not None):
            wrong.append(f"{door} says {'all is staged' if outcomes[into] else 'it is refused'}")
        mine = [{path: sha for path, sha in those.items() if path.startswith(into + "/")} for those in (wanted, staged)]
        if mine[0] != mine[1]:
            wrong.append(
                f"{door} staged {sorted(mine[1].items() - mine[0].items())[:3]}, not {sorted(mine[0].items() - mine[1].items())[:3]}"
            )
    what = "all of it" if files is not None else "refused, and nothing staged"
    print(f"not ok - {name}: {'; '.join(wrong)}" if wrong else f"ok - {name}: {what}")
