#!/usr/bin/env python3
"""What follows a crash goes wrong, too: a second crash at each change that recovery makes, each read and each change failing once,
and two processes that start at once, where one stops at each change until the other one recovered and wrote something new.

Usage: recovery.py STAGEFS_BINARY DISK_SO SHARE [SEED]. SHARE of the moments (1: all) are tried. The first crash left files that
were being written, with and without fsync(), and closed contents that the power took, or did not. Whatever came between, the next
start ends with what recovery makes of it undisturbed; no command fails that nothing was done to.
"""
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import scene

binary, disk_so, share = sys.argv[1], sys.argv[2], float(sys.argv[3])
rng = scene.seeded("recovery", 4)
work = tempfile.mkdtemp(prefix="stagefs-test-")
template, root, mnt, reached = f"{work}/template", f"{work}/root", f"{work}/mnt", f"{work}/reached"
os.mkdir(mnt)
failed = tried = 0
# Where each content must be in the end: path: content, and what is in recovered/.
STAGED = {"whole": "closed\n", "cut": "before\n", "kept": "fsynced\n"}
RECOVERED = {"lost race\n", "not synced\n", "not synced, below\n"}


def stagefs(*args, at=root, env=None):
    return subprocess.run([binary, "--root", at, *args], env=env, timeout=120, capture_output=True, text=True)


def mounted(at):
    daemon = subprocess.Popen([binary, "--root", at, "mount", "t/r:w", mnt, "--create", "--foreground"], stderr=subprocess.DEVNULL)
    while not os.path.ismount(mnt) and daemon.poll() is None:
        time.sleep(0.005)
    return daemon


def write(name, text, keep=None):
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, text.encode())
    if keep:
        os.fsync(fd)
    if keep is None:
        os.close(fd)
    return fd


def kill(daemon, fds):
    daemon.kill()
    daemon.wait()
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass
    subprocess.run(["umount", "-l", mnt], check=False, stderr=subprocess.DEVNULL)


def make_template():
    """Two crashes, the second with the power: a file, then one below its name; contents that were and were not synced."""
    daemon = mounted(template)
    kill(daemon, [write("x", "not synced\n", keep=False)])
    if stagefs("status", "t/r:w", at=template).returncode != 0:
        raise SystemExit("the template cannot be made")
    daemon = mounted(template)
    write("cut", "before\n")
    write("race", "before\n")
    stagefs("sync", "t/r", at=template)
    os.mkdir(f"{mnt}/x")
    # Made before any file is open: one made later would close its copies of the descriptors, which stages the files.
    removing = subprocess.Popen(["sh", "-c", f"read line; exec {binary} --root {template} rm t/r:w race"], stdin=subprocess.PIPE)
    fds = [write("kept", "fsynced\n", keep=True), write("race", "lost race\n", keep=True),
           write("x/y", "not synced, below\n", keep=False)]
    removing.communicate(b"\n")
    write("whole", "closed\n")
    write("cut", "after\n")
    kill(daemon, fds)
    with sqlite3.connect(f"{template}/t/r/stagefs.db") as index:
        index.execute("UPDATE version SET synced = 0 WHERE size IN (6, 7)")
        cut = index.execute("SELECT hex(sha256) FROM version WHERE id = (SELECT version FROM unsynced_entry)").fetchone()[0].lower()
        index.execute("UPDATE meta SET value = 'before the cut' WHERE key = 'boot'")
    index.close()
    path = f"{template}/t/r/versions/{cut[:2]}/{cut[2:]}"
    os.chmod(path, 0o600)
    os.truncate(path, 3)
    os.chmod(path, 0o400)


def start():
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", template, root], check=True)
    if os.path.exists(reached):
        os.unlink(reached)


def check(what, more=None, wrong=()):
    """The next start, with nothing in its way, where `more` was written since."""
    global failed
    wrong = list(wrong)
    done = stagefs("fsck", "t/r")
    if not scene.is_clean(done.returncode, done.stdout):
        wrong.append(f"fsck: {done.stdout}{done.stderr}")
    mount = mounted(root)
    for path, content in {**STAGED, **(more or {})}.items():
        try:
            with open(f"{mnt}/{path}") as file:
                found = file.read()
        except OSError as error:
            found = error
        if found != content:
            wrong.append(f"{path} is {found!r}, not {content!r}")
    found = []
    for name in os.listdir(f"{mnt}/.stagefs/recovered"):
        with open(f"{mnt}/.stagefs/recovered/{name}") as file:
            found.append(file.read())
    if set(found) != RECOVERED or len(found) != len(RECOVERED):
        wrong.append(f"recovered: {sorted(found)}")
    subprocess.run([binary, "--root", root, "unmount", mnt], check=True, capture_output=True, timeout=120)
    mount.wait(60)
    # A version that was being written again is a file there, which gc removes a day later.
    left = [name for name in os.listdir(f"{root}/t/r/incoming") if os.path.isdir(f"{root}/t/r/incoming/{name}")]
    if left:
        wrong.append(f"left in incoming: {left}")
    if wrong:
        failed += 1
        print(what, *wrong, sep="\n  ", flush=True)


def try_all(what, variable, more):
    global tried
    number = 0
    while True:
        number += 1
        if rng.random() > share and number % 40 != 0:
            continue
        start()
        env = dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_REACHED=reached, **{variable: str(number)}, **more)
        stagefs("status", "t/r:w", env=env)
        if not os.path.exists(reached):
            return
        tried += 1
        check(f"{what} {number}")


def has_stopped(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] in "TZX"


def answers():
    """Whether it is mounted and answers: for that it waits for a turn, which the one that stopped may have."""
    try:
        return subprocess.run(["mountpoint", "-q", mnt], timeout=0.5, stderr=subprocess.DEVNULL).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def try_two():
    """After one cut, two daemons start. What one of them lists of the lost is something else when it comes to it."""
    global tried
    number = 0
    while True:
        number += 1
        if rng.random() > 2 * share and number % 40 != 0:
            continue
        start()
        env = dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_REACHED=reached, FAULT_AT=str(number), FAULT_STOP="1")
        first = subprocess.Popen([binary, "--root", root, "status", "t/r:w"], env=env, stdout=subprocess.DEVNULL)
        while not has_stopped(first):
            time.sleep(0.001)
        if not os.path.exists(reached):
            first.wait(60)
            return
        tried += 1
        second = subprocess.Popen([binary, "--root", root, "mount", "t/r:w", mnt, "--foreground"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 1  # The one that stopped may have the index to itself.
        while not answers() and time.monotonic() < deadline:
            time.sleep(0.005)
        if not answers():
            first.send_signal(signal.SIGCONT)
            first.wait(60)
        while not answers() and second.poll() is None:
            time.sleep(0.005)
        write("new", f"new {number}\n")
        first.send_signal(signal.SIGCONT)
        wrong = [] if first.wait(60) == 0 else ["the one that stopped failed"]
        subprocess.run([binary, "--root", root, "unmount", mnt], check=True, capture_output=True, timeout=120)
        second.wait(60)
        check(f"stopped at change {number} while another one started", {"new": f"new {number}\n"}, wrong)


try:
    make_template()
    start()
    check("undisturbed")
    for n in range(3):
        start()
        both = [subprocess.Popen([binary, "--root", root, "status", "t/r:w"], stdout=subprocess.DEVNULL) for _ in range(2)]
        if [one.wait(60) for one in both] != [0, 0]:
            failed += 1
            print("two at once: one does not open")
        check("two at once")
    try_two()
    try_all("killed at change", "FAULT_AT", {"FAULT_KILL": "1"})
    try_all("EIO at change", "FAULT_AT", {"FAULT_ERRNO": str(errno.EIO)})
    try_all("EIO at read", "FAULT_READ", {"FAULT_ERRNO": str(errno.EIO)})
    try_all("EMFILE at read", "FAULT_READ", {"FAULT_ERRNO": str(errno.EMFILE)})
finally:
    scene.clean_up(work, mnt)
print(f"recovery: {tried} times it was disturbed, {failed} times something was wrong")
sys.exit(1 if failed else 0)
