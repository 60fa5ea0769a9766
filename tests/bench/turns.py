#!/usr/bin/env python3
"""How long close() waits beside long work of other processes. Usage: turns.py STAGEFS [ROW…]; ROWS_EACH=1000000 UNUSED=50000

A mount's files of 1 KiB are written and closed one after the other while another process works; a row prints how many were
closed meanwhile, and of the seconds that close() took the median, the 99th of 100 and the most.
"""
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from pieces import daemon_of, hash_of, remove, serving

STAGEFS, CHOSEN = os.path.realpath(sys.argv[1]), sys.argv[2:]
N = int(os.environ.get("ROWS_EACH", 1_000_000))
UNUSED, CONTENTS = int(os.environ.get("UNUSED", 50_000)), 1_000
WORK = tempfile.mkdtemp(prefix="stagefs-turns-", dir=os.environ.get("BENCH_FOLDER"))
MNT = f"{WORK}/mnt"


def stagefs(*args, **kwargs):
    return subprocess.run([STAGEFS, "--root", f"{WORK}/root", *args], check=True, stdout=subprocess.PIPE, **kwargs).stdout


def lines(prefix, count):
    return "".join(f"{hash_of(i % CONTENTS)}  {prefix}/{i % 1000:03d}/{i:07d}\n" for i in range(count)).encode()


class Closer(threading.Thread):
    """Writes and closes files until it is told to stop."""
    numbers = iter(range(1 << 40))

    def __init__(self, lock=threading.Lock()):
        super().__init__()
        self.stop, self.seconds, self.lock = False, [], lock

    def run(self):
        while not self.stop:
            with self.lock:
                number = next(self.numbers)
            fd = os.open(f"{MNT}/{number}", os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(fd, hashlib.sha256(b"%d" % number).digest() * 32)
            begun = time.monotonic()
            os.close(fd)
            self.seconds.append(time.monotonic() - begun)
            time.sleep(0.001)


def show(name, seconds, took):
    seconds = sorted(seconds)
    print(f"| {name} | {took:.1f} s | {len(seconds)} | {statistics.median(seconds) * 1000:.1f} ms |"
          f" {seconds[len(seconds) * 99 // 100] * 1000:.1f} ms | {seconds[-1] * 1000:.1f} ms |", flush=True)


def beside(name, work):
    closer = Closer()
    closer.start()
    begun = time.monotonic()
    try:
        work()
    finally:
        closer.stop = True
        closer.join()
    took = time.monotonic() - begun
    show(name, closer.seconds, took)


def post(url, workspace, entries):
    with open(f"{WORK}/body.json", "w") as file:
        json.dump(entries, file)
    subprocess.run(["curl", "-sSf", "-o", f"{WORK}/answer", "-H", "content-type: application/json", "-T", f"{WORK}/body.json",
                    "-X", "POST", f"{url}/api/repos/b/r/workspaces/{workspace}/files/batch/http"], check=True)


def nothing():
    beside("nothing", lambda: time.sleep(3))


def gc():
    os.mkdir(f"{WORK}/unused")
    for i in range(UNUSED):
        with open(f"{WORK}/unused/{i}", "w") as file:
            file.write(f"unused {i}")
    stagefs("put", "b/r", f"{WORK}/unused")
    beside(f"gc of {UNUSED:,} unused versions", lambda: stagefs("gc", "b/r", "--keep", "0"))


def fsck():
    beside("fsck", lambda: stagefs("fsck", "b/r"))


def batch():
    stagefs("workspace", "create", "b/r:batch")
    body = lines("batch", N)
    beside(f"a batch of {N:,}", lambda: stagefs("stage", "b/r:batch", "-", input=body))


def http():
    stagefs("workspace", "create", "b/r:http")
    with serving(STAGEFS, "--root", f"{WORK}/root") as (url, _):
        entries = [{"hash": hash_of(i % CONTENTS), "path": f"{i % 1000:03d}/{i:07d}"} for i in range(N)]
        beside(f"an HTTP batch of {N:,}", lambda: post(url, "http", entries))


def commit():
    stagefs("workspace", "create", "b/r:commit")
    stagefs("stage", "b/r:commit", "-", input=lines("commit", N))
    beside(f"a commit of {N:,}", lambda: stagefs("commit", "b/r:commit", "-m", "many"))


def rebase():
    for name in ("rebase", "other"):
        stagefs("workspace", "create", f"b/r:{name}")
    stagefs("stage", "b/r:rebase", "-", input=lines("rebase", N))
    stagefs("stage", "b/r:other", "-", input=lines("other", 1))
    stagefs("commit", "b/r:other", "-m", "one")
    beside(f"a rebase of {N:,}", lambda: stagefs("rebase", "b/r:rebase"))


def writers():
    stagefs("workspace", "create", "b/r:one")
    lock, waits = threading.Lock(), []
    with serving(STAGEFS, "--root", f"{WORK}/root") as (url, _):
        closers = [Closer(lock) for _ in range(4)]
        begun = time.monotonic()
        try:
            for closer in closers:
                closer.start()
            for i in range(100):
                start = time.monotonic()
                post(url, "one", [{"hash": hash_of(0), "path": f"{i}"}])
                waits.append(time.monotonic() - start)
        finally:
            for closer in closers:
                closer.stop = True
                closer.join()
        took = time.monotonic() - begun
    show("100 HTTP batches of one beside four writers: a batch", waits, took)
    show("the same: a close", [seconds for closer in closers for seconds in closer.seconds], took)


try:
    os.makedirs(f"{WORK}/files")
    os.mkdir(MNT)
    for i in range(CONTENTS):
        with open(f"{WORK}/files/{i}", "w") as file:
            file.write(f"{i}\n")
    stagefs("create", "b/r")
    stagefs("put", "b/r", f"{WORK}/files")
    stagefs("workspace", "create", "b/r:kept")
    stagefs("stage", "b/r:kept", "-", input=lines("kept", CONTENTS))
    stagefs("commit", "b/r:kept", "-m", "kept")
    stagefs("mount", "b/r:w", MNT, "--create")
    print("| beside | took | closes | median | 99 % | most |\n|---|---|---|---|---|---|", flush=True)
    for row in (nothing, gc, fsck, batch, http, commit, rebase, writers):
        if not CHOSEN or row.__name__ in CHOSEN:
            row()
    daemon = daemon_of(MNT)
    stagefs("unmount", MNT)
    while os.path.exists(f"/proc/{daemon}"):
        time.sleep(0.01)
finally:
    remove(WORK)
