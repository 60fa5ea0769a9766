#!/usr/bin/env python3
"""A disk that fails: each change of the disk that a command or a mount makes fails once, with EIO, ENOSPC and a short write.

Usage: failures.py STAGEFS_BINARY DISK_SO SHARE [SEED]. SHARE of the moments (1: all) are tried. What reported success is there
afterwards, what reported an error is there or not, the error is told, fsck is clean, and a daemon goes on. A mount is killed as each
of its syncs fails, before it can tell anybody.
"""
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import scene
from disk_model import Disk, records

binary, disk_so, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
rng = scene.seeded("failures", 4)
work = tempfile.mkdtemp(prefix="stagefs-test-")
template, root, mnt = f"{work}/template", f"{work}/root", f"{work}/mnt"
os.mkdir(mnt)
WAYS = [("EIO", {"FAULT_ERRNO": str(errno.EIO)}), ("ENOSPC", {"FAULT_ERRNO": str(errno.ENOSPC)}),
        ("short write", {"FAULT_ERRNO": str(errno.ENOSPC), "FAULT_SHORT": "1"})]
failed = tried = 0


def stagefs(*args, at=None, env=None):
    return subprocess.run([binary, "--root", at or root, *args], env=env, timeout=120, capture_output=True, text=True)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def start():
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", template, root], check=True)


reached = f"{work}/reached"  # Made when it comes to the change that fails.


def failing(way, number):
    if os.path.exists(reached):
        os.unlink(reached)
    return dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_AT=str(number), FAULT_REACHED=reached, **way)


def complain(what, *lines):
    global failed
    failed += 1
    print(what, *lines, sep="\n  ", flush=True)


def check_disk(what, at=None):
    done = stagefs("fsck", "t/r", at=at)
    if not scene.is_clean(done.returncode, done.stdout):
        complain(f"{what}: fsck", done.stdout + done.stderr)


def listing(at=None):
    done = stagefs("ls", "t/r:w", at=at)
    if done.returncode != 0:
        complain("ls", done.stderr)
    return sorted(line.split()[-1] for line in done.stdout.splitlines())


with open(f"{work}/new", "w") as file:
    file.write("new\n")
with open(f"{work}/list.sum", "w") as file:
    file.write(f"{digest('old' + chr(10))}  listed\n")
COMMANDS = [
    (("put", "t/r", f"{work}/new"), lambda: stagefs("stage", "t/r:w", f"{work}/new.sum").returncode == 0),
    (("stage", "t/r:w", f"{work}/list.sum"), lambda: "listed" in listing()),
    (("rm", "t/r:w", "old"), lambda: "old" not in listing()),
    (("commit", "t/r:w", "-m", "failing"), lambda: "failing" in stagefs("log", "t/r").stdout),
    (("workspace", "create", "t/r:other"), lambda: "other" in stagefs("workspace", "list", "t/r").stdout),
]
with open(f"{work}/new.sum", "w") as file:
    file.write(f"{digest('new' + chr(10))}  new\n")


def try_commands():
    global tried
    for command, is_done in COMMANDS:
        for name, way in WAYS:
            number = 0
            while True:
                number += 1
                start()
                done = stagefs(*command, env=failing(way, number))
                if not os.path.exists(reached):
                    break  # It makes fewer changes than that.
                if rng.random() > share:
                    continue
                tried += 1
                what = f"{' '.join(command[:2])}, change {number} fails with {name}"
                if done.returncode < 0:
                    complain(f"{what}: it crashed", str(done.returncode), done.stderr)
                if done.returncode == 0 and not is_done():
                    complain(f"{what}: it said it was done")
                if done.returncode != 0 and not done.stderr.startswith("stagefs: "):
                    complain(f"{what}: it did not say why", done.stderr)
                check_disk(what)


def load():
    """What programs do on a mount; returns {name: content} of what they were told is there; "either" where they were not."""
    told = {}

    def attempt(changes, operation):
        try:
            operation()
            told.update(changes)
        except OSError:
            told.update(dict.fromkeys(changes, "either"))

    def write(name, text, sync=False):
        with open(f"{mnt}/{name}", "w") as file:
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())
    attempt({"one": "one\n"}, lambda: write("one", "one\n"))
    attempt({"two": "two\n"}, lambda: write("two", "two\n", sync=True))
    attempt({"link": "old\n"}, lambda: os.link(f"{mnt}/old", f"{mnt}/link"))
    attempt({"one": None, "moved": told.get("one", "either")}, lambda: os.rename(f"{mnt}/one", f"{mnt}/moved"))
    attempt({"listed": "old\n"}, lambda: write(".stagefs/inbox/l.sum", f"{digest('old' + chr(10))}  listed\n"))
    attempt({"old": None}, lambda: os.unlink(f"{mnt}/old"))
    return told


def read(name):
    try:
        with open(f"{mnt}/{name}") as file:
            return file.read()
    except FileNotFoundError:
        return None


def check_told(what, told):
    for path, content in told.items():
        if content != "either" and read(path) != content:
            complain(f"{what}: {path} is {read(path)!r}, not {content!r}")


def mounted(env=None):
    daemon = subprocess.Popen([binary, "--root", root, "mount", "t/r:w", mnt, "--foreground"], env=env,
                              stderr=subprocess.PIPE, text=True)
    while not os.path.ismount(mnt) and daemon.poll() is None:
        time.sleep(0.005)
    return daemon


def unmount(daemon):
    if daemon.poll() is None:
        stagefs("unmount", mnt)
    code, said = daemon.wait(60), daemon.stderr.read()
    daemon.stderr.close()
    return code, said


def try_mount():
    global tried
    for name, way in WAYS:
        number = 0
        while True:
            number += 1
            if rng.random() > share and number % 50 != 0:
                continue
            start()
            daemon = mounted(failing(way, number))
            what = f"a mount, change {number} fails with {name}"
            told = {}
            if daemon.poll() is None:
                told = load()
                if daemon.poll() is not None:
                    complain(f"{what}: the daemon ended", daemon.stderr.read())
                check_told(what, told)
            code, said = unmount(daemon)
            if code < 0:
                complain(f"{what}: it crashed", str(code), said)
            came_to_it = os.path.exists(reached)
            tried += came_to_it
            again = mounted()
            check_told(f"{what}, after a remount", told)
            unmount(again)
            check_disk(what)
            if not came_to_it:
                break


def serve(name, mountpoint, env):
    daemon = subprocess.Popen([binary, "--root", root, "mount", f"t/r:{name}", mountpoint, "--create", "--foreground"], env=env,
                              stderr=subprocess.DEVNULL)
    while not os.path.ismount(mountpoint) and daemon.poll() is None:
        time.sleep(0.005)
    return daemon


def kill_after_failed_sync(number, files, beside):
    """The mount is killed as its sync `number` fails: nobody knows of it. Whether it came to that.

    What the next process says is durable, one that starts or one that was there all the time (`beside`), must be on the disk.
    """
    shutil.rmtree(root, ignore_errors=True)
    log, other = f"{work}/log", f"{work}/other"
    os.makedirs(root)
    os.makedirs(other, exist_ok=True)
    if os.path.exists(log):
        os.unlink(log)
    env = dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_LOG=log)
    if stagefs("create", "t/r", env=env).returncode != 0:
        raise SystemExit("there is no repository to begin with")
    witness = serve("other", other, env) if beside else None
    daemon = serve("w", mnt, dict(env, FAULT_SYNC=str(number), FAULT_SYNC_KILL="1"))
    try:
        for i in range(files if os.path.ismount(mnt) else 0):
            with open(f"{mnt}/f{i}", "w") as file:
                file.write(f"content {i}\n")
        daemon.wait(3)
    except (OSError, subprocess.TimeoutExpired):
        pass
    killed = daemon.poll() == -signal.SIGKILL
    daemon.kill()
    daemon.wait()
    subprocess.run(["umount", "-l", mnt], check=False, stderr=subprocess.DEVNULL)
    if beside:
        with open(f"{other}/sync", "w") as file:
            file.write("and all that was closed before\n")
            file.flush()
            os.fsync(file.fileno())
    else:
        recorded(env, "sync", "t/r")
    disk = Disk(root)
    for kind, _, words, data in records(log):
        disk.apply(kind, words, data)
    if beside:
        stagefs("unmount", other)
        witness.wait(60)
    at = f"{work}/cut"
    disk.build("data", at)
    what = f"killed as sync {number} of {files} files fails{', beside another mount' if beside else ''}"
    staged, kept = listing(), listing(at)
    if staged != kept:
        complain(f"{what}: of {staged} there is {kept}")
    check_disk(what, at)
    shutil.rmtree(at)
    return killed


def recorded(env, *args):
    done = stagefs(*args, env=env)
    if done.returncode != 0:
        raise SystemExit(f"{args}: {done.stderr}")


def try_kills():
    global tried
    for files in (2, 40):  # The more are synced with their file system.
        for beside in (False, True):
            number = 1
            while kill_after_failed_sync(number, files, beside):
                tried += 1
                number += 1


try:
    try_kills()
    stagefs("create", "t/r", at=template)
    with open(f"{work}/old", "w") as file:
        file.write("old\n")
    with open(f"{work}/old.sum", "w") as file:
        file.write(f"{digest('old' + chr(10))}  old\n")
    stagefs("put", "t/r", f"{work}/old", at=template)
    stagefs("workspace", "create", "t/r:w", at=template)
    if stagefs("stage", "t/r:w", f"{work}/old.sum", at=template).returncode != 0:
        raise SystemExit("the template cannot be made")
    try_commands()
    try_mount()
finally:
    scene.clean_up(work, mnt)
print(f"failures: {tried} changes of the disk failed, {failed} times something was wrong")
sys.exit(1 if failed else 0)
