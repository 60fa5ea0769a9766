#!/usr/bin/env python3
"""migrate is killed at each change of the disk it makes and each message it sends to the database, in both directions.

Usage: moves.py STAGEFS_BINARY DISK_SO POSTGRES_URL SHARE [SEED]. SHARE of the moments (1: all) are tried. Before it moves back the
folder has the index that moved away, with the log that a daemon left which was killed. After each kill somebody stages something,
and a daemon that was there before writes something, which is refused or kept; the next migrate ends the move, and everything
is there that ever was acknowledged. A daemon that still has an old index open where it would come back is named, and nothing happens.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import scene

binary, disk_so, server, share = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
rng = scene.seeded("moves", 5)
work = tempfile.mkdtemp(prefix="stagefs-test-")
there, back, root, mnt, older, reached = (f"{work}/{name}" for name in ("there", "back", "root", "mnt", "older", "reached"))
os.mkdir(mnt)
os.mkdir(older)
failed = tried = 0
AWAY = {"committed": "committed\n", "staged": "staged\n"}
BACK = dict(AWAY, later="staged later\n")


def url_of(database):
    return server.replace("/postgres?", f"/{database}?")


def sql(statement, database="postgres"):
    return subprocess.run(["psql", "-qXAt", url_of(database), "-c", statement], check=True, capture_output=True, text=True).stdout


def stagefs(*args, at=root, env=None, **kwargs):
    return subprocess.run([binary, "--root", at, *args], env=env, timeout=120, capture_output=True, text=True, **kwargs)


def done(*args, **kwargs):
    ended = stagefs(*args, **kwargs)
    if ended.returncode != 0:
        raise SystemExit(f"{args}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def mounted(at, mountpoint=mnt):
    daemon = subprocess.Popen([binary, "--root", at, "mount", "t/r:w", mountpoint, "--foreground"], stderr=subprocess.DEVNULL)
    while not os.path.ismount(mountpoint) and daemon.poll() is None:
        time.sleep(0.005)
    return daemon


def unmounted(daemon, mountpoint=mnt):
    subprocess.run([binary, "--root", root, "unmount", mountpoint], check=True, capture_output=True, timeout=120)
    daemon.wait(60)


def stage(at, name, text):
    """Whether it was acknowledged."""
    file = f"{work}/{name}"
    with open(file, "w", encoding="ascii") as new:
        new.write(text)
    put = stagefs("put", "t/r", file, at=at)
    return put.returncode == 0 and stagefs("stage", "t/r:w", "-", at=at, input=f"{put.stdout.split()[0]}  {name}\n").returncode == 0


def make_templates():
    """An embedded root, and one that was moved away under a daemon, was used there, and whose daemon was killed."""
    done("create", "t/r", at=there)
    done("workspace", "create", "t/r:w", at=there)
    if not stage(there, "committed", AWAY["committed"]):
        raise SystemExit("nothing can be staged")
    done("commit", "t/r:w", "-m", "first", at=there)
    stage(there, "staged", AWAY["staged"])
    shutil.copytree(there, back)
    sql("CREATE DATABASE used")
    daemon = mounted(back)
    done("migrate", "t/r", "--index", url_of("used"), at=back)
    daemon.kill()
    daemon.wait()
    subprocess.run(["umount", "-l", mnt], check=True)
    if not os.path.getsize(f"{back}/t/r/stagefs.db-wal"):
        raise SystemExit("the daemon that was killed left no log")
    stage(back, "later", BACK["later"])
    done("commit", "t/r:w", "-m", "second", at=back)


def start(template, database):
    """`root` as `template`, with its index in `database` where that is given."""
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", template, root], check=True)
    sql("DROP DATABASE IF EXISTS run WITH (FORCE)")
    sql(f"CREATE DATABASE run TEMPLATE {database}")
    places = f"{root}/t/r/places.json"
    if os.path.exists(places):
        with open(places, encoding="ascii") as file:
            text = file.read().replace("/used?", "/run?")
        with open(places, "w", encoding="ascii") as file:
            file.write(text)
    # The versions' folder is named with the index: it is another one here.
    if template == back:
        sql(f"UPDATE stagefs_1.meta SET value = replace(value, '{back}/', '{root}/') WHERE key = 'versions'", "run")
    if os.path.exists(reached):
        os.unlink(reached)


def wrong_with(expected, commits):
    wrong = []
    ended = stagefs("fsck", "t/r")
    if not scene.is_clean(ended.returncode, ended.stdout):
        wrong.append(f"fsck: {ended.stdout}{ended.stderr}")
    daemon = mounted(root)
    for name, text in expected.items():
        try:
            with open(f"{mnt}/{name}", encoding="ascii") as file:
                found = file.read()
        except OSError as error:
            found = str(error)
        if found != text:
            wrong.append(f"{name} is {found!r}, not {text!r}")
    for name in set(os.listdir(mnt)) - set(expected) - {".stagefs", "refused"}:
        wrong.append(f"{name} came from nowhere")
    try:
        with open(f"{mnt}/after", "w", encoding="ascii") as file:
            file.write("after\n")
    except OSError as error:
        wrong.append(f"nothing can be written: {error}")
    unmounted(daemon)
    if "after" not in stagefs("ls", "t/r:w").stdout:
        wrong.append("what is written afterwards is not there")
    log = stagefs("log", "t/r").stdout
    if len(log.splitlines()) != commits:
        wrong.append(f"commits are {log!r}")
    return wrong


def try_all(what, template, database, expected, commits, arguments):
    global tried, failed
    for variable in ("FAULT_AT", "FAULT_SEND"):
        number = 0
        while True:
            number += 1
            if rng.random() > share and number % 40 != 0:
                continue
            start(template, database)
            daemon = mounted(root, older)
            env = dict(os.environ, LD_PRELOAD=disk_so, FAULT_ROOT=root, FAULT_REACHED=reached, FAULT_KILL="1",
                       **{variable: str(number)})
            stagefs("migrate", "t/r", *arguments, env=env)
            if not os.path.exists(reached):
                unmounted(daemon, older)
                break
            tried += 1
            now = dict(expected)
            if stage(root, "meanwhile", f"{number}\n"):
                now["meanwhile"] = f"{number}\n"
            try:
                with open(f"{older}/daemon", "w", encoding="ascii") as file:
                    file.write("of a daemon\n")
                now["daemon"] = "of a daemon\n"
            except OSError:
                pass
            again = stagefs("migrate", "t/r", *arguments)
            wrong = []
            if again.returncode != 0 and "there already" not in again.stderr:
                wrong.append(f"migrate: {again.stderr}")
            with open(f"{older}/staged", encoding="ascii") as file:
                if file.read() != expected["staged"]:
                    wrong.append("who had it mounted does not read on")
            unmounted(daemon, older)
            wrong += wrong_with(now, commits)
            if wrong:
                failed += 1
                print(f"{what}, killed at {variable} {number}", *wrong, sep="\n  ", flush=True)


def beside_a_daemon():
    """It reads by the index that moved away: neither its file nor its log may become another's."""
    global failed
    start(there, "template0")
    daemon = mounted(root)
    done("migrate", "t/r", "--index", url_of("run"))
    stage(root, "later", BACK["later"])
    done("commit", "t/r:w", "-m", "second")
    wrong = []
    refused = stagefs("migrate", "t/r", "--embedded")
    if refused.returncode == 0 or f"process {daemon.pid} (stagefs), mounted at {mnt}" not in refused.stderr:
        wrong.append(f"it is not named: {refused.stdout}{refused.stderr}")
    with open(f"{mnt}/staged", encoding="ascii") as file:
        if file.read() != AWAY["staged"]:
            wrong.append("it does not read on")
    unmounted(daemon)
    done("migrate", "t/r", "--embedded")
    wrong += wrong_with(BACK, 3)
    if wrong:
        failed += 1
        print("beside a daemon", *wrong, sep="\n  ", flush=True)


try:
    make_templates()
    beside_a_daemon()
    try_all("away", there, "template0", AWAY, 2, ["--index", url_of("run")])
    try_all("back", back, "used", BACK, 3, ["--embedded"])
finally:
    subprocess.run(["umount", "-l", older], check=False, stderr=subprocess.DEVNULL)
    scene.clean_up(work, mnt)
print(f"moves: {tried} kills, {failed} times something was wrong")
sys.exit(1 if failed else 0)
