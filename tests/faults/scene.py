"""What the tests of faults share: a seed that replays a run, and what a disk must be like after one."""
import random
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
