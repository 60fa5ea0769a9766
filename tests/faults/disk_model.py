"""What a disk held at a moment: the changes that disk.c wrote down, applied one after the other, as they are and as they were synced."""
import contextlib
import os
import sqlite3


class File:
    PAGE = 4096

    def __init__(self):
        self.now, self.synced = bytearray(), bytearray()
        self.dirty = set()  # Pages that a sync writes: after one that failed, none until they are written again.

    def touch(self, begin, end):
        self.dirty.update(range(begin // self.PAGE, (end + self.PAGE - 1) // self.PAGE))

    def write(self, offset, data):
        if len(self.now) < offset:
            self.resize(offset)
        self.now[offset:offset + len(data)] = data
        self.touch(offset, offset + len(data))

    def resize(self, size):
        before = len(self.now)
        self.now = self.now[:size] + bytes(max(0, size - before))
        self.touch(min(before, size), max(before, size))

    def sync(self):
        size = len(self.now)
        self.synced = self.synced[:size] + bytes(max(0, size - len(self.synced)))
        for page in self.dirty:
            begin = page * self.PAGE
            self.synced[begin:min(begin + self.PAGE, size)] = self.now[begin:begin + self.PAGE]
        self.dirty.clear()


class Folder:
    """Stays the same one when it gets another name."""


class Disk:
    """Names are a dictionary for each folder: {name: File or Folder}."""

    def __init__(self, path):
        self.path, self.root = path, Folder()
        self.folders, self.inodes = {self.root: {}}, {}
        self.journal, self.strict = {self.root: {}}, {self.root: {}}

    def folder_at(self, path):
        folder = self.root
        for name in os.path.relpath(path, self.path).split("/"):
            folder = folder if name == "." else self.folders[folder][name]
        return folder

    def place(self, path):
        folder, name = os.path.split(path)
        return self.folders[self.folder_at(folder)], name

    def synced_names(self):
        self.journal = {folder: dict(names) for folder, names in self.folders.items()}

    def apply(self, kind, words, data):
        if kind == "C":
            file = self.inodes[words[0]] = File()
            names, name = self.place(words[1])
            names[name] = file
        elif kind in "WT" and words[0] not in self.inodes:
            pass  # A file without a name.
        elif kind == "W":
            self.inodes[words[0]].write(int(words[1]), data)
        elif kind == "T":
            self.inodes[words[0]].resize(int(words[1]))
        elif kind == "M":
            names, name = self.place(words[0])
            names[name] = Folder()
            self.folders[names[name]] = {}
        elif kind == "U":
            names, name = self.place(words[0])
            self.folders.pop(names.pop(name), None)
        elif kind == "R":
            source, target = words[0].split("\t")
            names, name = self.place(source)
            what = names.pop(name)
            to, new = self.place(target)
            to[new] = what
        elif kind == "L":
            source, target = words[0].split("\t")
            names, name = self.place(source)
            to, new = self.place(target)
            to[new] = names[name]
        elif kind == "S" and words[0] == "0":
            for names in self.folders.values():
                for file in names.values():
                    if isinstance(file, File):
                        file.sync()
            self.synced_names()
            self.strict = {folder: dict(names) for folder, names in self.folders.items()}
        elif kind == "S":
            self.inodes.get(words[0], File()).sync()
            self.synced_names()
        elif kind == "E" and words[0] == "0":
            for file in self.inodes.values():
                file.dirty.clear()
        elif kind == "E":
            self.inodes.get(words[0], File()).dirty.clear()
        elif kind == "D":
            self.synced_names()
            folder = self.folder_at(words[0])
            self.strict[folder] = dict(self.folders[folder])

    def build(self, mode, at):
        folders = {"journal": self.journal, "strict": self.strict}.get(mode, self.folders)

        def build(folder, path):
            os.makedirs(path, exist_ok=True)
            for name, what in folders.get(folder, {}).items():
                if isinstance(what, Folder):
                    build(what, f"{path}/{name}")
                else:
                    with open(f"{path}/{name}", "wb") as file:
                        file.write(what.now if mode == "kill" else what.synced)
        build(self.root, at)
        if mode != "kill" and os.path.exists(f"{at}/t/r/stagefs.db"):  # Another boot than the one that is known.
            with contextlib.closing(sqlite3.connect(f"{at}/t/r/stagefs.db")) as index:
                index.execute("UPDATE meta SET value = 'before the cut' WHERE key = 'boot'")
                index.commit()


def records(log):
    """(kind, moment, words, bytes written) of each change that disk.c wrote down."""
    with open(log, "rb") as file:
        while line := file.readline():
            kind, moment, rest = line.decode().rstrip("\n").split(" ", 2)
            data = None
            if kind == "W":
                inode, offset, size = rest.split()
                words, data = [inode, offset], file.read(int(size))
            elif kind in "CBAT":
                words = rest.split(" ", 1)
            else:
                words = [rest]
            yield kind, float(moment), words, data
