"""The day's work of README.md. Usage: engineers_day.py make FILES: makes what it begins with, in this folder;
engineers_day.py run FILES README: runs its commands there, one by one, and checks what each answers by value.

Yesterday all FILES are in train/. The new split: of ten files one goes to val/, one to test/. Four of ten get another label; of
these half are taken back. A list that others sent names some files whose content nobody put.
"""

import csv
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time

what, files = sys.argv[1], int(sys.argv[2])
names = [f"{number:05}.json" for number in range(files)]


def label(number, kind):
    """Ten files share each content."""
    return json.dumps({"label": f"{kind} {number % max(10, files // 10)}"}) + "\n"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


first = [label(number, "cat") for number in range(files)]
second = {number: label(number, "dog") for number in range(files) if number % 5 < 2}
corrected = {text: number for number, text in second.items()}  # Each content once.
split = [f"{('val', 'test')[number % 10] if number % 10 < 2 else 'train'}/{name}" for number, name in enumerate(names)]
undone = [number for number in second if number % 10 >= 5]
missing = [f"test/more-{number:05}.json" for number in range(max(2, files // 1000))]


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make():
    made = {}
    for folder in ("labels", "corrected"):
        os.mkdir(folder)
    for number, text in enumerate(first):
        path = f"labels/{names[number]}"
        if text in made:
            os.link(made[text], path)  # Nothing here is about making files.
        else:
            made[text] = path
            write(path, text)
    for text, number in corrected.items():
        write(f"corrected/{names[number]}", text)
    with open("split.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "split", "path", "sha256", "note"])
        for number, path in enumerate(split):
            table.writerow([number, path.split("/")[0], path, digest(first[number]), 'a "note", or none' * (number % 3)])
    relabel = [f"{split[number]}\t{digest(text)}\tdog\n" for number, text in second.items()]
    write("relabel.tsv", "path\thash\tlabel\n" + "".join(relabel))
    write("undo.txt", "".join(split[number] + "\n" for number in undone))
    with open("wanted.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "sha256"])
        # Known contents at new paths, and unknown ones between them.
        for number, path in enumerate(missing):
            table.writerows([[f"more/{number}", digest(first[number])], [path, digest(path)]])


def say(good, text, more=""):
    print(f"{'ok' if good else 'not ok'} - {text}{'' if good else ': ' + more}")


def equals(text, wanted, got):
    say(wanted == got, text, f"{str(got)[:300]} instead of {str(wanted)[:300]}")


def commands(readme):
    """Those of the section."""
    text = open(readme, encoding="utf-8").read().split("\n## A day's work\n")[1].split("\n## ")[0]
    return [line[6:].split("   #")[0].strip() for line in text.splitlines() if line.startswith("    $ ")]


def run(readme):
    # What README.md calls stagefs writes down that it was started.
    os.mkdir("bin")
    with open("bin/stagefs", "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\necho "$@" >> "$STARTED"\nexec "$STAGEFS_BINARY" "$@"\n')
    os.chmod("bin/stagefs", 0o755)
    environment = {
        **os.environ,
        "PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}",
        "STARTED": f"{os.getcwd()}/started",
    }
    left = commands(readme)
    took = []

    def next_one(begins, status=0):
        """Runs the next command, which must be this one, and end so. Its answers."""
        command = left.pop(0)
        assert re.match(begins, command), f"{command}: it should begin with {begins}"
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", "set -o pipefail; " + command],
            stdout=subprocess.PIPE,
            stderr=open("err", "wb"),
            env=environment,
            timeout=300,
            check=False,
        )
        took.append((time.monotonic() - began, command))
        said = "".join(line for line in open("err", encoding="utf-8") if not re.match("stagefs: [a-z]+: [0-9]|$", line))
        say(done.returncode == status and not said, command, f"status {done.returncode}, {said}")
        text = done.stdout.decode()
        if "python3" in command:
            return text.splitlines()
        return [json.loads(text)] if " status " in command else [json.loads(line) for line in text.splitlines()]

    def counts(report):
        return {key: report[key] for key in ("entries", "added", "modified", "unchanged", "replaced", "refused")}

    def counted(entries, added=0, modified=0, unchanged=0):
        return {
            "entries": entries,
            "added": added,
            "modified": modified,
            "unchanged": unchanged,
            "replaced": 0,
            "refused": 0,
        }

    kept = set(second) - set(undone)
    moved = sum(not path.startswith("train/") for path in split)

    next_one("stagefs create .* stagefs mount")
    (report,) = next_one("stagefs put .* stagefs stage .* -d train -")
    equals("all is staged", counted(files, added=files), counts(report))
    (commit,) = next_one("stagefs commit")
    equals("and committed", files, commit["entries"])
    (removed,) = next_one("stagefs rm")
    equals("the folder is removed in one change", {"removed": 1}, removed)
    (report,) = next_one("stagefs stage .* split.csv")
    equals("the split is staged", counted(files, added=moved, unchanged=files - moved), counts(report))
    (commit,) = next_one("stagefs commit")
    equals("what moved is committed, at its new path and its old one", 2 * moved, commit["entries"])
    next_one("stagefs put .* corrected > corrected.ndjson")
    put = [json.loads(line) for line in open("corrected.ndjson", encoding="utf-8")]
    equals(
        "the corrected ones are put, each with its hash and size",
        {names[number]: (digest(text), len(text)) for text, number in corrected.items()},
        {entry["path"]: (entry["hash"], entry["size"]) for entry in put},
    )
    (report,) = next_one("stagefs stage .* relabel.tsv")
    equals("the relabel is staged", counted(len(second), modified=len(second)), counts(report))
    equals("half of it is taken back, in one change", [{"unstaged": len(undone)}], next_one("xargs .* stagefs unstage"))
    next_one("stagefs stage .*--atomic .* wanted.csv > report.json", status=1)
    report = json.load(open("report.json", encoding="utf-8"))
    equals("nothing of a list with holes is staged", True, report["withdrawn"])
    equals("it says how much is missing", len(missing), report["refused"])
    equals(
        "with hashes",
        [(path, digest(path)) for path in missing],
        [(entry["path"], entry["hash"]) for entry in report["refused_entries"]],
    )
    say(all("no such version" in entry["reason"] for entry in report["refused_entries"]), "and why", str(report)[:300])
    equals("what is missing is listed", missing, next_one("python3 .*report.json"))
    (status,) = next_one("stagefs status")
    equals("the other half is staged", {"modified": len(kept)}, status["counts"])
    equals(
        "entry by entry",
        {split[number]: digest(second[number]) for number in kept},
        {entry["path"]: entry["sha256"] for entry in status["staged_entries"]},
    )
    (commit,) = next_one("stagefs commit")
    equals("and committed", len(kept), commit["entries"])

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = used.ru_utime + used.ru_stime

    # What is there in the end: by another process, and in the mount.
    final = {path: second[number] if number in kept else first[number] for number, path in enumerate(split)}
    listed, shown = {}, set()
    for folder in ("train", "val", "test"):
        lines = subprocess.run(
            [os.environ["STAGEFS_BINARY"], "ls", "--json", "team/labels", folder],
            stdout=subprocess.PIPE,
            timeout=60,
            check=True,
        ).stdout.splitlines()
        listed.update({f"{folder}/{entry['name']}": entry["sha256"] for entry in map(json.loads, lines)})
        shown.update(f"{folder}/{name}" for name in os.listdir(f"mnt/{folder}"))
    equals("the branch holds the day's work, path by path", {path: digest(text) for path, text in final.items()}, listed)
    equals("the mount shows the same names", set(final), shown)
    some = split[:: max(1, files // 100)]
    equals("and contents", [final[path] for path in some], [open(f"mnt/{path}", encoding="utf-8").read() for path in some])
    equals("nothing else is there", {"train", "val", "test"}, set(os.listdir("mnt")))
    next_one("stagefs unmount")
    equals("that was all of the section", [], left)
    started = open("started", encoding="utf-8").read().splitlines()
    equals("each command was one process", 15, len(started))
    print(
        f"  {files} files: {sum(seconds for seconds, _ in took):.1f} s ({busy:.1f} of processors),"
        f" {len(started)} processes of stagefs; the longest:"
    )
    for seconds, command in sorted(took, reverse=True)[:4]:
        print(f"  {seconds:5.1f} s  {command}")


make() if what == "make" else run(sys.argv[3])
