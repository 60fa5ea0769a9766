#!/usr/bin/env python3
"""The benchmarks behind `make bench`. Usage: bench.py [--quick] BUILD_FOLDER [SECTION…]

Each line: what was done, its rate (best round, the worst in brackets), the ratio to what it is measured beside in the
same round (median of the rounds, the range in brackets), and the ratio to reach. --quick makes everything ten times smaller.
BENCH_FOLDER is where the files go; small ones stay to the end, as ext4 is slow to make files where some were just removed.
As root, caches are dropped before what is said to be cold.
"""
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

import pieces
from pieces import daemon_of, drop_caches, hash_of, is_mount, remove, run, serving, timed

arguments = sys.argv[1:]
SCALE = 10 if "--quick" in arguments else 1
arguments = [argument for argument in arguments if argument != "--quick"]
OUT, chosen = os.path.realpath(arguments[0]), arguments[1:]
STAGEFS, STAGE_BENCH, FS_BENCH, NULL_LINK = (f"{OUT}/{name}" for name in ("stagefs", "stage_bench", "fs_bench", "null_link"))
fs_bench = partial(pieces.fs_bench, FS_BENCH)
PASSTHROUGH = os.path.realpath(f"{OUT}/../peers/passthrough_hp")
WORK = tempfile.mkdtemp(prefix="stagefs-bench-", dir=os.environ.get("BENCH_FOLDER"))
ROOT = f"{WORK}/root"
os.environ["STAGEFS_ROOT"] = ROOT
ROUNDS = 3
SECTIONS = {}


def section(function):
    SECTIONS[function.__name__] = function
    return function


def short(rate):
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.2f}"


def show(name, seconds, amount, unit="/s", beside=None, goal=None):
    """One line; `beside` is a list of seconds for the same amount, round by round."""
    line = f"| {name} | {short(amount / min(seconds))}{unit} ({short(amount / max(seconds))}) |"
    if beside:
        ratios = [peer / own for own, peer in zip(seconds, beside)]
        line += f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
    else:
        line += " |"
    line += f" {goal} |" if goal else " |"
    print(line, flush=True)


def high_water_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) // 1024


def new_folder(name):
    return tempfile.mkdtemp(prefix=f"{name}-", dir=WORK)


@contextlib.contextmanager
def mounted(name, below=None, options=()):
    """A mount of `name` ("stagefs:WORKSPACE", "bindfs", …) over `below`; "native" is the folder itself."""
    if name == "native":
        yield below
        return
    at = new_folder("mnt")
    process = None
    if name.startswith("stagefs:"):
        run(STAGEFS, "mount", f"b/{name.split(':', 1)[1]}", at, "--create", *options)
    elif name == "bindfs":
        run("bindfs", below, at)
    elif name == "mergerfs":
        run("mergerfs", "-o", "cache.files=auto-full,cache.entry=600,cache.attr=600", below, at)
    elif name == "passthrough_hp":
        process = subprocess.Popen([PASSTHROUGH, "--foreground", below, at], stderr=subprocess.DEVNULL)
    elif name == "null_link":
        process = subprocess.Popen([NULL_LINK, at])
    while not is_mount(at):
        if process and process.poll() is not None:
            raise SystemExit(f"{name} did not start")
        time.sleep(0.01)
    try:
        yield at
    finally:
        run(STAGEFS, "unmount", at) if name.startswith("stagefs:") else run("fusermount3", "-u", at)
        if process:
            process.wait()
        while is_mount(at):
            time.sleep(0.01)


def peers():
    return [name for name in ("bindfs", "mergerfs") if shutil.which(name)] + (
        ["passthrough_hp"] if os.path.exists(PASSTHROUGH) else [])


def compare(name, ours, beside, amount, goal=None):
    """`ours` and each of `beside` ({name: function}) run in turn, round by round; one that fails is left out."""
    seconds, others = [], {other: [] for other in beside}
    for _ in range(ROUNDS):
        for other, function in list(beside.items()):
            try:
                others[other].append(function())
            except subprocess.CalledProcessError:
                del beside[other]  # passthrough_hp holds a descriptor for each name.
                print(f"| {name}, {other} | fails | | |")
        seconds.append(ours())
    for other in beside:
        show(f"{name}, {other}", others[other], amount)
    for other in beside:
        show(f"{name}, stagefs beside {other}", seconds, amount, beside=others[other], goal=goal and goal.get(other, goal.get("*")))


@section
def batch():
    for entries in (100_000 // SCALE, 1_000_000 // SCALE):
        repository = f"b/batch{entries}"
        run(STAGEFS, "create", repository)
        run(STAGE_BENCH, "know", ROOT, repository, entries)
        paths = [f"images/{i % 1000:03d}/{i:07d}.jpg" for i in range(entries)]
        sums, body, index = (f"{WORK}/list{entries}.{kind}" for kind in ("sum", "json", "index"))
        hashes = [hash_of(i) for i in range(entries)]
        with open(sums, "w") as file:
            file.writelines(f"{digest}  {path}\n" for digest, path in zip(hashes, paths))
        with open(body, "w") as file:
            json.dump([{"hash": digest, "path": path} for digest, path in zip(hashes, paths)], file)
        with open(index, "w") as file:
            file.writelines(f"100644 {hashlib.sha1(path.encode()).hexdigest()}\t{path}\n" for path in paths)
        git, rows, http, command, inbox = [], [], [], [], []
        with serving(STAGEFS) as (url, server):
            for number in range(ROUNDS):
                own = new_folder("git")
                run("git", "init", "-q", own)
                git.append(timed(run, "git", "-C", own, "update-index", "--index-info", stdin=open(index)))
                shutil.rmtree(own)
                own = new_folder("rows")
                rows.append(float(run(STAGE_BENCH, "rows", own, sums).split()[2]))
                shutil.rmtree(own)
                for name in ("http", "command"):
                    run(STAGEFS, "workspace", "create", f"{repository}:{name}{number}")
                http.append(timed(run, "curl", "-sSf", "-o", "/dev/null", "-H", "content-type: application/json", "-H", "expect:",
                                  "-T", body, "-X", "POST",
                                  f"{url}/api/repos/{repository}/workspaces/http{number}/files/batch/data"))
                command.append(timed(run, STAGEFS, "stage", f"{repository}:command{number}", sums))
                with mounted(f"stagefs:{repository[2:]}:inbox{number}") as mnt:
                    inbox.append(timed(shutil.copyfile, sums, f"{mnt}/.stagefs/inbox/list.sum"))
            print(f"| memory of the server at most | {high_water_mib(server)} MiB | | |")
        show(f"git update-index --index-info, {entries} entries", git, entries)
        show("the rows alone, SQLite", rows, entries)
        show("HTTP batch, beside git", http, entries, beside=git, goal=1.5)
        show("HTTP batch, beside the rows alone", http, entries, beside=rows, goal=0.5)
        show("stagefs stage, beside git", command, entries, beside=git)
        show("manifest in the inbox, beside HTTP", inbox, entries, beside=http, goal=0.9)


@section
def link():
    run(STAGEFS, "create", "b/link")
    with open(f"{WORK}/source", "w") as file:
        file.write("0\n")
    run(STAGEFS, "put", "b/link", f"{WORK}/source")
    links = 100_000 // SCALE
    for threads in (1, 8):
        def ours():
            with mounted(f"stagefs:link:w{time.monotonic_ns()}") as mnt:
                os.mkdir(f"{mnt}/l")
                return fs_bench("link", threads, links, f"{mnt}/.stagefs/versions/{hash_of(0)}", f"{mnt}/l")

        def null():
            with mounted("null_link") as mnt:
                return fs_bench("link", threads, links, f"{mnt}/source", mnt)

        def peer(name):
            below = new_folder("below")
            shutil.copy(f"{WORK}/source", below)
            os.mkdir(f"{below}/l")
            with mounted(name, below) as mnt:
                seconds = fs_bench("link", threads, links // 2, f"{mnt}/source", f"{mnt}/l") * 2  # ext4: 65,000 links.
            return seconds
        compare(f"link, {threads} thread{'s'[:threads - 1]}", ours,
                {"null_link": null, **{name: partial(peer, name) for name in peers() + ["native"]}}, links,
                {"null_link": 0.6, "bindfs": 1, "mergerfs": 1})


@section
def create():
    run(STAGEFS, "create", "b/create")
    files = 20_000 // SCALE

    def ours():
        with mounted(f"stagefs:create:w{time.monotonic_ns()}") as mnt:
            return fs_bench("create", 1, files, 4096, mnt)

    def peer(name):
        below = new_folder("below")
        with mounted(name, below) as mnt:
            seconds = fs_bench("create", 1, files, 4096, mnt)
        return seconds
    compare("create, write 4 KiB, close", ours, {name: partial(peer, name) for name in peers() + ["native"]}, files,
            {name: 1 for name in peers()})


@section
def names():
    for count in (100_000 // SCALE, 1_000_000 // SCALE):
        repository = f"b/names{count}"
        run(STAGEFS, "create", repository)
        run(STAGE_BENCH, "know", ROOT, repository, 1)
        below = new_folder("below")
        fs_bench("create", 1, count, 8, below)
        lines = "".join(f"{hash_of(0)}  {i:07d}\n" for i in range(count))
        run(STAGEFS, "workspace", "create", f"{repository}:w")
        run(STAGEFS, "stage", f"{repository}:w", "-", input=lines.encode())
        run(STAGEFS, "commit", f"{repository}:w", "-m", "names")
        cold, warm, stat = {}, {}, {}
        every = ["stagefs:" + repository[2:] + ":w"] + peers() + ["native"]
        own = every[0]
        for _ in range(ROUNDS):
            for name in list(every):
                drop_caches()
                try:
                    with mounted(name, below) as mnt:
                        times = fs_bench("list", mnt), fs_bench("list", mnt), fs_bench("stat", count, mnt)
                except subprocess.CalledProcessError:
                    if name == own:
                        raise
                    every.remove(name)  # passthrough_hp holds a descriptor for each name.
                    print(f"| {count} names, {name} | fails | | |")
                    continue
                for seconds, took in zip((cold, warm, stat), times):
                    seconds.setdefault(name, []).append(took)
        for work, seconds in (("readdir and stat, cold", cold), ("readdir and stat, warm", warm), ("stat, warm", stat)):
            for name in every[1:]:
                show(f"{work}, {count} names, {name}", seconds[name], count)
            for name in every[1:]:
                goal = 1 if name != "native" or "warm" in work else None
                show(f"{work}, {count} names, stagefs beside {name}", seconds[own], count, beside=seconds[name], goal=goal)
        shutil.rmtree(below)
        with mounted(own) as mnt:
            run("sh", "-c", f"ls -l {mnt} > /dev/null")
            print(f"| memory after a listing of {count} names | {high_water_mib(daemon_of(mnt))} MiB | | 200 MiB |")


@section
def large():
    run(STAGEFS, "create", "b/large")
    size = (4 << 30) // SCALE
    pages = 200_000 // SCALE
    results = {}
    below = new_folder("below")
    for number in range(ROUNDS):
        for name in ["native"] + (["passthrough_hp"] if os.path.exists(PASSTHROUGH) else []) + [f"stagefs:large:w{number}"]:
            kind = name.split(":")[0]
            with mounted(name, below) as mnt:
                path = f"{mnt}/big"
                written, closed = fs_bench("write", 1 << 20, size, path)
            with mounted(name, below) as mnt:
                path = f"{mnt}/big"
                own = {"write": written, "write and close": closed}
                drop_caches()
                own["read, cold"] = fs_bench("read", 1 << 20, path)
                own["read, warm"] = fs_bench("read", 1 << 20, path)
                own["random 4 KiB reads"] = fs_bench("random_read", pages, path)
                own["mmap"] = fs_bench("map_read", path)
                own["random 4 KiB writes"] = fs_bench("random_write", pages, path)[0]
            for work, seconds in own.items():
                results.setdefault(work, {}).setdefault(kind, []).append(seconds)
        source = f"{below}/big"
        results.setdefault("cp and sha256sum", {}).setdefault("native", []).append(
            timed(run, "sh", "-c", f"cp {source} {source}.copy && sha256sum {source}.copy"))
        os.unlink(f"{source}.copy")
    results["write and close"]["cp and sha256sum"] = results.pop("cp and sha256sum")["native"]
    goals = {"write": 0.8, "read, cold": 0.9, "read, warm": 0.9, "random 4 KiB reads": 0.9, "mmap": 0.9,
             "random 4 KiB writes": 0.8}
    for work, by in results.items():
        amount, unit = (pages, "/s") if "random" in work else (size / 1e6, " MB/s")
        for name in by:
            if name != "stagefs":
                show(f"{work}, {name}", by[name], amount, unit)
        for name in by:
            if name != "stagefs":
                goal = 0.8 if name.startswith("cp") else goals.get(work) if name == "native" else None
                show(f"{work}, stagefs beside {name}", by["stagefs"], amount, unit, beside=by[name], goal=goal)


@section
def put():
    for count, size, goal in ((20_000 // SCALE, 4096, 1.0), (4, (1 << 30) // SCALE, 0.8)):
        ours, other = [], []
        for number in range(ROUNDS):
            source = new_folder("source")
            if size > 4096:
                for i in range(count):
                    fs_bench("write", 1 << 20, size, f"{source}/{i}")
            else:
                fs_bench("create", 1, count, size, source)
            run(STAGEFS, "create", f"b/put{size}x{number}")
            run("sync", "-f", WORK)
            other.append(timed(run, "sh", "-c", f"find {source} -type f -exec sha256sum {{}} + > {WORK}/sums && "
                                                f"cp -r {source} {source}.copy && sync -f {WORK}"))
            if size > 4096:
                shutil.rmtree(f"{source}.copy")
            run("sync", "-f", WORK)
            ours.append(timed(run, STAGEFS, "put", f"b/put{size}x{number}", source))
            if size > 4096:
                shutil.rmtree(source)
        show(f"sha256sum, cp, sync -f: {count} files of {size} bytes", other, count)
        show(f"stagefs put of {count} files of {size} bytes", ours, count, beside=other, goal=goal)


@section
def trees():
    source = new_folder("source")
    for folder in range(100):
        os.mkdir(f"{source}/{folder}")
        for i in range(100 // SCALE):
            with open(f"{source}/{folder}/{i}.c", "w") as file:
                file.write(f"int f{folder}_{i}(void);\n" * (1 + (folder * i) % 400))
    run("tar", "-C", source, "-cf", f"{WORK}/tree.tar", ".")
    run("git", "-C", source, "init", "-q")
    run("git", "-C", source, "add", ".")
    run("git", "-C", source, "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-q", "-m", "tree")
    run(STAGEFS, "create", "b/trees")
    files = 100 * (100 // SCALE)

    def on(name, work):
        below = new_folder("below")
        with mounted(f"{name}:trees:w{time.monotonic_ns()}" if name == "stagefs" else name, below) as mnt:
            seconds = timed(run, "tar", "-C", mnt, "-xf", f"{WORK}/tree.tar") if work == "untar" else timed(
                run, "git", "clone", "-q", source, f"{mnt}/clone")
        return seconds
    for work in ("untar", "git clone"):
        compare(work, partial(on, "stagefs", work),
                {name: partial(on, name, work) for name in peers() + ["native"]}, files,
                {"passthrough_hp": 1})


@section
def posts():
    if not shutil.which("wrk"):
        print("| one-entry posts | wrk is not installed | | |")
        return
    run(STAGEFS, "create", "b/posts")
    run(STAGE_BENCH, "know", ROOT, "b/posts", 1)
    script = f"{WORK}/post.lua"
    with open(script, "w") as file:
        file.write(f'''local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local n = 0
request = function()
  n = n + 1
  local body = string.format('[{{"hash": "{hash_of(0)}", "path": "%d/%d/%d"}}]', id, n % 100, n)
  return wrk.format("POST", nil, {{["content-type"] = "application/json"}}, body)
end''')
    ours, syncs = [], []
    with serving(STAGEFS) as (url, _):
        for number in range(ROUNDS):
            run(STAGEFS, "workspace", "create", f"b/posts:w{number}")
            with open(f"{WORK}/sync", "wb") as file:
                def one():
                    os.pwrite(file.fileno(), os.urandom(4096), 0)
                    os.fdatasync(file.fileno())
                syncs.append(sum(timed(one) for _ in range(500)) / 500 / 32)
            said = run("wrk", "-t2", "-c64", f"-d{5 if SCALE == 1 else 2}s", "-s", script,
                       f"{url}/api/repos/b/posts/workspaces/w{number}/files/batch/d")
            if "Non-2xx" in said:
                raise SystemExit(said)
            ours.append(1 / float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)))
    show("32 times the disk's fdatasync rate", syncs, 1)
    show("one-entry durable posts, 64 connections", ours, 1, beside=syncs, goal=0.5)


@section
def bases():
    small, big, staged = 1000, 5_000_000 // SCALE, 1000
    seconds = {}
    for base in (small, big):
        repository = f"b/base{base}"
        run(STAGEFS, "create", repository)
        run(STAGE_BENCH, "know", ROOT, repository, 1000)
        run(STAGEFS, "workspace", "create", f"{repository}:w")
        sums = f"{WORK}/base.sum"
        with open(sums, "w") as file:
            for i in range(base):
                file.write(f"{hash_of(i % 1000)}  all/{i // 1000:04d}/{i % 1000:04d}.jpg\n")
        stage = subprocess.Popen([STAGEFS, "stage", f"{repository}:w", sums], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(stage.pid, 0)
        assert status == 0
        print(f"| memory of stagefs stage, {base} entries | {usage.ru_maxrss // 1024} MiB | | 200 MiB |", flush=True)
        run(STAGEFS, "commit", f"{repository}:w", "-m", "base")
    for number in range(2 * ROUNDS + 1):
        for base in (small, big):
            lines = "".join(f"{hash_of(i)}  all/{number * 7 % (base // 1000):04d}/new-{number}-{i}.jpg\n" for i in range(staged))
            target = f"b/base{base}:w"
            own = {"stage": timed(run, STAGEFS, "stage", target, "-", input=lines.encode()),
                   "status": timed(run, STAGEFS, "status", target),
                   "commit": timed(run, STAGEFS, "commit", target, "-m", "more")}
            if number > 0:  # The first reads what is not cached yet.
                for work, took in own.items():
                    seconds.setdefault(work, {}).setdefault(base, []).append(took)
    for work, goal in (("stage", 1.3), ("status", 1.5), ("commit", 1.5)):
        show(f"{work} of {staged} entries, base of {small}", seconds[work][small], 1)
        show(f"{work} of {staged} entries, base of {big}", seconds[work][big], 1, beside=seconds[work][small], goal=f"{1 / goal:.2f}")


@section
def cluster():
    """Batches on PostgreSQL, beside COPY of the rows that they stage, in the manifest's order, and as a workspace grows."""
    entries = 1_000_000 // SCALE
    with postgres() as url, environment(STAGEFS_INDEX=url):
        run(STAGEFS, "create", "b/cluster")
        sql = partial(run, "psql", "-qXAt", url, "-c", "SET search_path = stagefs_1", "-c")
        sql("INSERT INTO version (sha256, xxh3, size, stored_ns, renewed_ns, synced) SELECT sha256((i || E'\\n')::bytea),"
            f" substring(sha256((i || 'x')::bytea) FOR 16), 7, 1, 1, 1 FROM generate_series(0, {entries - 1}) i")
        sql("ANALYZE version")
        sums, rows = f"{WORK}/cluster.sum", f"{WORK}/cluster.rows"
        with open(sums, "w") as file:
            file.writelines(f"{hash_of(i)}  images/{i % 1000:03d}/{i:07d}.jpg\n" for i in range(entries))
        own, copy = [], []
        for number in range(ROUNDS):
            run(STAGEFS, "workspace", "create", f"b/cluster:w{number}")
            own.append(timed(run, STAGEFS, "stage", f"b/cluster:w{number}", sums))
            sql(f"\\copy (SELECT s.* FROM staged_entry s WHERE workspace = {number + 1} AND version IS NOT NULL ORDER BY version)"
                f" TO '{rows}' (FORMAT binary)")
            sql("CREATE TABLE rows_only (LIKE staged_entry INCLUDING ALL)")
            copy.append(timed(sql, f"\\copy rows_only FROM '{rows}' (FORMAT binary)"))
            sql("DROP TABLE rows_only")
        show(f"COPY of {entries} rows", copy, entries)
        show("stagefs stage on PostgreSQL, beside COPY", own, entries, beside=copy, goal=0.4)

        run(STAGEFS, "workspace", "create", "b/cluster:grows")
        staged, first = 0, None
        hashes = [hash_of(i) for i in range(entries)]

        def stage(up_to):
            nonlocal staged
            with open(sums, "w") as file:
                file.writelines(f"{hashes[i % entries]}  images/{i % 1000:03d}/{i:08d}.jpg\n" for i in range(staged, up_to))
            seconds, staged = timed(run, STAGEFS, "stage", "b/cluster:grows", sums) / (up_to - staged), up_to
            return seconds
        for total in (entries // 100, entries // 10, entries, entries * 10):
            filled = stage(total)
            more = [stage(staged + entries // 100) for _ in range(ROUNDS)]
            first = first or more
            show(f"batch that brings {total} staged entries on PostgreSQL", [filled], 1)
            show(f"{entries // 100} entries more than {total}, beside the first of those", more, 1, beside=first, goal="1 / 1.5")


@section
def cache():
    """What a mount has in its cache, read beside the same in an embedded repository."""
    size, pages, files = (1 << 30) // SCALE, 100_000 // SCALE, 10_000 // SCALE
    results = {}
    source = new_folder("source")
    fs_bench("write", 1 << 20, size, f"{source}/big")
    os.mkdir(f"{source}/small")
    for i in range(files):
        with open(f"{source}/small/{i}", "w") as file:
            file.write(f"{i}" * 1000)
    with postgres() as index, s3() as versions:
        repositories = {"embedded": {}, "cached": {"STAGEFS_INDEX": index, "STAGEFS_VERSIONS": versions}}
        for name, places in repositories.items():
            with environment(**places):
                run(STAGEFS, "create", f"b/{name}")
                with mounted(f"stagefs:{name}:w") as mnt:
                    run("cp", "-r", f"{source}/big", f"{source}/small", mnt)
        for _ in range(ROUNDS):
            for name, places in repositories.items():
                with environment(**places), mounted(f"stagefs:{name}:w") as mnt:
                    drop_caches()
                    own = {"read, cold": fs_bench("read", 1 << 20, f"{mnt}/big"),
                           "read, warm": fs_bench("read", 1 << 20, f"{mnt}/big"),
                           "random 4 KiB reads": fs_bench("random_read", pages, f"{mnt}/big")}
                    small = ("sh", "-c", f"cat {mnt}/small/* > /dev/null")
                    drop_caches()
                    own["small files, cold"] = timed(run, *small)
                    own["small files, warm"] = timed(run, *small)
                for work, seconds in own.items():
                    results.setdefault(work, {}).setdefault(name, []).append(seconds)
    for work, by in results.items():
        amount, unit = (pages, "/s") if "random" in work else (files, "/s") if "small" in work else (size / 1e6, " MB/s")
        show(f"{work}, embedded", by["embedded"], amount, unit)
        show(f"{work}, cached, beside embedded", by["cached"], amount, unit, beside=by["embedded"], goal="1 / 1.1")


@contextlib.contextmanager
def environment(**variables):
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


@contextlib.contextmanager
def s3():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(["tests/cluster/s3.sh", new_folder("s3"), str(port)])
    try:
        while subprocess.run(["curl", "-s", "-o", f"{WORK}/s3.out", "-X", "PUT", f"http://127.0.0.1:{port}/bucket"]).returncode:
            time.sleep(0.1)
        with environment(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="testsecret"):
            yield f"s3://bucket/bench?endpoint=http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def postgres():
    folder = new_folder("postgres")
    os.chmod(WORK, 0o755)
    os.chmod(folder, 0o755)
    server = subprocess.Popen(["tests/cluster/postgres.sh", f"{folder}/data"])
    try:
        while subprocess.run(["pg_isready", "-q", "-h", f"{folder}/data"]).returncode != 0:
            time.sleep(0.1)
        yield f"postgresql:///postgres?host={folder}/data&user=stagefs"
    finally:
        server.send_signal(2)
        server.wait()


# Reads a folder as musl does, 2 KiB at a time.
SHORT_LISTING = """
import ctypes, os, sys
folder, names, buffer = os.open(sys.argv[1], os.O_RDONLY), 0, ctypes.create_string_buffer(2048)
while (got := ctypes.CDLL(None).syscall(217, folder, buffer, 2048)) > 0:
    at = 0
    while at < got:
        at += int.from_bytes(buffer.raw[at + 16:at + 18], "little")
        names += 1
assert names - int(sys.argv[2]) in (0, 2), names
"""
# Half of a file, and one byte more behind it: that is what is read.
PARTIAL_COPY = """
import os, sys
half = int(sys.argv[1]) // 2
source, target = os.open("big", os.O_RDONLY), os.open("half", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
left = half
while left > 0:
    left -= os.copy_file_range(source, target, left)
os.write(target, b"x")
os.close(target)
assert len(open("half", "rb").read()) == half + 1
"""


def everyday_work(here):
    """What programs do all day: what it is, what prepares it, and the command that is measured, in the folder that is tried."""
    files, names, bulk, megabytes = 1_500 // SCALE, 30_000 // SCALE, 20_000 // SCALE, 200 // SCALE
    for name, text in (("short", SHORT_LISTING), ("partial", PARTIAL_COPY)):
        with open(f"{here}/{name}", "w") as script:
            script.write(text)
    source = f"{here}/source"
    os.mkdir(source)
    for i in range(files):
        with open(f"{source}/{i}", "w") as file:
            file.write(f"{i}\n" * 20)
    run("git", "init", "-q", f"{here}/git")
    run("cp", "-r", source, f"{here}/git/files")
    run("git", "-C", f"{here}/git", "add", ".")
    run("git", "-C", f"{here}/git", "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "all")
    make = "mkdir {0} && cd {0} && seq {1} | xargs touch".format
    return [
        (f"{400 // SCALE} appends of 10 KB, each by a program", "",
         f"for i in $(seq {400 // SCALE}); do head -c 10240 /dev/zero >> log; done"),
        (f"find -exec sha256sum of {files} files into one list", "", f"find {source} -type f -exec sha256sum {{}} \\; > sums"),
        (f"a log of {megabytes} MB, 30 children that end meanwhile", "",
         f"for i in $(seq 30); do head -c {megabytes * 1_000_000 // 30} /dev/zero; done > bulk.log"),
        (f"make {names} names", "", make("many", names)),
        (f"ls -l of {names} names", "", "ls -l many > /dev/null"),
        (f"{bulk} names by buffers of 2 KiB", make("short", bulk), f"{sys.executable} {here}/short short {bulk}"),
        (f"rm -r of {bulk} names", "", "rm -r short"),
        ("a sparse file of 2 GB: one byte, du, tar -S", "truncate -s 2G image",
         "printf x | dd of=image bs=1 seek=1000 conv=notrunc status=none; du image; tar -Scf /dev/null image"),
        ("cp --sparse=always of it", "", "cp --sparse=always image copy"),
        ("git clone inside", f"cp -r {here}/git origin", "git clone -q origin clone"),
        (f"half of {megabytes} MB by copy_file_range, a byte more, read", f"head -c {megabytes}000000 /dev/urandom > big",
         f"{sys.executable} {here}/partial {megabytes}000000"),
    ]


def disk_bytes(folder):
    return int(run("du", "-s", "--block-size=1", folder).split()[0])


@section
def everyday():
    """Seconds, of the best round, and what the work added to the disk, beside the file system below and other mounts."""
    here = new_folder("everyday")
    work = everyday_work(here)
    every = ["native"] + [name for name in peers() if name != "mergerfs"] + ["stagefs"]
    seconds, megabytes, failed = {}, {}, set()
    for number in range(ROUNDS):
        for name in every:
            mount, below = name, f"{WORK}/everyday-{name}-{number}"
            if name == "stagefs":
                run(STAGEFS, "create", f"b/everyday{number}")
                mount, below = f"stagefs:everyday{number}:w", f"{ROOT}/b/everyday{number}"
            else:
                os.mkdir(below)
            with mounted(mount, below) as mnt:
                for what, prepare, command in work:
                    if (what, name) in failed:
                        continue
                    try:
                        run("sh", "-ec", f"cd {mnt}; {prepare}")
                        before = disk_bytes(below)
                        seconds.setdefault((what, name), []).append(timed(run, "sh", "-ec", f"cd {mnt}; {command}"))
                        megabytes[what, name] = (disk_bytes(below) - before) / 1e6
                    except subprocess.CalledProcessError:
                        failed.add((what, name))  # passthrough_hp holds a descriptor for each name.
            if name != "stagefs":
                shutil.rmtree(below)
    print("\n| work | " + " | ".join(every) + " |\n|---|" + "---|" * len(every))
    for what, _, _ in work:
        print(f"| {what} | " + " | ".join(
            "fails" if (what, name) in failed else f"{min(seconds[what, name]):.2f} s, {megabytes[what, name]:.1f} MB"
            for name in every) + " |", flush=True)


@section
def idle():
    run(STAGEFS, "create", "b/idle")
    with mounted("stagefs:idle:w") as mnt:
        run("ls", mnt)
        print(f"| memory of an idle mount | {high_water_mib(daemon_of(mnt))} MiB | | 30 MiB |")


print(f"{os.cpu_count()} processors, {os.uname().sysname} {os.uname().release}; {'sizes a tenth, ' if SCALE > 1 else ''}"
      f"{ROUNDS} rounds\n\n| work | rate (worst) | beside the peer (range) | to reach |\n|---|---|---|---|")
try:
    for wanted in chosen or SECTIONS:
        SECTIONS[wanted]()
finally:
    remove(WORK)
