#!/usr/bin/env python3
"""The benchmarks behind `make bench`. Usage: bench.py BUILD_FOLDER ENTRIES LINKS"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

out, entries, links = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
million = 10 * entries
stagefs, bench = f"{out}/stagefs", f"{out}/stage_bench"
work = tempfile.mkdtemp(prefix="stagefs-bench-", dir=os.environ.get("BENCH_FOLDER"))
root, mnt = f"{work}/root", f"{work}/mnt"
os.environ["STAGEFS_ROOT"] = root
ROUNDS = 3


def run(*command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **kwargs).stdout.decode()


def timed(function):
    start = time.monotonic()
    function()
    return time.monotonic() - start


def row(name, seconds, operations, peer=None):
    best, worst = min(seconds), max(seconds)
    text = f"{name:44} {operations / best:10.0f}/s  ({operations / worst:.0f} to {operations / best:.0f})"
    if peer:
        text += f"   {min(peer) / best:5.2f} times the peer"
    print(text, flush=True)


def hash_of(number):
    return hashlib.sha256(f"{number}\n".encode()).hexdigest()


def resident_kib(pid):
    status = open(f"/proc/{pid}/status").read()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


print(f"{os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}, {entries} entries, {links} links")
try:
    run(stagefs, "create", "b/r")
    print(run(bench, "fill", root, "b/r", str(entries)).strip())
    paths = [f"images/{i % 1000:03d}/{i:07d}.jpg" for i in range(entries)]
    sums, body = f"{work}/list.sum", f"{work}/list.json"
    with open(sums, "w") as file:
        file.writelines(f"{hash_of(i)}  {path}\n" for i, path in enumerate(paths))
    with open(body, "w") as file:
        json.dump([{"hash": hash_of(i), "path": path} for i, path in enumerate(paths)], file)
    index = f"{work}/list.index"
    with open(index, "w") as file:
        file.writelines(f"100644 {hashlib.sha1(path.encode()).hexdigest()}\t{path}\n" for path in paths)

    server = subprocess.Popen([stagefs, "serve", "--listen", ":0", "--insecure-no-auth"], stderr=subprocess.PIPE, text=True)
    url = server.stderr.readline().split()[-1]
    git, http, command, inbox = [], [], [], []
    os.mkdir(mnt)
    for number in range(ROUNDS):
        repository = f"{work}/git{number}"
        run("git", "init", "-q", repository)
        git.append(timed(lambda: run("git", "-C", repository, "update-index", "--index-info", stdin=open(index))))
        for name in ("http", "command"):
            run(stagefs, "workspace", "create", f"b/r:{name}{number}")
        http.append(timed(lambda: run("curl", "-sSf", "-o", "/dev/null", "-H", "content-type: application/json", "--data-binary",
                                      f"@{body}", f"{url}/api/repos/b/r/workspaces/http{number}/files/batch/data")))
        command.append(timed(lambda: run(stagefs, "stage", f"b/r:command{number}", sums)))
        run(stagefs, "mount", f"b/r:inbox{number}", mnt, "--create")
        inbox.append(timed(lambda: shutil.copyfile(sums, f"{mnt}/.stagefs/inbox/list.sum")))
        run(stagefs, "unmount", mnt)
    row("git update-index --index-info (no sync)", git, entries)
    row("HTTP batch, durable", http, entries, git)
    row("stagefs stage, durable", command, entries, git)
    row("manifest written into the inbox, durable", inbox, entries, git)

    big = f"{work}/million.sum"
    with open(big, "w") as file:
        for i in range(million):
            file.write(f"{hash_of(i % entries)}  all/{i % 1000:03d}/{i:08d}.jpg\n")
    run(stagefs, "workspace", "create", "b/r:million")
    start = time.monotonic()
    stage = subprocess.Popen([stagefs, "stage", "b/r:million", big], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(stage.pid, 0)
    assert status == 0
    print(f"stagefs stage of {million} entries: {time.monotonic() - start:.1f} s, {usage.ru_maxrss // 1024} MiB resident at most")
    with open(f"{work}/million.json", "w") as file:
        file.write("[" + ",".join(f'{{"hash":"{hash_of(i % entries)}","path":"all/{i % 1000:03d}/{i:08d}.jpg"}}'
                                  for i in range(million)) + "]")
    run(stagefs, "workspace", "create", "b/r:posted")
    seconds = timed(lambda: run("curl", "-sSf", "-o", "/dev/null", "-H", "content-type: application/json", "-H", "expect:", "-T",
                                f"{work}/million.json", "-X", "POST", f"{url}/api/repos/b/r/workspaces/posted/files/batch/data"))
    print(f"HTTP batch of {million} entries: {seconds:.1f} s, {resident_kib(server.pid) // 1024} MiB resident at most")
    server.terminate()
    server.wait()

    def link_all(source, folder):
        os.mkdir(folder)
        for i in range(links):
            os.link(source, f"{folder}/{i}")

    ours, peer, native = [], [], []
    for number in range(ROUNDS):
        run(stagefs, "mount", f"b/r:links{number}", mnt, "--create")
        ours.append(timed(lambda: link_all(f"{mnt}/.stagefs/versions/{hash_of(1)}", f"{mnt}/l")))
        run(stagefs, "unmount", mnt)
        below, bound = f"{work}/below{number}", f"{work}/bound"
        os.mkdir(below)
        open(f"{below}/source", "w").close()
        native.append(timed(lambda: link_all(f"{below}/source", f"{below}/native")))
        if shutil.which("bindfs"):
            os.makedirs(bound, exist_ok=True)
            os.unlink(f"{below}/source")
            open(f"{below}/source", "w").close()
            run("bindfs", below, bound)
            peer.append(timed(lambda: link_all(f"{bound}/source", f"{bound}/l")))
            run("fusermount3", "-u", bound)
    row("link, the file system below", native, links)
    if peer:
        row("link, bindfs", peer, links)
    row("ln of a version, stagefs", ours, links, peer or None)
finally:
    subprocess.run(["sh", "-c", f"umount -l {mnt} {work}/bound 2>/dev/null; chmod -R u+w {work}; rm -rf {work}"])
