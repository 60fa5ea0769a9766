"""Clients that mean harm, or are merely slow, beside one that works. Usage: load.py URL WORKSPACE_PATH TOKEN HASH PID

While each kind of bad client is at it, a good one stages a list again and again and must be answered; afterwards the
server PID must have given back threads and descriptors, and its memory must have stayed below MEMORY_MIB_MAX.
"""
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

url, workspace, token, digest, pid = sys.argv[1:]
address = urlsplit(url)
AUTH = {"authorization": f"Bearer {token}"}
HEAD = f"host: {address.netloc}\r\nauthorization: Bearer {token}\r\n"
IDLE_CONNECTIONS = 1000
SLOW_CONNECTIONS = 100
ANSWER_SECONDS_MAX = 20  # Of a busy machine; what a client would give up at.
MEMORY_MIB_MAX = 200 if os.environ.get("BUILD", "release") == "release" else 2000  # A sanitizer's own.
KEPT_MAX = 100  # Descriptors and threads: the index's connections that wait for the next reader.
problems = []


def connect():
    return socket.create_connection((address.hostname, address.port), timeout=60)


def ask(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        connection.request(method, path, body, {**AUTH, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stage(path="good/file"):
    return ask("POST", f"{workspace}/files/batch", json.dumps([{"hash": digest, "path": path}]), {"content-type": "application/json"})


def memory_mib():
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) // 1024


def held():
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


@contextlib.contextmanager
def good_client(what):
    """Stages meanwhile; each answer must come, and say that it is done."""
    stop, answered = threading.Event(), []

    def work():
        while not stop.is_set():
            begun = time.monotonic()
            try:
                status, body = stage()
                if status != 200 or json.loads(body)["err_files"]:
                    problems.append(f"{what}: {status} {body[:200]}")
            except OSError as error:
                problems.append(f"{what}: {error!r}")
            answered.append(time.monotonic() - begun)
            stop.wait(0.02)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
        until = time.monotonic() + ANSWER_SECONDS_MAX
        while not answered and time.monotonic() < until:
            stop.wait(0.02)
    except OSError as error:
        problems.append(f"{what}: {error!r}")
    finally:
        stop.set()
        thread.join()
    if not answered or max(answered) > ANSWER_SECONDS_MAX:
        problems.append(f"{what}: a good client waited {max(answered, default=0):.1f} s")
    print(f"{what}: {len(answered)} answers, the slowest after {max(answered, default=0):.2f} s; {memory_mib()} MiB", flush=True)


def check(what, condition):
    if not condition:
        problems.append(what)


stage()  # Opens the repository.
before = held()

with good_client("half-open and idle connections"):
    idle = [connect() for _ in range(IDLE_CONNECTIONS)]
    for number, connection in enumerate(idle):
        if number % 2:
            connection.sendall(b"GET /api/health HTTP/1.1\r\nho")
    for _ in range(20):
        check("a good client among idle ones", stage()[0] == 200)
    for connection in idle:
        connection.close()

with good_client("headers and bodies a byte at a time"):
    body = json.dumps([{"hash": digest, "path": "slow/file"}]).encode()
    head = f"POST {workspace}/files/batch HTTP/1.1\r\n{HEAD}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    message = head.encode() + body
    slow = [connect() for _ in range(SLOW_CONNECTIONS)]
    for byte in range(len(message)):
        for connection in slow:
            connection.sendall(message[byte:byte + 1])
    for connection in slow:
        check("a slow client is answered, too", connection.recv(15) == b"HTTP/1.1 200 OK")
        connection.close()

with good_client("bodies that are never finished"):
    unfinished = [connect() for _ in range(SLOW_CONNECTIONS)]
    for connection in unfinished:
        connection.sendall(f"POST {workspace}/files/batch HTTP/1.1\r\n{HEAD}content-length: 1000000\r\n\r\n[".encode() + b" " * 100_000)
    for connection in unfinished:
        connection.close()

with good_client("header floods"):
    for flood in ("x-flood: " + "x" * 100_000 + "\r\n", "x: y\r\n" * 50_000, "x" * 1_000_000):
        with contextlib.closing(connect()) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(f"GET /api/health HTTP/1.1\r\n{HEAD}{flood}".encode())
                connection.sendall(b"\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                answer = connection.recv(12)
                check(f"a header flood is refused, not {answer}", answer[:10] in (b"", b"HTTP/1.1 4"))

with good_client("deeply nested JSON"):
    for deep in ("[" * 5_000_000, '{"a":' * 1_000_000, '[{"hash":' * 500_000):
        status, _ = ask("POST", f"{workspace}/files/batch", deep, {"content-type": "application/json"})
        check(f"deep JSON is refused, not {status}", 400 <= status < 500)

with good_client("gzip bombs"):
    bomb = gzip.compress(gzip.compress(b"\0" * (256 << 20), 9), 9)
    for packed in (gzip.compress(b"\0" * (300 << 20), 9), bomb):
        form = (b'--XX\r\ncontent-disposition: form-data; name="file[]"; filename="bomb"\r\ncontent-type: application/gzip\r\n\r\n' +
                packed + b"\r\n--XX--\r\n")
        status, _ = ask("POST", f"{workspace}/files/bombs", form, {"content-type": "multipart/form-data; boundary=XX"})
        check(f"a gzip bomb is stored or refused, not {status}", status in (200, 400, 413))
    status, body = ask("QUERY", workspace.split("/workspaces/")[0] + "/versions", gzip.compress(b"a" * (300 << 20), 9))
    check(f"a list of hashes that unpacks to 300 MB is refused, not {status}", status in (400, 413))

check(f"memory stays bounded, not {memory_mib()} MiB", memory_mib() < MEMORY_MIB_MAX)
for _ in range(100):
    stage()  # What ended is cleaned up by whoever comes next.
    after = held()
    if all(now <= then + KEPT_MAX for now, then in zip(after, before)):
        break
    time.sleep(0.1)
check(f"descriptors and threads are given back: {before} before, {after} after",
      all(now <= then + KEPT_MAX for now, then in zip(after, before)))
print(*problems[:10], sep="\n")
sys.exit(bool(problems))
