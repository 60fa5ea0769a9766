#!/usr/bin/env python3
"""A mixed load through all doors for a while: the daemon must not grow in memory, descriptors, threads or latency.

Usage: soak.py STAGEFS_BINARY SECONDS [SEED]. Each of four workers has a folder of a bounded number of names, which it writes, reads,
links, renames, removes, lists, and stages by manifest and by HTTP; every now and then one commits or collects garbage. What
the daemon holds is looked at between the first and the second half, and at the end.
"""
import hashlib
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../faults"))
from scene import clean_up, daemons, is_clean, mount_with_http, seeded  # noqa: E402

binary, seconds = sys.argv[1], int(sys.argv[2])
random = seeded("soak", 3)
WORKERS, NAMES, CONTENTS = 4, 200, 50
HELD_GROWTH_MAX, LATENCY_GROWTH_MAX = 20, 3
# The index's caches fill up for as long as it grows: 32 MiB of the writer's, 8 of each of four readers'.
MEMORY_GROWTH_MIB_MAX, MEMORY_MIB_MAX = 16, 160
work = tempfile.mkdtemp(prefix="stagefs-test-")
root, mnt = work + "/root", work + "/mnt"
os.mkdir(mnt)
problems = []
latencies = []
stop = threading.Event()


def stagefs(*args):
    return subprocess.run([binary, "--root", root, *args], check=True, timeout=300, capture_output=True, text=True).stdout


class Worker(threading.Thread):
    def __init__(self, number, address):
        super().__init__()
        self.folder, self.random = f"w{number}", type(random)(random.random())
        self.contents = [f"{number} {i} ".encode() * self.random.randrange(1, 2000) for i in range(CONTENTS)]
        self.http = http.client.HTTPConnection(address, timeout=60)
        os.mkdir(f"{mnt}/{self.folder}")
        os.mkdir(f"{mnt}/{self.folder}/sub")
        for i, content in enumerate(self.contents):
            with open(f"{mnt}/{self.folder}/sub/{i}", "wb") as file:
                file.write(content)

    def some(self):
        return f"{self.folder}/{self.random.randrange(NAMES)}"

    def entries(self):
        return [(hashlib.sha256(self.random.choice(self.contents)).hexdigest(), self.some()) for _ in range(20)]

    def ask(self, method, path, body):
        self.http.request(method, f"/api/repos/t/r/workspaces/w{path}", json.dumps(body), {"content-type": "application/json"})
        answer = self.http.getresponse()
        said = answer.read()
        if answer.status not in (200, 422):  # 422: nothing to commit, or a conflict with the next commit.
            problems.append(f"{method} {path}: {answer.status} {said[:200]}")

    def step(self):
        kind, at, to = self.random.randrange(100), f"{mnt}/{self.some()}", f"{mnt}/{self.some()}"
        if kind < 35:
            with open(at, "wb") as file:
                file.write(self.random.choice(self.contents))
        elif kind < 55 and os.path.exists(at):
            with open(at, "rb") as file:
                file.read()
        elif kind < 65 and os.path.exists(at):
            os.rename(at, to)
        elif kind < 75 and os.path.exists(at) and not os.path.exists(to):
            os.link(at, to)
        elif kind < 85 and os.path.exists(at):
            os.unlink(at)
        elif kind < 90:
            os.listdir(f"{mnt}/{self.folder}")
        elif kind < 94:
            self.ask("POST", "/files/batch", [{"hash": digest, "path": path} for digest, path in self.entries()])
        elif kind < 97:
            with open(f"{mnt}/.stagefs/inbox/{self.folder}.sum", "w") as file:
                file.write("".join(f"{digest}  {path}\n" for digest, path in self.entries()))
        elif kind == 97:
            with open(f"{mnt}/.stagefs/status.json") as file:
                json.load(file)
        elif self.random.random() < 0.02:
            self.ask("POST", "/commit/main", {"message": "soak", "author": "A", "email": "a@b"})

    def run(self):
        try:
            while not stop.is_set():
                begun = time.monotonic()
                self.step()
                latencies.append(time.monotonic() - begun)
        except (OSError, ValueError, http.client.HTTPException) as error:
            problems.append(f"{self.folder}: {error!r}")


def look(pid):
    """Resident MiB, descriptors, threads, median milliseconds of an operation since the last look."""
    status = open(f"/proc/{pid}/status").read()
    taken = latencies[:]
    del latencies[:len(taken)]
    return (int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024, len(os.listdir(f"/proc/{pid}/fd")),
            int(re.search(r"Threads:\s+(\d+)", status).group(1)), statistics.median(taken or [0]) * 1000, len(taken))


def tell(what, seen):
    print(f"{what}: {seen[0]:.0f} MiB, {seen[1]} descriptors, {seen[2]} threads, {seen[3]:.2f} ms an operation, {seen[4]} operations", flush=True)


try:
    stagefs("create", "t/r")
    address = mount_with_http(binary, root, mnt, "--create")
    pid = daemons(binary, root, mnt)[0]
    workers = [Worker(number, address) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    stop.wait(seconds / 2)
    first = look(pid)
    tell("first half", first)
    for _ in range(4):
        stop.wait(seconds / 8)
        stagefs("gc", "t/r", "--keep", "1")
    second = look(pid)
    tell("second half", second)
    stop.set()
    for worker in workers:
        worker.join(120)
    plain = os.environ.get("BUILD", "release") == "release"  # A sanitizer keeps what was freed.
    if plain and second[0] > max(first[0] + MEMORY_GROWTH_MIB_MAX, MEMORY_MIB_MAX):
        problems.append("memory grows")
    if second[1] > first[1] + HELD_GROWTH_MAX or second[2] > first[2] + HELD_GROWTH_MAX:
        problems.append("descriptors or threads grow")
    if second[3] > first[3] * LATENCY_GROWTH_MAX:
        problems.append("latency grows")
    if not second[4]:
        problems.append("nothing happened")
    stagefs("unmount", mnt)
    subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=120)
    found = subprocess.run([binary, "--root", root, "fsck", "t/r"], capture_output=True, text=True, timeout=300)
    if not is_clean(found.returncode, found.stdout):
        problems.append("fsck: " + found.stdout[-300:] + found.stderr)
    said = open(f"{root}/t/r/mount.log").read()
    if re.search("Sanitizer|runtime error|Assertion", said):
        problems.append(said[:5000])
finally:
    stop.set()
    for leftover in daemons(binary, root, mnt):
        os.kill(leftover, signal.SIGKILL)
    clean_up(work, mnt)
print(*problems[:10], sep="\n")
sys.exit(bool(problems))
