#!/usr/bin/env python3
"""Cuts: what is there after the power went, or the process was killed, at any moment of a mixed load.

Usage: cuts.py STAGEFS_BINARY DISK_SO STEPS CUTS [SEED]. A load of STEPS steps through all doors runs once, with every change below
the root written down (disk.c). Then, for CUTS moments of it, the disk is built as it may have been and checked:

  kill      everything that was written is there: kill -9
  data      names as they are, bytes that were not synced are gone (what LazyFS does)
  journal   the same, and changes of names since the last sync of anything are gone (ext4 by its journal)
  strict    names are kept by a sync of their folder, or of the whole file system, alone (what POSIX promises)

The daemon and each command may have a clock that is far ahead or behind.
One in four syncs of versions, working copies and the index's log fails once, and the kernel takes those pages for written.
At its end the load turns the index into one of the oldest stagefs, and opens it: every moment of that upgrade is cut in each way.
After a cut fsck must be clean, and each path of the workspace must hold what an acknowledged step left there, as far back as
that door's promise allows: the last step that is durable at once, or the last one older than a second.
"""
import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import scene
from disk_model import Disk, records

binary, disk_so, steps, cuts = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = scene.seeded("cuts", 5)
work = tempfile.mkdtemp(prefix="stagefs-test-")
root, mnt, log = f"{work}/root", f"{work}/mnt", f"{work}/log"
os.makedirs(mnt)
os.makedirs(root)
MODES = ["kill", "data", "journal", "strict"]
# What each step of core/index/sqlite/sqlite_upgrade.cc adds.
DOWNGRADE = """BEGIN; ALTER TABLE commit_log DROP COLUMN merged; ALTER TABLE branch DROP COLUMN line; DROP TABLE mount;
ALTER TABLE tree_entry DROP COLUMN target; ALTER TABLE staged_entry DROP COLUMN permissions;
ALTER TABLE unsynced_entry DROP COLUMN permissions;
DROP TABLE sparse_version; DROP TABLE tag; DROP TABLE taken_back;
CREATE TABLE mount (mountpoint BLOB PRIMARY KEY, workspace INTEGER NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL)
STRICT, WITHOUT ROWID; PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE name = 'version'; PRAGMA user_version = 1;
COMMIT;"""
recorded = dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_LOG=log, FAULT_SYNC="4")
PROMISED_SECONDS = 1.5  # One, and what a busy machine adds.


def note(text):
    with open(log, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{text}\n".encode())


def stagefs(*args, at=root, env=None, **kwargs):
    done = subprocess.run([binary, "--root", at, *args], env=env, timeout=120, capture_output=True, text=True, **kwargs)
    return done.returncode, done.stdout, done.stderr


def by_some_clock():
    """The environment of a process whose clock may be more than a year ahead, or behind."""
    return dict(recorded, FAULT_CLOCK=str(rng.choice([0, 0, 400, -400]) * 86_400))


def recorded_stagefs(*args, **kwargs):
    code, said, complaint = stagefs(*args, env=by_some_clock(), **kwargs)
    if code != 0:
        raise SystemExit(f"{args}: {said}{complaint}")
    return said


def is_of_the_disk(error):
    return getattr(error, "errno", None) == errno.EIO or getattr(error, "code", None) == 500 or "fsync" in str(error)


def digest(content):
    return hashlib.sha256(content).hexdigest()


# The load.

class Load:
    """What the workspace should hold, and steps that change it: {path: content}, or None for a path that goes."""

    def __init__(self, url):
        self.url, self.tree, self.known, self.number = url, {}, [], 0
        self.wanted = set()  # Contents that were put, linked or named by hash: what files grow out of else goes.
        self.states, self.names, self.durable, self.batches = [{}], ["start"], [True], [False]

    def content(self):
        self.number += 1
        return f"{self.number} {rng.random()}\n".encode() * rng.randrange(1, 200)

    def path(self):
        return rng.choice(["", "a/", "b/"]) + f"f{rng.randrange(15)}"

    def step(self, name, changes, durable, operation, batch=False):
        number = len(self.states)
        self.tree.update(changes)
        self.states.append(dict(self.tree))
        self.names.append(name)
        self.durable.append(durable)
        self.batches.append(batch)
        note(f"B {time.monotonic():.6f} {number} {name}")
        for tries_left in reversed(range(5)):
            try:
                operation()
                break
            except (OSError, SystemExit) as error:  # A disk whose syncs fail again and again is told of.
                if not durable or not tries_left or not is_of_the_disk(error):
                    raise
        note(f"A {time.monotonic():.6f} {number}")

    def write(self, path, content, sync):
        with open(f"{mnt}/{path}", "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def append(self, path, piece):
        with open(f"{mnt}/{path}", "ab") as file:
            file.write(piece)

    def lines(self):
        entries = {self.path(): rng.choice(self.known) for _ in range(rng.randrange(1, 12))}
        self.wanted.update(entries.values())
        return entries, "".join(f"{digest(content)}  {path}\n" for path, content in entries.items())

    def post(self, entries):
        body = json.dumps([{"hash": digest(content), "path": path} for path, content in entries.items()]).encode()
        request = urllib.request.Request(f"{self.url}/api/repos/t/r/workspaces/w/files/batch/.", body,
                                         {"content-type": "application/json"})
        assert json.load(urllib.request.urlopen(request, timeout=60))["err_files"] == []

    def one(self):
        present = sorted(path for path, content in self.tree.items() if content is not None)
        kind = rng.randrange(13) if present else 0
        path, content = self.path(), self.content()
        if kind in (0, 1, 2):
            sync = kind == 1
            self.step("fsync" if sync else "write", {path: content}, sync, lambda: self.write(path, content, sync))
            self.known.append(content)
        elif kind == 3:
            source = rng.choice(present)
            if self.tree.get(path) is None:
                self.wanted.add(self.tree[source])
                self.step("link", {path: self.tree[source]}, False, lambda: os.link(f"{mnt}/{source}", f"{mnt}/{path}"))
        elif kind == 4:
            source = rng.choice(present)
            if source != path:
                self.step("rename", {source: None, path: self.tree[source]}, False,
                          lambda: os.rename(f"{mnt}/{source}", f"{mnt}/{path}"))
        elif kind == 5:
            gone = rng.choice(present)
            self.step("unlink", {gone: None}, False, lambda: os.unlink(f"{mnt}/{gone}"))
        elif kind == 6 and self.known:
            entries, lines = self.lines()
            self.step("inbox", entries, True, lambda: self.write(f".stagefs/inbox/{self.number}.sum", lines.encode(), False), True)
        elif kind == 7 and self.known:
            entries, lines = self.lines()
            self.step("stage", entries, True, lambda: recorded_stagefs("stage", "t/r:w", "-", input=lines), True)
        elif kind == 8 and self.known:
            entries, _ = self.lines()
            self.step("http", entries, True, lambda: self.post(entries), True)
        elif kind == 9:
            if rng.random() < 0.5 and any(self.tree.values()):
                self.step("commit", {}, True, lambda: stagefs("commit", "t/r:w", "-m", "more", env=by_some_clock()))
            else:
                with open(f"{work}/new", "wb") as file:
                    file.write(content)
                self.step("put", {}, True, lambda: recorded_stagefs("put", "t/r", f"{work}/new"))
                self.known.append(content)
                self.wanted.add(content)
        elif kind in (11, 12):
            grown = rng.choice(present)
            for _ in range(rng.randrange(1, 4)):
                before = self.tree[grown]
                if before not in self.wanted:
                    self.known = [other for other in self.known if other != before]
                piece = self.content()[:rng.choice([10, 1000])]
                self.step("append", {grown: before + piece}, False, lambda: self.append(grown, piece))
        elif rng.random() < 0.4:
            self.step("gc", {}, True, lambda: recorded_stagefs("gc", "t/r", "--keep", rng.choice("017")))
            self.known = [content for content in self.tree.values() if content is not None]
        elif rng.random() < 0.1:
            time.sleep(2 * PROMISED_SECONDS)  # What was closed is synced by now, whoever asks.


def run_load():
    recorded_stagefs("create", "t/r")
    daemon = subprocess.Popen([binary, "--root", root, "mount", "t/r:w", mnt, "--create", "--foreground", "--listen", ":0",
                               "--insecure-no-auth"], env=by_some_clock(), stderr=subprocess.PIPE, text=True)
    url = daemon.stderr.readline().split()[-1]
    while not os.path.ismount(mnt):
        time.sleep(0.01)
    os.makedirs(f"{mnt}/a")
    os.makedirs(f"{mnt}/b")
    note(f"A {time.monotonic():.6f} 0")
    load = Load(url)
    try:
        while len(load.states) <= steps:
            load.one()
    finally:
        stagefs("unmount", mnt)
        ended, complaint = daemon.wait(60), daemon.stderr.read()
        if ended != 0 and "fsync" not in complaint:  # It may say that what was not acknowledged as durable is not.
            raise SystemExit(f"the daemon ended badly: {complaint}")
    subprocess.run(["sqlite3", f"{root}/t/r/stagefs.db", DOWNGRADE], check=True, env=recorded)
    load.step("upgrade", {}, True, lambda: recorded_stagefs("sync", "t/r"))
    return load


def tree_of(at):
    """{path: sha256} of the workspace; nothing where there is no workspace yet."""
    found = {}
    for folder in ("", "a", "b"):
        code, said, complaint = stagefs("--json", "ls", "t/r:w", *([folder] if folder else []), at=at)
        if code != 0 and folder == "":
            return None, complaint
        for line in said.splitlines() if code == 0 else []:
            entry = json.loads(line)
            if entry["kind"] == "file":
                found[f"{folder}/{entry['name']}" if folder else entry["name"]] = entry["sha256"]
    return found, ""


def check(load, disk, mode, moment, acknowledged, begun):
    at = tempfile.mkdtemp(prefix="cut-", dir=work)
    try:
        disk.build(mode, at)
        found, complaint = tree_of(at)
        if found is None:
            return [f"the repository does not open: {complaint}"]
        code, said, complaint = stagefs("fsck", "t/r", at=at)
        wrong = []
        if not scene.is_clean(code, said):
            wrong.append(f"fsck: {said}{complaint}")
        newest = max(acknowledged)
        oldest = newest
        if mode != "kill":
            oldest = max([number for number in acknowledged if load.durable[number]] +
                         [number for number, when in acknowledged.items() if when < moment - PROMISED_SECONDS])
        last = max(newest, begun)
        for path in {path for state in load.states[:last + 1] for path in state} | set(found):
            allowed = {content and digest(content) for content in (state.get(path) for state in load.states[oldest:last + 1])}
            if found.get(path) not in allowed:
                wrong.append(f"{path}: {str(found.get(path))[:12]} instead of {[str(one)[:12] for one in allowed]}, "
                             f"steps {oldest} to {last} ({', '.join(load.names[oldest:last + 1])}; acknowledged: {newest})")
        if last > newest and load.batches[last]:
            before, after = load.states[last - 1], load.states[last]
            changed = [path for path in after if after[path] != before.get(path)]
            done = [found.get(path) == digest(after[path]) for path in changed]
            if oldest == last - 1 and any(done) and not all(done):
                wrong.append(f"half of a batch is staged: step {last}")
        return wrong
    finally:
        shutil.rmtree(at)


failed = checked = 0
by_mode = {}
try:
    load = run_load()
    total = sum(1 for kind, *_ in records(log))
    first = next(i for i, (kind, _, words, _) in enumerate(records(log)) if kind == "A")
    chosen = {}
    for moment in rng.choices(range(first + 1, total), k=cuts):
        chosen.setdefault(moment, []).append(rng.choice(MODES))
    upgrade = next(i for i, (kind, _, words, _) in enumerate(records(log)) if kind == "B" and words[1] == "upgrade")
    for moment in range(upgrade + 1, total):
        chosen[moment] = MODES
    disk, acknowledged, begun = Disk(root), {}, 0
    for number, (kind, moment, words, data) in enumerate(records(log)):
        for mode in chosen.get(number, []):
            wrong = check(load, disk, mode, moment, acknowledged, begun)
            checked += 1
            by_mode[mode] = by_mode.get(mode, 0) + 1
            if wrong:
                failed += 1
                print(f"cut {number} of {total}, {mode}:", *wrong[:5], sep="\n  ", flush=True)
        if kind == "A":
            acknowledged[int(words[0])] = moment
        elif kind == "B":
            begun = int(words[0])
        else:
            disk.apply(kind, words, data)
finally:
    scene.clean_up(work, mnt)
print(f"cuts: {steps} steps, {total} changes of the disk, {checked} cuts "
      f"({', '.join(f'{count} {mode}' for mode, count in sorted(by_mode.items()))}), {failed} failed")
sys.exit(1 if failed else 0)
