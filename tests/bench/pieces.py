"""What bench.py, compare.py and turns.py are made of: commands, clocks, caches, mounts, servers."""
import contextlib
import hashlib
import os
import subprocess
import time


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **kwargs).stdout.decode()


def timed(function, *args, **kwargs):
    start = time.monotonic()
    function(*args, **kwargs)
    return time.monotonic() - start


@contextlib.contextmanager
def serving(*stagefs):
    """The command line's server on a free port: its URL and its process."""
    server = subprocess.Popen([*stagefs, "serve", "--listen", ":0", "--insecure-no-auth"], stderr=subprocess.PIPE, text=True)
    try:
        yield server.stderr.readline().split()[-1], server.pid
    finally:
        server.terminate()
        server.wait()


def fs_bench(binary, *args):
    """Seconds; of a write, those before and after its close."""
    seconds = [float(text) for text in run(binary, *args).split()]
    return seconds[0] if len(seconds) == 1 else seconds


def drop_caches():
    if os.geteuid() == 0:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")


def hash_of(number):
    return hashlib.sha256(f"{number}\n".encode()).hexdigest()


def daemon_of(mnt):
    return run("pgrep", "-f", f"mount .* {mnt}").split()[0]


def is_mount(path):
    return any(line.split()[1] == path for line in open("/proc/self/mounts"))


def remove(work):
    """Unmounts what is below a folder, and removes it."""
    for line in open("/proc/self/mounts"):
        if work in line.split()[1]:
            subprocess.run(["umount", "-l", line.split()[1]])
    subprocess.run(["sh", "-c", f"chmod -R u+w {work}; rm -rf {work}"])
