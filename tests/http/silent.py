"""1,100 connections that never show a token, beside clients that do. Usage: silent.py URL TOKEN"""
import http.client
import socket
import sys
from urllib.parse import urlsplit

url, token = sys.argv[1:]
address = urlsplit(url)
SILENT = 1100
WAIT_SECONDS = 10  # Of a busy machine. A silent connection is kept for 60 seconds.


def client():
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=WAIT_SECONDS)
    connection.connect()
    return connection


def ask(connection):
    connection.request("GET", "/api/version", headers={"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def silent(number):
    connection = socket.create_connection((address.hostname, address.port), timeout=WAIT_SECONDS)
    if number % 2:
        connection.sendall(b"GET /api/version HTTP/1.1\r\nho")
    return connection


known = client()
ask(known)
socket_before = known.sock
crowd = [silent(number) for number in range(SILENT)]
for _ in range(20):
    ask(client())
assert crowd[0].recv(1) == b"", "the oldest was not cut"
ask(known)
assert known.sock is socket_before, "a connection that showed a token was cut"
crowd[-1].sendall(b"" if SILENT % 2 else b"st: x\r\n\r\n")
crowd[-1].settimeout(0.2)
try:
    assert crowd[-1].recv(1) != b"", "the newest was cut"
except TimeoutError:
    pass
