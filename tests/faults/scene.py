"""What the tests of faults and long loads share: a seed that replays a run, mounts, and what a disk must be like after one."""
import random
import re
import subprocess
import sys


def seeded(what, place):
    """A generator from the seed that is the command line's argument `place`, or a new one; prints it."""
    seed = int(sys.argv[place]) if len(sys.argv) > place else random.SystemRandom().randrange(1 << 30)
    print(f"{what}: seed {seed}", flush=True)
    return random.Random(seed)


def is_clean(code, said):
    """Whether `stagefs fsck` ended with `code` and said that nothing is damaged."""
    return code == 0 and " 0 missing, 0 damaged" in said and "0 entries without a version" in said


def clean_up(work, mnt):
    subprocess.run(["sh", "-c", f"umount -l {mnt} 2>/dev/null || fusermount3 -uz {mnt} 2>/dev/null; chmod -R u+w {work}; rm -rf {work}"])


def mount_with_http(binary, root, mnt, *options):
    """Mounts t/r:w in the background, with an HTTP server that asks for no token; returns its ADDRESS:PORT."""
    started = subprocess.run([binary, "--root", root, "mount", "t/r:w", mnt, *options, "--listen", "127.0.0.1:0", "--insecure-no-auth"],
                             check=True, timeout=60, stderr=subprocess.PIPE, text=True)
    return re.search(r"http://(\S+)", started.stderr).group(1)


def daemons(binary, root, mnt):
    """The processes that serve `mnt`, also one that has ended and nobody waited for."""
    found = subprocess.run(["pgrep", "-f", f"^{binary} --root {root} mount t/r:w {mnt}( |$)"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]
