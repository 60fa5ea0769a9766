#!/usr/bin/env python3
"""Random operations through all doors of one mount, beside a plain map of what should be there.

Usage: model.py STAGEFS_BINARY OPERATIONS [SEED]. Prints the seed; the same seed plays the same operations.
Files are nodes with bytes, names are a map from path to node, handles hold nodes: what POSIX says, and what stagefs adds
(a link is a copy; a list stages what it names). After each operation its answer is compared, and after each round
everything is: the tree, the base, the status, what another mount shows. Between rounds come commits, also on top of another
workspace's, gc, and new starts, after an unmount or a kill, with fsck.
"""
import ctypes
import errno
import hashlib
import http.client
import json
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../faults"))
from scene import clean_up, daemons, is_clean, mount_with_http, seeded  # noqa: E402

binary, operations = sys.argv[1], int(sys.argv[2])
random = seeded("model", 3)
ROUNDS = [30, 300, 3000]  # Short ones meet more commits, long ones more of everything else.
HANDLES_MAX = 6
NAMES = random.sample(["a", "b", "c", "dd", "e é", "f.txt", "UPPER", "long" * 10], random.randrange(3, 9))
work = tempfile.mkdtemp(prefix="stagefs-test-")
root, mnt, other = work + "/root", work + "/mnt", work + "/other"
os.mkdir(mnt)
os.mkdir(other)
libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2
RULES = "/api/repos/t/r/workspaces/w"


class Wrong(Exception):
    pass


class Node:
    """A file. `late`: staged maybe only when the daemon has seen its last close, which close() does not wait for."""
    def __init__(self, data=b"", late=False):
        self.data, self.late = bytearray(data), late or not data


class Handle:
    def __init__(self, fd, node, writes):
        self.fd, self.node, self.writes = fd, node, writes


def stagefs(*args, **kwargs):
    return subprocess.run([binary, "--root", root, *args], check=True, timeout=300, capture_output=True, text=True,
                          **kwargs).stdout


def eventually(function, what):
    """Until `function` answers None; what it answers otherwise is told after ten seconds."""
    for _ in range(200):
        try:
            found = function()
        except OSError as error:  # What was listed had become something else when it was opened.
            found = error
        if found is None:
            return
        threading.Event().wait(0.05)
    raise Wrong(f"{what}: {found}")


class Mount:
    """The daemon with its HTTP server, and, half of the time, a second daemon that shows the same workspace."""
    def start(self):
        self.http = http.client.HTTPConnection(mount_with_http(binary, root, mnt, "--create"), timeout=60)
        self.followed = random.random() < 0.5
        if self.followed:
            stagefs("mount", "t/r:w", other)

    def stop(self, kill):
        self.http.close()
        pids = daemons(binary, root, mnt) + daemons(binary, root, other)
        for at in (other, mnt) if self.followed else (mnt,):
            if kill:
                for pid in daemons(binary, root, at):
                    os.kill(pid, signal.SIGKILL)
            else:
                stagefs("unmount", at)
        for pid in pids:
            subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=60)

    def ask(self, method, path, body=None):
        self.http.request(method, path, body=None if body is None else json.dumps(body),
                          headers={"content-type": "application/json"})
        answer = self.http.getresponse()
        return answer.status, answer.read()


mount = Mount()
files, folders, base = {}, {""}, {}  # Path to node; paths; path to bytes, as committed.
handles = []
known = []  # Contents that the store has.
others = 0  # Commits by another workspace.
moved = False  # A folder was renamed since the last commit.
told = []  # The last operations, for the report of a failure.
done = 0


def tell(*what):
    told.append(" ".join(str(part)[:60] for part in what))
    del told[:-25]


def at(path, below=mnt):
    return f"{below}/{path}" if path else below


def parent(path):
    return path.rpartition("/")[0]


def join(folder, name):
    return f"{folder}/{name}" if folder else name


def above(path):
    while path:
        path = parent(path)
        yield path


def exists(path):
    return path in files or path in folders


def inside(folder):
    return [p for p in list(files) + list(folders) if p.startswith(folder + "/")]


def open_nodes():
    return {id(handle.node) for handle in handles}


def is_open(path):
    """A handle holds the file, or one below it, or one that a name on the way to it leads to."""
    nodes = open_nodes()
    return any(id(files[p]) in nodes for p in files
               if p == path or p.startswith(path + "/") or path.startswith(p + "/"))


def some_known():
    """A content that the store has: what files were appended to since may be gone; what is looked at by its hash stays."""
    while known:
        data = random.choice(known)
        if os.path.exists(f"{mnt}/.stagefs/versions/{hash_of(data)}"):
            return data
        known[:] = [other for other in known if other != data]
    return None


def some_content():
    if known and random.random() < 0.4:
        return random.choice(known)
    size = random.choice([0, 1, 10, 4095, 4096, 4097, 9000]) if random.random() < 0.9 else random.randrange(300_000)
    seed = f"{random.random()} ".encode()
    return (seed * (size // len(seed) + 1))[:size]


def learn(data):
    if len(known) < 300:
        known.append(bytes(data))
    else:
        known[random.randrange(300)] = bytes(data)


def some_folder():
    return random.choice(sorted(folders))


def some_path():
    folder = some_folder()
    return join("" if folder.count("/") >= 3 else folder, random.choice(NAMES))


def some_file():
    return random.choice(sorted(files)) if files else None


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


def expect(valid, operation, what):
    """Runs `operation`, which must succeed if `valid` and fail with an errno if not. Whether it succeeded."""
    tell(what, "" if valid else "(refused)")
    try:
        result = operation()
    except OSError as error:
        if valid or error.errno in (errno.EIO, errno.ENOTCONN, errno.ESTALE):
            raise Wrong(f"{what}: {error}")
        return None
    if not valid:
        raise Wrong(f"{what}: succeeded")
    return (result,)


def may_make(path):
    """A new file or folder can be made at `path`."""
    return not exists(path) and parent(path) in folders


def do_write():
    path, data = some_path(), some_content()
    valid = path not in folders and parent(path) in folders

    def operation():
        with open(at(path), "wb", buffering=0) as file:
            file.write(data)
            if random.random() < 0.02:
                os.fsync(file.fileno())
    if expect(valid, operation, f"write {path} {len(data)}"):
        if path in files:
            files[path].data[:] = data
            files[path].late = files[path].late or not data
        else:
            files[path] = Node(data)
        learn(data)


def do_write_aside():
    path, data = some_path(), some_content()
    aside = join(parent(path), ".aside.Xy12Zq")
    if path in folders or parent(path) not in folders:
        return

    def operation():
        with open(at(aside), "wb", buffering=0) as file:
            file.write(data)
        os.rename(at(aside), at(path))
    expect(True, operation, f"write aside {path}")
    files[path] = Node(data)
    learn(data)


def do_unlink():
    path = some_file() if random.random() < 0.9 else some_path()
    if path is not None and expect(path in files, lambda: os.unlink(at(path)), f"unlink {path}"):
        del files[path]


def do_mkdir():
    path = some_path()
    if expect(may_make(path), lambda: os.mkdir(at(path)), f"mkdir {path}"):
        folders.add(path)


def do_rmdir():
    path = some_folder()
    if path and expect(not inside(path), lambda: os.rmdir(at(path)), f"rmdir {path}"):
        folders.remove(path)


def move(source, target):
    """In the model."""
    global moved
    if source in files:
        files[target] = files.pop(source)
        return
    moved = True
    for path in [source] + inside(source):
        new = target + path[len(source):]
        if path in files:
            files[new] = files.pop(path)
        else:
            folders.remove(path)
            folders.add(new)


def do_rename():
    source = (some_file() if random.random() < 0.7 else some_folder()) or "none"
    target = some_path()
    flags = random.choice([0, 0, 0, NOREPLACE, EXCHANGE])
    same = source == target
    below = target.startswith(source + "/")
    over = source.startswith(target + "/")
    valid = exists(source) and parent(target) in folders and not below
    if flags == EXCHANGE:
        valid = valid and exists(target) and not over
    elif flags == NOREPLACE:
        valid = valid and not exists(target)
    elif valid and exists(target) and not same:
        valid = (target in files) == (source in files) and not (target in folders and inside(target))

    def operation():
        if libc.renameat2(-100, at(source).encode(), -100, at(target).encode(), flags) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if not expect(valid, operation, f"rename {source} {target} {flags}") or same:
        return
    if flags == EXCHANGE:
        move(source, "\0")
        move(target, source)
        move("\0", target)
    else:
        files.pop(target, None)
        folders.discard(target)
        move(source, target)


def do_link():
    source, target = some_file(), some_path()
    if source and expect(may_make(target), lambda: os.link(at(source), at(target)), f"link {source} {target}"):
        files[target] = Node(files[source].data)


def do_stage_by_hash():
    data, target = some_known(), some_path()
    if data is None:
        return
    version = f"{mnt}/.stagefs/versions/{hash_of(data)}"
    way = random.randrange(3)
    if way == 0:
        operation = lambda: os.link(version, at(target))  # noqa: E731
    elif way == 1:
        operation = lambda: os.symlink(hash_of(data), at(target))  # noqa: E731
    else:
        def operation():
            into = os.open(at(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            source = os.open(version, os.O_RDONLY)
            while os.copy_file_range(source, into, 1 << 20):
                pass
            os.close(source)
            os.close(into)
    if expect(may_make(target), operation, f"by hash {way} {target}"):
        files[target] = Node(data)


def do_append():
    """By programs that come and go, as `>>` in a loop."""
    path = some_file()
    if not path or is_open(path):
        return
    for _ in range(random.randrange(1, 5)):
        piece = some_content()[:random.choice([1, 100, 20_000])] or b"x"

        def operation(piece=piece):
            with open(at(path), "ab", buffering=0) as file:
                file.write(piece)
        expect(True, operation, f"append {path} {len(piece)}")
        files[path].data.extend(piece)


def do_children():
    """Of a program that writes a file; each inherits it, writes a line, and ends."""
    path = some_path()
    if path in folders or parent(path) not in folders or is_open(path):
        return
    lines = [b"%d %d\n" % (child, random.randrange(10**9)) for child in range(random.randrange(1, 5))]

    def operation():
        fd = os.open(at(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        try:
            for line in lines:
                child = os.fork()
                if child == 0:
                    os._exit(os.write(fd, line) != len(line))
                if os.waitpid(child, 0)[1] != 0:
                    raise Wrong(f"a child did not write to {path}")
        finally:
            os.close(fd)
    expect(True, operation, f"children {path} {len(lines)}")
    files.setdefault(path, Node(b"x")).data[:] = b"".join(lines)


def do_hole():
    """A byte far behind the end."""
    path = some_file()
    if not path or is_open(path):
        return
    offset = len(files[path].data) + random.choice([4096, 100_000, 400_000])
    if offset > 1_000_000:
        return

    def operation():
        fd = os.open(at(path), os.O_WRONLY)
        os.pwrite(fd, b"!", offset)
        os.close(fd)
    expect(True, operation, f"hole {path} {offset}")
    resize(files[path].data, offset)
    files[path].data.extend(b"!")


def do_truncate():
    path = some_file()
    if path:
        size = random.choice([0, 1, 5000, len(files[path].data)])
        expect(True, lambda: os.truncate(at(path), size), f"truncate {path} {size}")
        resize(files[path].data, size)


def resize(data, size):
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def do_read():
    path = some_file()
    if path:
        found = expect(True, lambda: open(at(path), "rb", buffering=0).readall(), f"read {path}")[0]
        if found != files[path].data:
            raise Wrong(f"read {path}: {len(found)} bytes {found[:40]}, not {len(files[path].data)} {bytes(files[path].data[:40])}")


def do_stat():
    path = some_path()
    found = expect(exists(path), lambda: os.stat(at(path)), f"stat {path}")
    if found and path in files and found[0].st_size != len(files[path].data):
        raise Wrong(f"stat {path}: {found[0].st_size} bytes, not {len(files[path].data)}")


def do_list():
    path = some_folder()
    found = sorted(expect(True, lambda: os.listdir(at(path)), f"list {path}")[0])
    should = sorted(p.rpartition("/")[2] for p in list(files) + list(folders) if p and parent(p) == path)
    if found != should:
        raise Wrong(f"list {path}: {found}, not {should}")


def do_open():
    if len(handles) >= HANDLES_MAX:
        return do_close()
    writes = random.random() < 0.7
    path = some_path() if writes else some_file()
    if path is None:
        return
    flags = os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY
    if writes and random.random() < 0.3:
        flags |= os.O_TRUNC
    valid = path not in folders and parent(path) in folders
    opened = expect(valid, lambda: os.open(at(path), flags, 0o644), f"open {path} {flags:o}")
    if opened:
        node = files.setdefault(path, Node())
        node.late = node.late or writes
        if flags & os.O_TRUNC:
            node.data.clear()
        handles.append(Handle(opened[0], node, writes))


def do_handle():
    if not handles:
        return
    handle = random.choice(handles)
    fd, data = handle.fd, handle.node.data
    kind = random.randrange(6)
    offset = random.choice([0, 1, 4096, len(data)])
    if kind <= 1 and handle.writes:
        piece = some_content()[:20_000]
        expect(True, lambda: os.pwrite(fd, piece, offset), f"pwrite {fd} {len(piece)} at {offset}")
        if piece:
            resize(data, max(len(data), offset))
            data[offset:offset + len(piece)] = piece
    elif kind == 2 and handle.writes:
        size = random.choice([0, 3, 4096, 10_000])
        expect(True, lambda: os.ftruncate(fd, size), f"ftruncate {fd} {size}")
        resize(data, size)
    elif kind == 3 and handle.writes and data:
        place = random.randrange(len(data))

        def operation():
            with mmap.mmap(fd, len(data)) as mapping:
                mapping[place] = 33
                mapping.flush()
        expect(True, operation, f"mmap {fd} {place} of {len(data)}")
        data[place] = 33
    elif kind == 4:
        expect(True, lambda: os.fsync(fd), f"fsync {fd}")
    else:
        found = expect(True, lambda: os.pread(fd, len(data) + 10, 0), f"pread {fd}")[0]
        if found != data:
            raise Wrong(f"pread: {len(found)} bytes {found[:40]}, not {len(data)} {bytes(data[:40])}")
        if os.fstat(fd).st_size != len(data):
            raise Wrong(f"fstat: {os.fstat(fd).st_size}, not {len(data)}")


def do_close():
    if handles:
        handle = handles.pop(random.randrange(len(handles)))
        expect(True, lambda: os.close(handle.fd), f"close {handle.fd}")


def refused(path):
    """Why a list may not stage at `path`: a folder is there, or a file on the way."""
    return path in folders or any(p in files for p in above(path))


def stage_in_model(path, data):
    for folder in above(path):
        folders.add(folder)
    files[path] = Node(data)


def do_list_of_hashes():
    """By HTTP or a manifest in the inbox: some entries, of which some are refused."""
    if some_known() is None:
        return
    directory = random.choice(["", "", some_folder()])
    wanted, bad = {}, {}
    for _ in range(random.randrange(1, 9)):
        path = "/".join(random.choice(NAMES) for _ in range(random.randrange(1, 4)))
        full = join(directory, path)
        if is_open(full) or any(p.startswith(full + "/") or full.startswith(p + "/") for p in list(wanted) + list(bad)):
            continue
        data = some_known()
        if random.random() < 0.1 or refused(full):
            bad[full] = hash_of(data) if refused(full) else hash_of(b"never stored")
            wanted.pop(full, None)
        elif full not in bad:
            wanted[full] = data
    if not wanted and not bad:
        return
    relative = {p: p[len(directory) + 1:] if directory else p for p in list(wanted) + list(bad)}
    entries = [(hash_of(data), relative[p]) for p, data in wanted.items()] + [(digest, relative[p]) for p, digest in bad.items()]
    by_http = random.random() < 0.5
    tell("http" if by_http else "inbox", directory, sorted(wanted), "refused", sorted(bad))
    if by_http:
        code, body = mount.ask("POST", RULES + "/files/batch/" + urllib.parse.quote(directory),
                               [{"hash": digest, "path": path} for digest, path in entries])
        errors = {entry["path"] for entry in json.loads(body)["err_files"]}
        if code != 200 or errors != {relative[p] for p in bad}:
            raise Wrong(f"batch: {code} {body[:300]}; refused should be {sorted(bad)}")
    else:
        at_inbox = f"{mnt}/.stagefs/inbox/" + join(directory, "list.sum")
        try:
            with open(at_inbox, "w") as file:
                file.write("".join(f"{digest}  {path}\n" for digest, path in entries))
            report = json.load(open(at_inbox + ".result.json"))
        except OSError as error:
            raise Wrong(f"inbox: {error}")
        os.unlink(at_inbox)
        if report["refused"] != len(bad):
            raise Wrong(f"inbox: {report}; refused should be {sorted(bad)}")
    for path, data in wanted.items():
        stage_in_model(path, data)


def do_unstage():
    """One staged file, by HTTP."""
    path = some_file()
    if not path or moved or is_open(path) or files[path].late or base.get(path) == bytes(files[path].data):
        return
    tell("unstage", path)
    code, body = mount.ask("DELETE", RULES + "/files/" + urllib.parse.quote(path))
    if code != 200:
        raise Wrong(f"unstage {path}: {code} {body[:200]}")
    if path in base:
        files[path] = Node(base[path])
    else:
        del files[path]


def do_move_by_http():
    source, target = some_file(), some_path()
    if not source or files[source].late or is_open(source) or is_open(target) or exists(target) or refused(target):
        return
    tell("http move", source, target)
    code, body = mount.ask("PATCH", RULES + "/files/" + urllib.parse.quote(source), {"new_path": target})
    if code != 200:
        raise Wrong(f"move {source} {target}: {code} {body[:200]}")
    node = files.pop(source)
    stage_in_model(target, node.data)


def do_get_by_http():
    path = some_file()
    if not path or files[path].late or is_open(path):
        return
    tell("http get", path)
    code, body = mount.ask("GET", RULES + "/files/" + urllib.parse.quote(path))
    if code != 200 or body != files[path].data:
        raise Wrong(f"get {path}: {code} {body[:60]}")


WEIGHTS = {do_write: 12, do_write_aside: 4, do_unlink: 8, do_mkdir: 4, do_rmdir: 5, do_rename: 12, do_link: 6,
           do_stage_by_hash: 8, do_truncate: 3, do_append: 4, do_children: 2, do_hole: 1,
           do_read: 10, do_stat: 6, do_list: 4, do_open: 8, do_handle: 14, do_close: 5,
           do_list_of_hashes: 3, do_unstage: 2, do_move_by_http: 1, do_get_by_http: 1}


def tree_of(path):
    """What lies below a folder: path to bytes, None for folders."""
    found = {}
    for folder, names, leaves in os.walk(path):
        inside_of = os.path.relpath(folder, path)
        for name in names:
            found[os.path.normpath(os.path.join(inside_of, name))] = None
        for name in leaves:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.normpath(os.path.join(inside_of, name))] = file.read()
    return found


def difference(found, should):
    wrong = [f"{p}: {str(found.get(p, 'missing'))[:60]}, not {str(should.get(p, 'missing'))[:60]}"
             for p in sorted(set(found) | set(should)) if found.get(p, "missing") != should.get(p, "missing")]
    return "; ".join(wrong[:5]) if wrong else None


def should_be():
    return {**{p: None for p in folders if p}, **{p: bytes(node.data) for p, node in files.items()}}


def check_tree(what):
    wrong = difference(tree_of(mnt), should_be())
    if wrong:
        raise Wrong(f"{what}: {wrong}")


def status():
    out = stagefs("status", "t/r:w", "--expand", "-z").split("\0")
    return sorted(line for line in out if line and line[0] in "AMD")


def commit_elsewhere():
    """Another workspace commits to the branch: a new file, and a change of one that nothing was done to here."""
    global others
    others += 1
    changes = {f"new{others}": some_known()}
    same = [p for p in base if not moved and p in files and files[p].data == base[p]]
    if same:
        changes[random.choice(sorted(same))] = some_known()
    tell("elsewhere", sorted(changes))
    stagefs("workspace", "create", f"t/r:o{others}")
    lines = "".join(f"{hash_of(data)}  {path}\n" for path, data in changes.items())
    stagefs("stage", f"t/r:o{others}", "-", input=lines)
    stagefs("commit", f"t/r:o{others}", "-m", "elsewhere")
    stagefs("workspace", "delete", f"t/r:o{others}")
    for path, data in changes.items():
        files[path] = Node(data)


def check_all(start_again):
    global base, moved
    while handles:
        do_close()
    tell("check")
    check_tree("the tree")
    staged = sorted([f"A  {p}" for p in files if p not in base] + [f"D  {p}" for p in base if p not in files] +
                    [f"M  {p}" for p in files if p in base and base[p] != bytes(files[p].data)])
    eventually(lambda: difference(Counter(status()), Counter(staged)), "status")
    if mount.followed:
        eventually(lambda: difference(tree_of(other), should_be()), "the other mount")
    if random.random() < 0.5 and staged:
        if random.random() < 0.5 and some_known() is not None:
            commit_elsewhere()
        tell("commit")
        code, body = mount.ask("POST", RULES + "/commit/main", {"message": "m", "author": "A", "email": "a@b"})
        if code != 200:
            raise Wrong(f"commit: {code} {body[:200]}")
        base, moved = {p: bytes(node.data) for p, node in files.items()}, False
        eventually(lambda: difference(tree_of(mnt), should_be()), "after the commit")
        eventually(lambda: ", ".join(status()) or None, "status after the commit")
        eventually(lambda: difference({p: d for p, d in tree_of(f"{mnt}/.stagefs/base").items() if d is not None}, base), "the base")
    if not start_again:
        return
    if random.random() < 0.3:
        tell("gc")
        stagefs("gc", "t/r", "--keep", "0")
        known[:] = [bytes(node.data) for node in files.values()]
        check_tree("after gc")
    kill = random.random() < 0.5
    tell("kill" if kill else "unmount")
    mount.stop(kill)
    found = subprocess.run([binary, "--root", root, "fsck", "t/r"], capture_output=True, text=True, timeout=300)
    if not is_clean(found.returncode, found.stdout):
        raise Wrong("fsck: " + found.stdout[-300:] + found.stderr)
    mount.start()
    check_tree("after a new start")


failed = False
try:
    stagefs("create", "t/r")
    mount.start()
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    while done < operations:
        length = random.choice(ROUNDS)
        for _ in range(min(length, operations - done)):
            random.choices(kinds, weights)[0]()
            done += 1
            # Trees stay small, so that names meet.
            if len(files) > 150:
                do_unlink()
        check_all(random.random() < 0.05 + length / ROUNDS[-1] / 2)
    mount.stop(False)
    if re.search("Sanitizer|runtime error|Assertion", open(f"{root}/t/r/mount.log").read()):
        raise Wrong(open(f"{root}/t/r/mount.log").read()[:5000])
except Wrong as wrong:
    failed = True
    print(f"model: operation {done}: {wrong}", "after:", *told, sep="\n  ", flush=True)
finally:
    for handle in handles:
        os.close(handle.fd)
    for pid in daemons(binary, root, mnt) + daemons(binary, root, other):
        os.kill(pid, signal.SIGKILL)
    subprocess.run(["sh", "-c", f"umount -l {other} 2>/dev/null || fusermount3 -uz {other} 2>/dev/null"])
    clean_up(work, mnt)
print(f"model: {done} operations, {'wrong' if failed else 'nothing wrong'}")
sys.exit(failed)
