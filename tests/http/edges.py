"""HTTP at its edges, by raw sockets. Usage: edges.py URL TOKEN

Each request is sent with a second one behind it, on the same connection. One that is refused must be answered once, at
once, and the connection closed: what stands behind it may be part of it, as a proxy understands it (RFC 9112, section 11.2).
"""
import contextlib
import json
import re
import socket
import sys
import time
from urllib.parse import urlsplit

url, token = sys.argv[1:]
address = urlsplit(url)
AT_ONCE_SECONDS = 10  # Of a busy machine; an idle connection is kept for 60.
HOST = f"host: {address.netloc}\r\n"
AUTH = f"authorization: Bearer {token}\r\n"
BEHIND = f"GET /api/min_version HTTP/1.1\r\n{HOST}{AUTH}connection: close\r\n\r\n"
BATCH = "POST /api/repos/t/r/workspaces/w/files/batch HTTP/1.1\r\n"
LIST = f"{HOST}{AUTH}content-type: application/json\r\n"


def exchange(text):
    """All that the server sends until it closes."""
    with socket.create_connection((address.hostname, address.port), timeout=AT_ONCE_SECONDS) as connection:
        begun = time.monotonic()
        got = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(text.encode("latin-1"))  # It may close before all was sent: the answer is there.
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                got += piece
        assert time.monotonic() - begun < AT_ONCE_SECONDS
    return got


def answers(got):
    """One (status, headers, body) for each."""
    found = []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body, got = rest[: int(length[1])] if length else b"", rest[int(length[1]) if length else 0:]
        found.append((int(head[9:12]), head.decode().lower(), body))
    return found


def check(what, ok, detail=""):
    print(f"ok - {what}" if ok else f"not ok - {what}: {str(detail)[:400]}")


def refused(what, request, status):
    """As all errors are, in JSON."""
    got = answers(exchange(request + BEHIND))
    ok = len(got) == 1 and got[0][0] == status and "\r\nconnection: close" in got[0][1]
    check(f"{what}: {status}, and the connection ends", ok and json.loads(got[0][2])["error"]["detail"], got)


def refused_by_library(what, request, status):
    """libmicrohttpd sees it first, and asks nobody what to say. It may say so twice."""
    got = exchange(request + BEHIND)
    ok = got.startswith(f"HTTP/1.1 {status} ".encode()) and b"\r\nConnection: close" in got and b"0.36.0" not in got
    check(f"{what}: {status} from the library, and the connection ends", ok, got)


def served(what, request, status, text=b""):
    got = answers(exchange(request + BEHIND))
    check(what, len(got) == 2 and got[0][0] == status and text in got[0][2] and b"0.36.0" in got[1][2], got)


smuggled = f"5\r\n[]   \r\n0\r\n\r\n{BEHIND}"
refused("two Hosts", f"GET /api/version HTTP/1.1\r\n{HOST}{HOST}{AUTH}\r\n", 400)
refused("no Host", f"GET /api/version HTTP/1.1\r\n{AUTH}\r\n", 400)
refused("a Host that is none", f"GET /api/version HTTP/1.1\r\nhost: a b\r\n{AUTH}\r\n", 400)
refused("lengths that differ", f"{BATCH}{LIST}content-length: 2\r\ncontent-length: 3\r\n\r\n[]", 400)
refused("the same length twice", f"{BATCH}{LIST}content-length: 2\r\ncontent-length: 2\r\n\r\n[]", 400)
refused_by_library("a list of lengths", f"{BATCH}{LIST}content-length: 2, 2\r\n\r\n[]", 400)
refused_by_library("a length with a sign", f"{BATCH}{LIST}content-length: +2\r\n\r\n[]", 400)
refused_by_library("a length beyond all measure", f"{BATCH}{LIST}content-length: 99999999999999999999\r\n\r\n[]", 413)
refused("Content-Length beside Transfer-Encoding",
        f"{BATCH}{LIST}content-length: {len(smuggled)}\r\ntransfer-encoding: chunked\r\n\r\n{smuggled}", 400)
refused("Transfer-Encoding beside Content-Length",
        f"{BATCH}{LIST}transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{smuggled}", 400)
refused("a space before the colon of a length", f"{BATCH}{LIST}content-length : 2\r\n\r\n[]", 400)
refused("a space before the colon of a coding", f"{BATCH}{LIST}content-length: 2\r\ntransfer-encoding : chunked\r\n\r\n{smuggled}", 400)
for coding in ("gzip", "gzip, chunked", "chunked, chunked", "identity", "chunkedx"):
    refused(f"the transfer coding {coding!r}", f"{BATCH}{LIST}transfer-encoding: {coding}\r\n\r\n{smuggled}", 501)
refused("a control character before the coding", f"{BATCH}{LIST}transfer-encoding: \x0bchunked\r\n\r\n{smuggled}", 400)
refused("two transfer codings", f"{BATCH}{LIST}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n{smuggled}", 400)
refused("Transfer-Encoding in HTTP/1.0", f"{BATCH}{LIST}transfer-encoding: chunked\r\n\r\n{smuggled}".replace("HTTP/1.1", "HTTP/1.0", 1), 400)
refused("a CR in a header", f"GET /api/version HTTP/1.1\r\n{HOST}{AUTH}x: a\rb\r\n\r\n", 400)
refused("a header that goes on in the next line", f"GET /api/version HTTP/1.1\r\n{HOST}{AUTH}x: a\r\n b: c\r\n\r\n", 400)
refused("a space in the target", f"GET /api/ver sion HTTP/1.1\r\n{HOST}{AUTH}\r\n", 400)
refused("a target that is no path", f"GET api/version HTTP/1.1\r\n{HOST}{AUTH}\r\n", 400)
refused("* with GET", f"GET * HTTP/1.1\r\n{HOST}{AUTH}\r\n", 400)
refused("CONNECT", f"CONNECT {address.netloc} HTTP/1.1\r\n{HOST}{AUTH}\r\n", 400)
refused_by_library("another version of HTTP", f"GET /api/version HTTP/2.0\r\n{HOST}{AUTH}\r\n", 505)
refused("a proxy's target of another host", f"GET http://evil.example/api/version HTTP/1.1\r\n{HOST}{AUTH}\r\n", 421)
long = f"{BATCH}{LIST}transfer-encoding: chunked\r\n\r\n"
refused_by_library("a chunk extension of 100 kB", f"{long}2;x={'y' * 100_000}\r\n[]\r\n0\r\n\r\n", 500)
refused_by_library("a chunk size that is none", f"{long}2x\r\n[]\r\n0\r\n\r\n", 400)
refused_by_library("a chunk that is longer than it says", f"{long}1\r\n[]\r\n0\r\n\r\n", 400)
refused_by_library("a chunk beyond all measure", f"{long}{'f' * 17}\r\n[]\r\n0\r\n\r\n", 413)

served("an ordinary chunked body, and what is behind it", f"{long}2;x=y\r\n[]\r\n0\r\n\r\n", 200, b'"err_files":[]')
served("an ordinary body, and what is behind it", f"{BATCH}{LIST}content-length: 2\r\n\r\n[]", 200, b'"err_files":[]')
served("a proxy's target", f"GET http://{address.netloc}/api/version HTTP/1.1\r\n{HOST}{AUTH}\r\n", 200, b"0.50.0")
served("a proxy's target without a path", f"GET HTTP://{address.netloc} HTTP/1.1\r\n{HOST}{AUTH}\r\n", 404)
served("its host counts, not the header's", f"GET http://{address.netloc}/api/version HTTP/1.1\r\nhost: evil.example\r\n{AUTH}\r\n", 200)
served("OPTIONS *", f"OPTIONS * HTTP/1.1\r\n{HOST}{AUTH}\r\n", 204)
