#!/usr/bin/env python3
"""Kills the daemon with SIGKILL at random moments of a mixed load and checks that what was acknowledged is there.

Usage: kill9.py STAGEFS_BINARY ROUNDS [SEED]. HOLD=1: another process has long turns to write meanwhile. Prints the seed; the same seed plays the same operations.
Each worker has a folder of its own and knows what it should hold: what the last acknowledged operation left,
or what the one in flight would have made of it.
"""
import hashlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

binary, rounds = sys.argv[1], int(sys.argv[2])
hold = os.environ.get("HOLD") == "1"
seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 30)
print(f"kill9: seed {seed}", flush=True)
work = tempfile.mkdtemp(prefix="stagefs-test-")
root, mnt = work + "/root", work + "/mnt"
os.mkdir(mnt)


def stagefs(*args, **kwargs):
    return subprocess.run([binary, "--root", root, *args], check=True, timeout=120, capture_output=True, text=True,
                          **kwargs).stdout


class Worker(threading.Thread):
    def __init__(self, number, state, rng, history, round):
        super().__init__()
        self.history, self.round = history, round  # What became of each content, for the report of a failure.
        self.number, self.state, self.rng = number, state, rng
        self.flight = None  # What may or may not have happened: (path, content or None), …
        self.folder = f"{mnt}/w{number}"
        self.operations = 0

    def path(self, name):
        return f"{self.folder}/{name}"

    def do(self, changes, operation, kind):
        """Runs `operation`, which makes each path of `changes` hold that content (None: nothing)."""
        self.flight = changes
        for content in changes.values():
            self.history.setdefault(content, []).append(f"round {self.round} {kind} begun")
        operation()
        for content in changes.values():
            self.history[content].append(f"round {self.round} {kind} acknowledged")
        self.state.update(changes)
        self.flight = None
        self.operations += 1

    def write(self, name, text, sync):
        with open(self.path(name), "w") as file:
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def synced(self, file, name, text):
        """Writes and syncs `text`, which is there from then on."""
        last, self.flight = self.flight, {name: text}
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        self.state[name], self.flight = text, last

    def unlink_open(self, name, text):
        """What fsync() kept goes with its file."""
        with open(self.path(name), "w") as file:
            self.synced(file, name, text)
            os.unlink(self.path(name))
            self.state[name] = None
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def empty_open(self, name, text):
        """What fsync() kept is there until what others write over it is."""
        with open(self.path(name), "w") as file:
            self.synced(file, name, "x" + text)
            self.write(name, text, False)

    def step(self):
        rng, present = self.rng, [p for p, c in self.state.items() if c is not None]
        name = f"f{rng.randrange(12)}"
        text = f"{self.number} {rng.random()} " + "x" * rng.randrange(5000)
        kind = rng.randrange(11)
        if kind <= 2 or not present:
            self.do({name: text}, lambda: self.write(name, text, kind == 0), 'fsync' if kind == 0 else 'write')
        elif kind == 3:
            victim = rng.choice(present)
            self.do({victim: None}, lambda: os.unlink(self.path(victim)), 'unlink')
        elif kind == 4:
            source = rng.choice(present)
            if source != name:
                self.do({source: None, name: self.state[source]},
                        lambda: os.rename(self.path(source), self.path(name)), 'rename')
        elif kind == 5:
            source, target = rng.choice(present), f"l{rng.randrange(1000000)}"
            self.do({target: self.state[source]}, lambda: os.link(self.path(source), self.path(target)), 'link')
        elif kind == 6:
            names = [f"m{rng.randrange(30)}" for _ in range(20)]
            source = self.state[rng.choice(present)]
            line = hashlib.sha256(source.encode()).hexdigest() + "  "
            manifest = "".join(f"{line}{n}\n" for n in names)
            def operation():
                with open(f"{mnt}/.stagefs/inbox/w{self.number}/{rng.randrange(1000000)}.sum", "w") as file:
                    file.write(manifest)
            self.do({n: source for n in names}, operation, 'manifest')
        elif kind == 7:
            self.do({name: None}, lambda: self.unlink_open(name, text), 'unlink while open')
        elif kind == 8:
            self.do({name: text}, lambda: self.empty_open(name, text), 'emptied while open')
        elif kind == 9:
            victim = rng.choice(present)
            def operation():
                with open(self.path(victim), "a") as file:
                    file.write(text[:1500])
            self.do({victim: self.state[victim] + text[:1500]}, operation, 'append')
        else:
            temporary = f".{name}.Xy12Zq"
            def operation():
                self.write(temporary, text, False)
                os.rename(self.path(temporary), self.path(name))
            self.do({name: text}, operation, 'write aside')

    def run(self):
        try:
            os.makedirs(self.folder, exist_ok=True)
            while True:
                self.step()
        except OSError:
            pass  # The daemon is gone.

    def check(self):
        """What is there is what was acknowledged, or what was in flight."""
        wrong = []
        for name in sorted(set(self.state) | set(self.flight or {})):
            try:
                with open(self.path(name)) as file:
                    found = file.read()
            except FileNotFoundError:
                found = None
            allowed = [self.state.get(name)]
            if self.flight and name in self.flight:
                allowed.append(self.flight[name])
            # A file that was emptied and not closed yet keeps what it held.
            if found not in allowed:
                wrong.append(f"{self.folder}/{name}: {found!r:.40} instead of {[str(a)[:40] for a in allowed]}; its history: "
                             f"{self.history.get(found)}; of what it should be: {self.history.get(allowed[0])}")
            self.state[name] = found
        return wrong


class Holder(threading.Thread):
    """Has the index's turn to write, longer than a close() waits for it."""

    def __init__(self, rng):
        super().__init__()
        self.rng, self.stop = rng, threading.Event()

    def run(self):
        index = sqlite3.connect(f"{root}/t/r/stagefs.db", isolation_level=None, timeout=60)
        while not self.stop.wait(self.rng.uniform(0, 0.1)):
            index.execute("BEGIN IMMEDIATE")
            self.stop.wait(self.rng.uniform(0, 0.5))
            index.execute("ROLLBACK")
        index.close()


def daemon():
    pids = subprocess.run(["pgrep", "-f", f"^{binary} --root {root} mount t/r:w {mnt}"], capture_output=True, text=True)
    return [int(pid) for pid in pids.stdout.split()]


failed, operations = 0, 0
states = [{} for _ in range(4)]
histories = [{} for _ in range(4)]
try:
    stagefs("create", "t/r")
    for number in range(rounds):
        stagefs("mount", "t/r:w", mnt, "--create")
        # Asked now: a child closes what it inherits as it begins, and so half of an append is staged: the kernel sends
        # what goes up to the end of a page, then the rest.
        pids = daemon()
        rng = random.Random(seed * 1000003 + number)
        workers = [Worker(i, states[i], random.Random(rng.random()), histories[i], number) for i in range(4)]
        holder = Holder(random.Random(rng.random())) if hold else None
        for thread in workers + ([holder] if hold else []):
            thread.start()
        threading.Event().wait(rng.uniform(0.02, 2 if hold else 0.3))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for worker in workers:
            worker.join(60)
        if hold:
            holder.stop.set()
            holder.join()
        operations += sum(worker.operations for worker in workers)
        stagefs("mount", "t/r:w", mnt)  # One command brings it back.
        wrong = [line for worker in workers for line in worker.check()]
        if number % 20 == 19 or number == rounds - 1:
            found = subprocess.run([binary, "--root", root, "fsck", "t/r"], capture_output=True, text=True, timeout=300)
            if found.returncode != 0 or "0 entries without a version" not in found.stdout:
                wrong.append("fsck: " + found.stdout[-300:] + found.stderr)
            stagefs("status", "t/r:w")
        if wrong:
            failed += 1
            print(f"round {number}:", *wrong[:5], sep="\n  ", flush=True)
        if number % 10 == 9:
            stagefs("commit", "t/r:w", "-m", f"round {number}")
        stagefs("unmount", mnt)
        for pid in daemon():
            subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=60)
    log = open(f"{root}/t/r/mount.log").read()
    if re.search("Sanitizer|runtime error|Assertion", log):
        failed += 1
        print(log[:5000])
finally:
    for pid in daemon():
        os.kill(pid, signal.SIGKILL)
    subprocess.run(["sh", "-c", f"umount -l {mnt} 2>/dev/null || fusermount3 -uz {mnt} 2>/dev/null; chmod -R u+w {work}; rm -rf {work}"])
print(f"kill9: {rounds} kills, {operations} operations acknowledged, {failed} rounds failed")
sys.exit(1 if failed else 0)
