#!/usr/bin/env python3
"""Eight machines on one workspace: a mixed load, cuts of the database, of the network and of daemons, and a checker of the
histories. Usage: daemons.py BINARY POSTGRES_URL POSTGRES_PID S3_URL SECONDS

Each client works through a mount of its own, with a root of its own, below a folder of its own and in a shared one, and keeps
a history of what was acknowledged. It finds: nothing lost, nothing that nobody wrote, each client's own order kept, all
mounts alike in the end, and what one acknowledged visible to the others within a second, while nothing is cut.
"""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

binary, postgres_url, postgres_pid, s3_url, seconds = *sys.argv[1:3], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
CLIENTS = 8
# Of each client: the S3 server lists all that it has for each page, and so does fsck at the end.
CONTENTS = 2000
seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
print(f"daemons: seed {seed}", flush=True)
work = tempfile.mkdtemp(prefix="stagefs-test-")
environment = dict(os.environ, STAGEFS_INDEX=postgres_url, STAGEFS_VERSIONS=s3_url, STAGEFS_INDEX_WAIT="5", STAGEFS_VERSIONS_WAIT="5")
end = time.monotonic() + seconds
quiet = threading.Event()  # Nothing is cut just now.
quiet.set()
slowest_visible = 0.0
problems = []


class Client:
    def __init__(self, number):
        self.number = number
        self.root, self.mnt = f"{work}/root{number}", f"{work}/mnt{number}"
        self.rng = random.Random(seed + number)
        self.own = {}  # Name: what is there, or a list of what may be, after trouble.
        self.shared = {}  # Name: the values that this client wrote and the last one acknowledged.
        self.done = self.refused = 0
        os.makedirs(self.mnt)

    def run(self, *args, check=True):
        return subprocess.run([binary, "--root", self.root, *args], env=environment, check=check, timeout=300,
                              capture_output=True, text=True)

    def pid(self):
        found = subprocess.run(["pgrep", "-f", f"^{binary} --root {self.root} mount"], capture_output=True, text=True).stdout.split()
        return int(found[0]) if found else None

    def mount(self):
        deadline = time.monotonic() + 60
        while True:
            done = self.run("mount", "t/r:w", self.mnt, "--create", check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(done.stderr)
            time.sleep(0.2)

    def write(self, path, text):
        with open(f"{self.mnt}/{path}", "w") as file:
            file.write(text)

    def step(self, count):
        kind = self.rng.random()
        name = f"c{self.number}/{self.rng.randrange(30)}"
        value = f"{self.number} {count % CONTENTS}\n"
        before = self.own.get(name)
        try:
            if kind < 0.5:
                self.outcome(name, before, value, lambda: self.write(name, value))
            elif kind < 0.65 and before is not None and not isinstance(before, list):
                self.outcome(name, before, None, lambda: os.unlink(f"{self.mnt}/{name}"))
            elif kind < 0.8 and before is not None and not isinstance(before, list):
                other = f"c{self.number}/{self.rng.randrange(30)}"
                if other == name:
                    return
                there = self.own.get(other)
                try:
                    os.rename(f"{self.mnt}/{name}", f"{self.mnt}/{other}")
                    self.own[name], self.own[other] = None, before
                except OSError:
                    self.refused += 1
                    self.own[name], self.own[other] = [before, None], self.among(there) + [before]
                    return
            else:
                name = f"shared/{self.rng.randrange(10)}"
                self.shared.setdefault(name, []).append(value)
                self.write(name, value)
            self.done += 1
        except OSError:
            self.refused += 1

    @staticmethod
    def among(value):
        return value if isinstance(value, list) else [value]

    # Whether what failed was done is not known: either is right.
    def outcome(self, name, before, after, operation):
        self.own[name] = self.among(before) + [after]
        operation()
        self.own[name] = after

    def work(self):
        count = 0
        while time.monotonic() < end:
            count += 1
            self.step(count)
            if self.refused and not os.path.ismount(self.mnt):
                with contextlib.suppress(Exception):
                    time.sleep(0.2)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


# What one writes the others see within a second, while nothing is cut.
def watch(clients):
    global slowest_visible
    rng, count = random.Random(seed - 1), 0
    while time.monotonic() < end:
        count += 1
        writer, reader = rng.sample(clients, 2)
        if not quiet.is_set():
            time.sleep(0.1)
            continue
        try:
            writer.write("probe", f"{count}\n")
            begin = time.monotonic()
            while read(f"{reader.mnt}/probe") != f"{count}\n":
                if time.monotonic() - begin > 10 or not quiet.is_set():
                    break
                time.sleep(0.005)
            took = time.monotonic() - begin
        except OSError:
            continue
        if quiet.is_set() and settled():
            slowest_visible = max(slowest_visible, took)
        time.sleep(0.2)


cut_at = time.monotonic()


# Ten seconds after a cut everything is connected again.
def settled():
    return time.monotonic() - cut_at > 10


def cut(clients):
    global cut_at
    rng = random.Random(seed - 2)
    cuts = {"database": 0, "connections": 0, "frozen": 0, "killed": 0}
    while time.monotonic() < end - 15:
        time.sleep(rng.uniform(12, 18))
        kind = rng.choice(list(cuts))
        quiet.clear()
        client = rng.choice(clients)
        if kind == "database":  # The server does not answer for a while.
            children = subprocess.run(["pgrep", "-P", str(postgres_pid)], capture_output=True, text=True).stdout.split()
            for pid in [postgres_pid, *map(int, children)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(2)
            for pid in [postgres_pid, *map(int, children)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        elif kind == "connections":  # As a network that goes, or a server that restarts.
            subprocess.run(["psql", "-qX", postgres_url, "-c",
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'stagefs%'"],
                           stdout=subprocess.DEVNULL, check=True)
        elif kind == "frozen":
            if pid := client.pid():
                os.kill(pid, signal.SIGSTOP)
                time.sleep(3)
                os.kill(pid, signal.SIGCONT)
        elif pid := client.pid():
            os.kill(pid, signal.SIGKILL)
            client.mount()
        cuts[kind] += 1
        cut_at = time.monotonic()
        quiet.set()
    print("cuts:", ", ".join(f"{count} {kind}" for kind, count in cuts.items()), flush=True)


def tree(mnt):
    found = {}
    for top, folders, files in os.walk(mnt):
        folders[:] = [name for name in folders if name != ".stagefs"]
        for name in files:
            path = f"{top}/{name}"
            found[path[len(mnt) + 1:]] = read(path)
    return found


def check(clients):
    deadline = time.monotonic() + 30
    while True:
        trees = [tree(client.mnt) for client in clients]
        if all(other == trees[0] for other in trees) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for client, other in zip(clients, trees):
        if other != trees[0]:
            different = {name for name in other.keys() | trees[0].keys() if other.get(name) != trees[0].get(name)}
            problems.append(f"mount {client.number} shows other things than mount 0: {sorted(different)[:5]}")
    shown = trees[0]
    for client in clients:
        for name, value in client.own.items():
            if shown.get(name) not in Client.among(value):
                problems.append(f"{name}: {shown.get(name)!r} is there, {value!r} was acknowledged")
        extra = [name for name in shown if name.startswith(f"c{client.number}/") and name not in client.own]
        if extra:
            problems.append(f"nobody made {extra[:5]}")
    for name, value in shown.items():
        if name.startswith("shared/") and not any(value in client.shared.get(name, []) for client in clients):
            problems.append(f"{name}: nobody wrote {value!r}")
    log = clients[0].run("fsck", "t/r", check=False)
    if log.returncode != 0:
        problems.append(f"fsck: {log.stdout}{log.stderr}")
    clients[0].run("commit", "t/r:w", "-m", "end")
    time.sleep(2)
    if tree(clients[-1].mnt) != shown:
        problems.append("the commit changed what is shown")


clients = [Client(number) for number in range(CLIENTS)]
try:
    for client in clients:
        client.mount()
    os.mkdir(f"{clients[0].mnt}/shared")
    for client in clients:
        os.mkdir(f"{client.mnt}/c{client.number}")
    time.sleep(1)
    threads = [threading.Thread(target=client.work) for client in clients]
    threads += [threading.Thread(target=watch, args=(clients,)), threading.Thread(target=cut, args=(clients,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(clients)
finally:
    for client in clients:
        client.run("unmount", "--lazy", client.mnt, check=False)
    for client in clients:
        if pid := client.pid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while any(client.pid() for client in clients) and time.monotonic() < deadline:
        time.sleep(0.1)
    shutil.rmtree(work, ignore_errors=True)
done, refused = sum(client.done for client in clients), sum(client.refused for client in clients)
print(f"{done} operations done, {refused} refused; seen elsewhere within {slowest_visible:.2f} s", flush=True)
if slowest_visible > 1:
    problems.append(f"a change took {slowest_visible:.2f} s to be seen elsewhere")
for problem in problems[:20]:
    print(problem)
sys.exit(1 if problems else 0)
