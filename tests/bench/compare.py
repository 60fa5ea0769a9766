#!/usr/bin/env python3
"""Two binaries in turn, behind `make bench-compare`. Usage: compare.py FS_BENCH OLD NEW

Each has a root of its own, kept from round to round. A round runs every row once with both, the first of them by turns; the
first round warms up and does not count. ROUNDS (20) is the number of those that do, ROWS names some rows (or groups).

A row prints both medians and how many times faster the new binary is: the geometric mean of old/new over the rounds, with
the 95 % interval that Student's t gives for the logarithms of these quotients, round by round. What both suffer, as a disk that is
shared, falls out of them. A row fails if the whole interval lies below 0.95; the exit status is 1 then.
"""
import contextlib
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

import pieces
from pieces import daemon_of, hash_of, remove, run, serving, timed

FS_BENCH, OLD, NEW = (os.path.realpath(path) for path in sys.argv[1:])
ROUNDS = int(os.environ.get("ROUNDS") or 20)
LOWEST = 0.95
WORK = tempfile.mkdtemp(prefix="stagefs-compare-", dir=os.environ.get("BENCH_FOLDER"))
fs_bench = partial(pieces.fs_bench, FS_BENCH)
FILES, LINES, NAMES, BATCH = 2_000, 100_000, 10_000, 20_000
LARGE = 64 << 20
GROUPS = {}


def group(*rows):
    """A function that, given a side, yields the seconds of each row once a round."""
    def add(function):
        GROUPS[function] = rows
        return function
    return add


class Side:
    """One of the two binaries, with its root."""

    def __init__(self, name, binary):
        self.name, self.binary, self.folder = name, binary, f"{WORK}/{name}"
        os.mkdir(self.folder)

    def run(self, *command, **kwargs):
        return run(self.binary, "--root", f"{self.folder}/root", *command, **kwargs)

    @contextlib.contextmanager
    def mounted(self, target):
        at = tempfile.mkdtemp(prefix="mnt-", dir=self.folder)
        self.run("mount", target, at, "--create")
        daemon = daemon_of(at)
        try:
            yield at
        finally:
            self.run("unmount", at)
            # What it still has to do is not to be part of what comes next.
            while os.path.exists(f"/proc/{daemon}") and ") Z " not in open(f"/proc/{daemon}/stat").read():
                time.sleep(0.01)

    def serving(self):
        return serving(self.binary, "--root", f"{self.folder}/root")


def best(times, function, *args):
    """The least seconds of several: what else goes on for a moment does not count. `function` gives seconds."""
    return min(function(*args) for _ in range(times))


def forget(folder):
    """Takes what lies in a folder out of the kernel's cache."""
    for path, _, names in os.walk(folder):
        for name in names:
            fd = os.open(f"{path}/{name}", os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def small_files(folder, count):
    os.mkdir(folder)
    for i in range(count):
        with open(f"{folder}/{i}", "w") as file:
            file.write(f"{i}\n")


@group("put", "stage", "status", "commit")
def manifests(side):
    """2,000 files are stored, 100,000 names with their contents staged, shown and committed."""
    source = f"{side.folder}/source"
    small_files(source, FILES)
    sums = "".join(f"{hash_of(i % FILES)}  images/{i % 100:02d}/{i:06d}.jpg\n" for i in range(LINES)).encode()
    for number in itertools.count():
        repository = f"b/manifests{number}"
        side.run("create", repository)
        seconds = {"put": timed(side.run, "put", repository, source)}
        targets = [f"{repository}:{name}" for name in "abc"]
        for target in targets:
            side.run("workspace", "create", target)
        seconds["stage"] = min(timed(side.run, "stage", target, "-", input=sums) for target in targets)
        seconds["status"] = best(5, timed, side.run, "status", target)
        seconds["commit"] = timed(side.run, "commit", target, "-m", "all")
        yield seconds


@group("link", "create", "cp", "rename", "rm")
def small(side):
    """2,000 links, 2,000 new files of 4 KiB, a copy of these by cp; their folder, committed, is renamed and removed."""
    side.run("create", "b/small")
    small_files(f"{side.folder}/one", 1)
    side.run("put", "b/small", f"{side.folder}/one")
    for number in itertools.count():
        target = f"b/small:w{number}"
        with side.mounted(target) as mnt:
            for folder in ("links", "files", "other"):
                os.mkdir(f"{mnt}/{folder}")
            version = f"{mnt}/.stagefs/versions/{hash_of(0)}"
            seconds = {"link": min(fs_bench("link", 1, FILES, version, f"{mnt}/{folder}") for folder in ("links", "other")),
                       "create": fs_bench("create", 1, FILES, 4096 + number, f"{mnt}/files"),  # New contents each time.
                       "cp": timed(run, "cp", "-r", f"{mnt}/files", f"{mnt}/copies")}
            side.run("commit", target, "-m", "all", "--branch", "main")

            def there_and_back():
                for _ in range(50):
                    os.rename(f"{mnt}/files", f"{mnt}/moved")
                    os.rename(f"{mnt}/moved", f"{mnt}/files")
            seconds["rename"] = best(5, timed, there_and_back)
            seconds["rm"] = timed(shutil.rmtree, f"{mnt}/files")
            for folder in ("links", "other", "copies"):
                shutil.rmtree(f"{mnt}/{folder}")
        side.run("commit", target, "-m", "none")
        yield seconds


@group("list cold", "list warm", "stat warm")
def listing(side):
    """ls -lR of a folder with 10,000 names, when the mount is new and again; stat of each of them."""
    side.run("create", "b/listing")
    small_files(f"{side.folder}/listed", 100)
    side.run("put", "b/listing", f"{side.folder}/listed")
    side.run("workspace", "create", "b/listing:w")
    side.run("stage", "b/listing:w", "-", input="".join(f"{hash_of(i % 100)}  many/{i:07d}\n" for i in range(NAMES)).encode())
    side.run("commit", "b/listing:w", "-m", "names")
    while True:
        with side.mounted("b/listing:w") as mnt:
            listing = (timed, run, "ls", "-lR", f"{mnt}/many")
            seconds = {"list cold": best(1, *listing), "list warm": best(3, *listing),
                       "stat warm": best(10, fs_bench, "stat", NAMES, f"{mnt}/many")}
        yield seconds


@group("write large", "read cold", "read warm")
def large(side):
    """64 MB are written and closed, read by a new mount from the disk, and read again."""
    for number in itertools.count():
        repository = f"b/large{number}"
        side.run("create", repository)
        with side.mounted(f"{repository}:w") as mnt:
            seconds = {"write large": fs_bench("write", 1 << 20, LARGE, f"{mnt}/big")[1]}
        forget(f"{side.folder}/root/{repository}/versions")
        with side.mounted(f"{repository}:w") as mnt:
            seconds["read cold"] = fs_bench("read", 1 << 20, f"{mnt}/big")
            seconds["read warm"] = best(20, fs_bench, "read", 1 << 20, f"{mnt}/big")
        side.run("delete", repository)
        yield seconds


@group("http batch")
def batch(side):
    """A batch of 20,000 by HTTP."""
    side.run("create", "b/batch")
    small_files(f"{side.folder}/posted", FILES)
    side.run("put", "b/batch", f"{side.folder}/posted")
    body = f"{side.folder}/batch.json"
    with open(body, "w") as file:
        json.dump([{"hash": hash_of(i % FILES), "path": f"{i % 100:02d}/{i:06d}.jpg"} for i in range(BATCH)], file)
    with side.serving() as (url, _):
        def post(workspace):
            side.run("workspace", "create", f"b/batch:{workspace}")
            return timed(run, "curl", "-sSf", "-o", f"{side.folder}/answer", "-H", "content-type: application/json", "-T", body,
                         "-X", "POST", f"{url}/api/repos/b/batch/workspaces/{workspace}/files/batch/data")
        for number in itertools.count():
            yield {"http batch": min(post(f"w{number}-{i}") for i in range(3))}


# Student's t, two-sided 95 %, for 1, 2, … degrees of freedom; beyond them the last is wide enough.
T95 = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
       2.101, 2.093, 2.086)


def interval(quotients):
    """The geometric mean, and the ends of its 95 % interval."""
    logs = [math.log(quotient) for quotient in quotients]
    mean = statistics.fmean(logs)
    half = T95[min(len(logs) - 1, len(T95)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def measure(function):
    """Row → (seconds of the old, seconds of the new), round by round."""
    sides = [Side(f"{function.__name__}-old", OLD), Side(f"{function.__name__}-new", NEW)]
    taken = {}
    with contextlib.ExitStack() as stack:
        works = [stack.enter_context(contextlib.closing(function(side))) for side in sides]
        for number in range(ROUNDS + 1):
            seconds = [None, None]
            for which in ((0, 1), (1, 0))[number % 2]:
                seconds[which] = next(works[which])
            if number > 0:
                for row in seconds[0]:
                    taken.setdefault(row, []).append((seconds[0][row], seconds[1][row]))
    return taken


def main():
    wanted = (os.environ.get("ROWS") or "").replace(",", " ").split()
    failed = []
    print(f"old: {OLD}\nnew: {NEW}\n{os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}; {ROUNDS} rounds\n\n"
          "| row | old | new | times faster (95 %) | |\n|---|---|---|---|---|", flush=True)
    for function, rows in GROUPS.items():
        chosen = [row for row in rows if not wanted or function.__name__ in wanted or row.replace(" ", "_") in wanted]
        if not chosen:
            continue
        taken = measure(function)
        for row in chosen:
            old, new = zip(*taken[row])
            mean, low, high = interval([a / b for a, b in taken[row]])
            if high < LOWEST:
                failed.append(row)
            print(f"| {row} | {statistics.median(old) * 1000:.1f} ms | {statistics.median(new) * 1000:.1f} ms |"
                  f" {mean:.3f} ({low:.3f} to {high:.3f}) | {'SLOWER' if high < LOWEST else ''} |", flush=True)
    print(f"\n{'slower: ' + ', '.join(failed) if failed else 'no row is slower'}")
    return bool(failed)


if __name__ == "__main__":
    if ROUNDS < 2:
        sys.exit("ROUNDS must be 2 or more")
    try:
        sys.exit(main())
    finally:
        remove(WORK)
