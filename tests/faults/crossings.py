#!/usr/bin/env python3
"""Two doors on one path, in every order, with a kill -9 after each step.

Usage: crossings.py STAGEFS_BINARY [SHARE [SEED]]. SHARE: one in so many crossings, at random; 1 is all of them.
A writer has several steps (open, write, maybe fsync, close), the other door's step comes before, between or after them; or
two doors of one step each follow each other. After each step the daemon is killed in one run, and the path must show what was
acknowledged last, by the rules of the mount's own tables; what fsync() acknowledged and another door replaced must be in
.stagefs/recovered.
"""
import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from scene import clean_up, daemons, is_clean, mount_with_http, seeded

binary = sys.argv[1]
share = int(sys.argv[2]) if len(sys.argv) > 2 else 1
random = seeded("crossings", 3)
work = tempfile.mkdtemp(prefix="stagefs-test-")
root, mnt = work + "/root", work + "/mnt"  # Each scene has a root of its own.
os.mkdir(mnt)
BASE, WRITTEN, LISTED, POSTED, MOVED = (f"{word} {word}\n" for word in ("base", "written", "listed", "posted", "moved"))
ABSENT = None


def stagefs(*args, **kwargs):
    return subprocess.run([binary, "--root", root, *args], check=True, timeout=120, capture_output=True, text=True, **kwargs).stdout


class Helper:
    """A shell that was started before any file was open: a process made later would close its copy of the writer's
    descriptor, and with that stage what is written."""
    def __init__(self):
        self.shell = subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stagefs(self, arguments):
        self.shell.stdin.write(f"{binary} --root {root} {arguments} > {work}/said 2>&1; echo $?\n")
        self.shell.stdin.flush()
        assert self.shell.stdout.readline() == "0\n", open(f"{work}/said").read()


def has_ended(pid):
    """Its files are closed; nobody may have waited for it yet."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def hash_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Scene:
    """A repository and its workspace, mounted; `p` is in its base. What is acknowledged is noted beside what is done."""

    def __init__(self):
        shutil.rmtree(root, ignore_errors=True)
        stagefs("create", "t/r")
        stagefs("put", "t/r", f"{work}/contents")
        stagefs("workspace", "create", "t/r:w")
        stagefs("stage", "t/r:w", "-", input=f"{hash_of(BASE)}  p\n")
        stagefs("commit", "t/r:w", "-m", "base")
        self.fd = None
        self.shown = {"p": BASE, "r": MOVED}  # What names show once everything that was acknowledged is staged.
        self.data = None                      # What the writer's handle holds, where it leads to a name still:
        self.name = None
        self.synced = None                    # What fsync() acknowledged of it, and
        self.replaced = False                 # whether another door staged at its name since it was opened.
        self.start()
        with open(f"{mnt}/r", "w") as file:
            file.write(MOVED)

    def start(self):
        self.address = mount_with_http(binary, root, mnt)
        self.pids = [pid for pid in daemons(binary, root, mnt) if not has_ended(pid)]

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, f"/api/repos/t/r/workspaces/w{path}", body and json.dumps(body),
                           {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def await_end(self):
        deadline = time.monotonic() + 60
        while not all(has_ended(pid) for pid in self.pids):
            assert time.monotonic() < deadline, "the daemon does not end"
            time.sleep(0.005)

    def kill(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self.await_end()
        if self.fd is not None:
            try:
                os.close(self.fd)
            except OSError:
                pass  # The daemon is gone.
            self.fd = None

    def end(self):
        stagefs("unmount", mnt)
        self.await_end()

    def stage_elsewhere(self, text):
        self.shown["p"] = text
        self.replaced = True

    def check(self):
        """None, or what is wrong after a kill and a new start."""
        self.start()
        found = {}
        for name in ("p", "q", "r"):
            try:
                with open(f"{mnt}/{name}") as file:
                    found[name] = file.read()
            except FileNotFoundError:
                pass
        recovered = [open(f"{folder}/{leaf}").read() for folder, _, leaves in os.walk(f"{mnt}/.stagefs/recovered") for leaf in leaves]
        said = subprocess.run([binary, "--root", root, "fsck", "t/r"], capture_output=True, text=True, timeout=120)
        should = {name: text for name, text in self.shown.items() if text is not ABSENT}
        if self.synced is not None and self.name is not None:
            if not self.replaced:
                should[self.name] = self.synced
            elif self.synced not in recovered and found.get(self.name) != self.synced:
                return f"fsynced {self.synced!r} is neither there nor recovered: {found}, {recovered}"
        if found != should:
            return f"{found}, not {should}; recovered {recovered}"
        return None if is_clean(said.returncode, said.stdout) else said.stdout


# The writer's steps.
def open_it(scene):
    scene.fd = os.open(f"{mnt}/p", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    scene.data, scene.name, scene.replaced = "", "p", False


def write_it(scene):
    os.pwrite(scene.fd, WRITTEN.encode(), 0)
    scene.data = WRITTEN


def sync_it(scene):
    os.fsync(scene.fd)
    scene.synced = scene.data


def close_it(scene):
    os.close(scene.fd)
    scene.fd = None
    if scene.name:
        scene.shown[scene.name] = scene.data
    scene.name = scene.synced = None


# The other doors: one step each. They say what they acknowledge.
def post(scene):
    scene.ask("POST", "/files/batch", [{"hash": hash_of(POSTED), "path": "p"}])
    scene.stage_elsewhere(POSTED)


def list_it(scene):
    with open(f"{mnt}/.stagefs/inbox/list.sum", "w") as file:
        file.write(f"{hash_of(LISTED)}  p\n")
    scene.stage_elsewhere(LISTED)


def move_over(scene):
    os.rename(f"{mnt}/r", f"{mnt}/p")
    scene.shown.update({"p": MOVED, "r": ABSENT})
    scene.name = None if scene.name == "p" else scene.name


def move_away(scene):
    os.rename(f"{mnt}/p", f"{mnt}/q")
    # What the writer wrote is staged first, so that it moves along.
    scene.shown.update({"q": scene.data if scene.name == "p" else scene.shown["p"], "p": ABSENT})
    if scene.name == "p":
        scene.name = "q"
        scene.synced = None


def unlink(scene):
    os.unlink(f"{mnt}/p")
    scene.shown["p"] = ABSENT
    scene.name = None if scene.name == "p" else scene.name


def link(scene):
    os.link(f"{mnt}/p", f"{mnt}/q")
    text = scene.data if scene.name == "p" else scene.shown["p"]
    scene.shown.update({"p": text, "q": text})
    scene.synced = None


def link_version(scene):
    os.unlink(f"{mnt}/p")
    os.link(f"{mnt}/.stagefs/versions/{hash_of(LISTED)}", f"{mnt}/p")
    scene.shown["p"] = LISTED
    scene.name = None if scene.name == "p" else scene.name


def truncate(scene):
    os.truncate(f"{mnt}/p", 2)
    text = (scene.data if scene.name == "p" else scene.shown["p"])[:2].ljust(2, "\0")
    if scene.name == "p":
        scene.data = text
    scene.shown["p"] = text
    scene.synced = None


def commit(scene):
    scene.ask("POST", "/commit/main", {"message": "crossing", "author": "A", "email": "a@b"})


def unstage(scene):
    scene.ask("DELETE", "/files/p")
    scene.stage_elsewhere(BASE)


def gc(scene):
    helper.stagefs("gc t/r --keep 0")


WRITER = [open_it, write_it, close_it]
SYNCING_WRITER = [open_it, write_it, sync_it, close_it]
DOORS = [post, list_it, move_over, move_away, unlink, link, link_version, truncate, commit, unstage, gc]


def crossings():
    for writer in (WRITER, SYNCING_WRITER):
        for door in DOORS:
            for place in range(len(writer) + 1):
                yield writer[:place] + [door] + writer[place:]
    for first in DOORS:
        for second in DOORS:
            yield [first, second]


def possible(steps):
    """Whether each step finds what it needs: a name, or something to take back."""
    p, q, r, staged = True, False, True, False
    for step in steps:
        if step in (move_away, unlink, link, link_version, truncate) and not p:
            return False
        if step in (link, move_away) and q or step is move_over and not r:
            return False
        if step is unstage and not staged or step is commit and steps.count(commit) > 1:
            return False
        if step is commit:
            staged = False
        if step in (post, list_it, move_over, link_version, truncate, close_it, unlink):
            staged = True
        p = p if step not in (move_away, unlink) else False
        p = True if step in (post, list_it, move_over, link_version, open_it, unstage) else p
        q = q or step in (move_away, link)
        r = r and step is not move_over
    # After a commit the base is another one, and after gc nothing has what these name.
    named = [steps.index(step) for step in (post, list_it, link_version) if step in steps]
    return not (commit in steps and unstage in steps) and not (gc in steps and any(at > steps.index(gc) for at in named))


done, failed, scene = 0, 0, None
helper = Helper()
try:
    os.mkdir(f"{work}/contents")
    for text in (BASE, LISTED, POSTED):
        with open(f"{work}/contents/{hash_of(text)}", "w") as file:
            file.write(text)
    for steps in crossings():
        if not possible(steps) or random.randrange(share) != 0:
            continue
        for kill_after in range(1, len(steps) + 1):
            scene = Scene()
            trace = [step.__name__ for step in steps[:kill_after]]
            try:
                for step in steps[:kill_after]:
                    step(scene)
                scene.kill()
                wrong = scene.check()
                scene.end()
            except (OSError, AssertionError, subprocess.CalledProcessError) as error:
                wrong = repr(error) + str(getattr(error, "stderr", ""))
                scene.kill()
                subprocess.run(["umount", "-l", mnt], capture_output=True)
            done += 1
            if wrong:
                failed += 1
                print(f"{' '.join(trace)}, killed: {wrong}", flush=True)
finally:
    if scene is not None:
        scene.kill()
    clean_up(work, mnt)
print(f"crossings: {done} kills, {failed} wrong")
sys.exit(bool(failed))
