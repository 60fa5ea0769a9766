"""64 clients stage into one workspace at once. Usage: crowd.py URL WORKSPACE_PATH TOKEN HASH...

HASH...: versions that are stored, the content of number N being "N\n". Each client stages them in order at a path of
its own, by list or by upload in turn, and reads it back after each; all stage at one path as well.
"""

import http.client
import json
import sys
import threading
from urllib.parse import urlsplit

url, workspace, token, *hashes = sys.argv[1:]
CLIENTS = 64
address = urlsplit(url)
headers = {"authorization": f"Bearer {token}"}
problems = []


def ask(connection, method, path, body=None, kind="application/json"):
    connection.request(method, workspace + path, body, {**headers, "content-type": kind} if body else headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def stage(connection, client, number):
    if (client + number) % 2:
        entries = [{"hash": hashes[number], "path": p} for p in (f"{client}/latest", f"{client}/{number}", "shared")]
        status, body = ask(connection, "POST", "/files/batch/crowd", json.dumps(entries))
        assert status == 200 and json.loads(body)["err_files"] == [], body
        return
    parts = "".join(
        f'--XX\r\ncontent-disposition: form-data; name="file[]"; filename="{path}"\r\n\r\n{number}\n\r\n'
        for path in (f"{client}/latest", f"{client}/{number}", "shared")
    )
    status, body = ask(connection, "POST", "/files/crowd", parts + "--XX--\r\n", "multipart/form-data; boundary=XX")
    assert status == 200 and len(json.loads(body)["paths"]) == 3, body


def work(client):
    try:
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        for number in range(len(hashes)):
            stage(connection, client, number)
            status, body = ask(connection, "GET", f"/files/crowd/{client}/latest")
            assert (status, body) == (200, f"{number}\n".encode()), (number, status, body)
        connection.close()
    except Exception as error:
        problems.append(f"client {client}: {error!r}")


threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
status, body = ask(connection, "GET", "/changes/crowd?page_size=10000")
staged = {entry["filename"] for entry in json.loads(body)["staged"]["added_files"]["entries"]}
expected = {f"crowd/{client}/{number}" for client in range(CLIENTS) for number in range(len(hashes))}
expected |= {f"crowd/{client}/latest" for client in range(CLIENTS)} | {"crowd/shared"}
if staged != expected:
    problems.append(f"lost: {sorted(expected - staged)[:5]}, unexpected: {sorted(staged - expected)[:5]}")
status, body = ask(connection, "GET", "/files/crowd/shared")
if body != f"{len(hashes) - 1}\n".encode():
    problems.append(f"somebody's last word was not the last: {body!r}")
print("\n".join(problems) or f"{CLIENTS} clients, {len(hashes)} rounds")
sys.exit(bool(problems))
