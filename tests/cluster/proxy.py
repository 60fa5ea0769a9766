#!/usr/bin/env python3
"""Stands between stagefs and an S3 server and misbehaves as told. Usage: proxy.py PORT UPSTREAM_PORT CONTROL_FILE

The control file holds `ok`, `503 N` (throttles the next N requests), `slow SECONDS` (before each answer), `cut` (ends each
GET half-way), `wrong` (changes a byte of each GET), `hang` (answers nothing) or `ahead SECONDS` (its clock).
"""
import datetime
import email.utils
import http.client
import http.server
import sys
import time

port, upstream, control = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with open(control) as file:
            mode, *rest = file.read().split()
        if mode == "hang":
            time.sleep(600)
        if mode == "slow":
            time.sleep(float(rest[0]))
        if mode == "503" and int(rest[0]) > 0:
            with open(control, "w") as file:
                file.write(f"503 {int(rest[0]) - 1}")
            answer = b"<Error><Code>SlowDown</Code></Error>"
            self.send_response(503)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)
            return
        if mode == "ahead":
            now = time.time() + float(rest[0])
            signed = datetime.datetime.strptime(self.headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
            if abs(now - signed) > 300:  # Upstream allows 900 by its own clock.
                answer = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
                self.send_response_only(403)
                self.send_header("date", email.utils.formatdate(now, usegmt=True))
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)
                return
        connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = response.getheader("content-length") or str(len(answer))
        self.send_header("content-length", length)
        self.end_headers()
        data = self.command == "GET" and response.status in (200, 206) and "list-type" not in self.path
        if data and mode == "wrong" and answer:
            answer = bytes([answer[0] ^ 1]) + answer[1:]
        if data and mode == "cut":
            answer = answer[: len(answer) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            try:
                self.wfile.write(answer)
            except ConnectionError:  # Nobody waits for it any more.
                self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
