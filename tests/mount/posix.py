"""What POSIX and Linux promise of a folder, one case a function; prints a line a case. Usage: posix.py FOLDER"""
import ctypes
import errno
import fcntl
import mmap
import os
import sys
import threading
import traceback

FOLDER = sys.argv[1]
LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


def at(name):
    return os.path.join(FOLDER, name)


def write(name, text):
    with open(at(name), "w") as file:
        file.write(text)


def read(name):
    with open(at(name)) as file:
        return file.read()


def rename(old, new, flags):
    if LIBC.renameat2(-100, at(old).encode(), -100, at(new).encode(), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def fallocate(fd, mode, start, length):
    if LIBC.fallocate(fd, mode, ctypes.c_long(start), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


CASES = []


def case(function):
    CASES.append(function)
    return function


def refuses(code, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == code, f"{errno.errorcode[error.errno]} instead of {errno.errorcode[code]}"
        return
    raise AssertionError(f"it went where {errno.errorcode[code]} was expected")


@case
def noreplace_and_exchange_of_files():
    write("x", "x")
    write("y", "y")
    refuses(errno.EEXIST, rename, "x", "y", NOREPLACE)
    rename("x", "y", EXCHANGE)
    assert (read("x"), read("y")) == ("y", "x")
    rename("x", "z", NOREPLACE)
    assert not os.path.exists(at("x")) and read("z") == "y"
    refuses(errno.ENOENT, rename, "y", "nothing", EXCHANGE)
    refuses(errno.EINVAL, rename, "y", "z", NOREPLACE | EXCHANGE)


@case
def exchange_of_a_file_and_a_folder():
    os.makedirs(at("folder/deep"))
    write("folder/deep/inner", "inner")
    write("file", "file")
    rename("file", "folder", EXCHANGE)
    assert read("folder") == "file" and read("file/deep/inner") == "inner"
    refuses(errno.EINVAL, rename, "file", "file/deep", EXCHANGE)
    rename("file", "folder", EXCHANGE)
    assert read("file") == "file"


@case
def exchange_of_files_that_are_open():
    a, b = open(at("a"), "w"), open(at("b"), "w")
    a.write("first")
    a.flush()
    b.write("second")
    b.flush()
    rename("a", "b", EXCHANGE)
    a.write(" and more")
    a.close()
    b.close()
    assert (read("b"), read("a")) == ("first and more", "second")


@case
def whiteouts_are_refused():
    write("x", "x")
    refuses(errno.EINVAL, rename, "x", "y", WHITEOUT)
    assert read("x") == "x"


@case
def a_file_without_a_name():
    """libfuse 3.14 does not pass O_TMPFILE on; where a later one does, it has to work."""
    try:
        fd = os.open(FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP, error
        return
    os.write(fd, b"x")
    os.close(fd)


@case
def allocation():
    fd = os.open(at("f"), os.O_RDWR | os.O_CREAT)
    fallocate(fd, 0, 0, 10000)
    assert os.fstat(fd).st_size == 10000
    fallocate(fd, KEEP_SIZE, 10000, 50000)
    assert os.fstat(fd).st_size == 10000
    os.pwrite(fd, b"z" * 10000, 0)
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 4096, 4096)
    fallocate(fd, ZERO_RANGE, 0, 10)
    os.close(fd)
    expected = b"\0" * 10 + b"z" * 4086 + b"\0" * 4096 + b"z" * 1808
    with open(at("f"), "rb") as file:
        assert file.read() == expected


@case
def data_and_holes():
    fd = os.open(at("f"), os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"d" * 4096, 1 << 20)
    os.ftruncate(fd, 2 << 20)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 1 << 20
    assert os.lseek(fd, 1 << 20, os.SEEK_HOLE) == (1 << 20) + 4096
    refuses(errno.ENXIO, os.lseek, fd, 2 << 20, os.SEEK_DATA)
    os.close(fd)


@case
def seeking_in_a_listing():
    for number in range(300):
        write(f"n{number:03}", "")
    LIBC.fdopendir.restype = ctypes.c_void_p
    LIBC.telldir.argtypes = LIBC.closedir.argtypes = LIBC.readdir64.argtypes = [ctypes.c_void_p]
    LIBC.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    LIBC.telldir.restype, LIBC.readdir64.restype = ctypes.c_long, ctypes.c_void_p
    stream = LIBC.fdopendir(os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY))

    def following():
        names = []
        while entry := LIBC.readdir64(stream):
            names.append(ctypes.string_at(entry + 19))
        return names

    for _ in range(100):
        LIBC.readdir64(stream)
    place = LIBC.telldir(stream)
    rest = following()
    assert len(rest) == 202
    write("newcomer", "")
    os.remove(at("n299"))
    LIBC.seekdir(stream, place)
    again = following()
    assert set(rest) - {b"n299"} <= set(again)
    assert LIBC.closedir(stream) == 0
    fd = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    assert os.lseek(fd, 0, os.SEEK_SET) == 0 and len(os.listdir(fd)) == 300
    os.close(fd)


@case
def files_removed_while_open():
    fd = os.open(at("f"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"kept")
    os.remove(at("f"))
    assert os.fstat(fd).st_nlink == 0 and os.pread(fd, 9, 0) == b"kept"
    os.ftruncate(fd, 2)
    os.pwrite(fd, b"!", 2)
    assert os.pread(fd, 9, 0) == b"ke!"
    write("f", "another")
    os.close(fd)
    assert read("f") == "another"


@case
def folders_removed_while_open():
    os.mkdir(at("d"))
    fd = os.open(at("d"), os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir(at("d"))
    assert os.listdir(fd) == []
    refuses(errno.ENOENT, lambda: os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


@case
def names_at_the_limit():
    long = "n" * 255
    write("short", "text")
    os.link(at("short"), at(long))
    os.remove(at(long))
    os.rename(at("short"), at(long))
    assert os.listdir(FOLDER) == [long] and read(long) == "text"
    os.remove(at(long))
    os.mkdir(at(long))
    os.rename(at(long), at("ä" * 127))
    for call in (os.mkdir, os.stat, lambda path: os.rename(at("ä" * 127), path), lambda path: os.symlink("x", path)):
        refuses(errno.ENAMETOOLONG, call, at(long + "n"))
    assert os.listdir(FOLDER) == ["ä" * 127]


@case
def a_tree_200_folders_deep():
    here = os.open(FOLDER, os.O_RDONLY)
    for level in range(200):
        name = f"level-{level:03}-" + "x" * 9
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    fd = os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(fd, b"leaf")
    os.close(fd)
    assert os.stat("leaf", dir_fd=here).st_size == 4
    # A path has 4,096 bytes, also where it is made name by name.
    refuses(errno.ENAMETOOLONG, lambda name: os.mkdir(name, dir_fd=here), "n" * 255)
    os.close(here)
    os.rename(at("level-000-" + "x" * 9), at("moved"))


@case
def hard_links_are_independent():
    write("source", "text")
    os.link(at("source"), at("link"))
    source, link = os.stat(at("source")), os.stat(at("link"))
    assert source.st_ino == link.st_ino and source.st_nlink == link.st_nlink == 2
    assert source.st_mtime_ns == link.st_mtime_ns
    with open(at("link"), "a") as file:
        file.write(" and more")
    assert (read("source"), read("link")) == ("text", "text and more")
    source, link = os.stat(at("source")), os.stat(at("link"))
    assert source.st_ino != link.st_ino and source.st_nlink == link.st_nlink == 1
    refuses(errno.EEXIST, os.link, at("source"), at("link"))
    refuses(errno.EPERM, os.link, FOLDER, at("folder"))


@case
def times():
    write("f", "text")
    moment = 1_234_567_890_123_456_789
    os.utime(at("f"), ns=(moment, moment))
    assert os.stat(at("f")).st_mtime_ns == moment
    with open(at("f"), "a") as file:
        file.write(" more")
        file.flush()
        os.utime(file.fileno(), ns=(moment, moment))
    assert os.stat(at("f")).st_mtime_ns == moment
    os.rename(at("f"), at("g"))
    assert os.stat(at("g")).st_mtime_ns == moment
    os.utime(at("g"), ns=(-1, -1))
    assert os.stat(at("g")).st_mtime_ns == -1
    with open(at("g"), "a") as file:
        file.write("x")
    assert os.stat(at("g")).st_mtime_ns > moment
    os.mkdir(at("d"))
    os.utime(at("d"), ns=(moment, moment))
    assert os.stat(at("d")).st_mtime_ns == moment


@case
def writing_past_the_cache():
    data = mmap.mmap(-1, 8192)
    data.write(os.urandom(8192))
    fd = os.open(at("f"), os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    assert os.writev(fd, [data]) == 8192
    back = mmap.mmap(-1, 8192)
    assert os.preadv(fd, [back], 0) == 8192 and back[:] == data[:]
    os.close(fd)
    with open(at("f"), "rb") as file:
        assert file.read() == data[:]


@case
def mappings_shared_by_two_handles():
    one, two = (os.open(at("f"), os.O_RDWR | os.O_CREAT) for _ in range(2))
    os.ftruncate(one, 4096)
    left, right = mmap.mmap(one, 4096), mmap.mmap(two, 4096)
    left[10:15] = b"hello"
    assert right[10:15] == b"hello" and os.pread(two, 5, 10) == b"hello"
    os.pwrite(one, b"HELLO", 10)
    assert right[10:15] == b"HELLO"
    for mapping in (left, right):
        mapping.close()
    os.close(one)
    os.close(two)
    with open(at("f"), "rb") as file:
        assert file.read()[10:15] == b"HELLO"


@case
def a_private_mapping_writes_nothing():
    write("f", "text")
    with open(at("f"), "rb") as file, mmap.mmap(file.fileno(), 4, access=mmap.ACCESS_COPY) as mapping:
        mapping[:4] = b"mine"
    assert read("f") == "text"


@case
def appending_from_many_threads():
    def append(letter):
        fd = os.open(at("log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for _ in range(200):
            os.write(fd, letter * 9 + b"\n")
        os.close(fd)

    threads = [threading.Thread(target=append, args=(bytes([65 + i]),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = read("log").splitlines()
    assert len(lines) == 800 and all(line == line[0] * 9 for line in lines)


@case
def locks():
    write("f", "")
    with open(at("f"), "r+") as one, open(at("f"), "r+") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        refuses(errno.EAGAIN, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_EX, 10, 0)
    if os.fork() == 0:
        with open(at("f"), "r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os._exit(0)
    assert os.wait()[1] == 0


@case
def the_publish_of_table_formats():
    """Delta and Lance write a file, link it to its final name if nobody has, and unlink the first name."""
    for writer in ("one", "two"):
        fd = os.open(at(f"_tmp-{writer}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, writer.encode())
        os.fsync(fd)
        if writer == "one":
            os.link(at("_tmp-one"), at("00000.json"))
        else:
            refuses(errno.EEXIST, os.link, at("_tmp-two"), at("00000.json"))
        os.remove(at(f"_tmp-{writer}"))
        os.close(fd)
    assert read("00000.json") == "one" and os.listdir(FOLDER) == ["00000.json"]


@case
def large_offsets():
    fd = os.open(at("f"), os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"end", 5 << 30)
    assert os.fstat(fd).st_size == (5 << 30) + 3 and os.pread(fd, 9, 5 << 30) == b"end"
    refuses(errno.EFBIG, os.ftruncate, fd, (1 << 63) - 1)
    os.ftruncate(fd, 3)
    os.close(fd)
    assert os.stat(at("f")).st_size == 3


top = FOLDER
for function in CASES:
    name = function.__name__
    FOLDER = os.path.join(top, name)
    os.mkdir(FOLDER)
    try:
        function()
        print("ok -", name.replace("_", " "), flush=True)
    except (AssertionError, OSError):
        print("not ok -", name.replace("_", " "), flush=True)
        print("  " + traceback.format_exc().replace("\n", "\n  "), flush=True)
