"""Tables in every dialect that Python's csv module has, staged over HTTP. Usage: tables.py URL TOKEN XXH3 XXH3 CASES SEED

What is staged must be what a second, slow reader of RFC 4180 and of IANA's text/tab-separated-values finds in the same bytes, or
the table is refused and nothing is staged. A table that was written as RFC 4180 says is never refused, and stages what was
written. The seed replays a run.
"""

import csv
import http.client
import io
import json
import random
import sys
from urllib.parse import urlsplit

url, token, *hashes, cases, seed = sys.argv[1:]
address = urlsplit(url)
connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
chance = random.Random(int(seed))
print(f"seed {seed}, {cases} cases")


def ask(method, path, body=None, kind="application/json"):
    connection.request(
        method, f"/api/repos/t/r/workspaces/w/{path}", body, {"authorization": f"Bearer {token}", "content-type": kind}
    )
    answer = connection.getresponse()
    return answer.status, answer.read()


class NoTable(Exception):
    pass


def read_slowly(text, separator):
    """Records of fields, a character at a time."""
    text = text.removeprefix("\ufeff")
    header = next((line for line in text.split("\n") if line.strip(" \t\r")), "")
    crlf, quotes = header.endswith("\r"), separator == "," or header.startswith('"')
    if not text.endswith("\n"):
        text += "\n"
    records, fields, field, at = [], [], "", 0

    def end_of_line():
        return 2 if crlf and text.startswith("\r\n", at) else 1 if text[at] == "\n" else 0

    begin = True
    while at < len(text):
        if begin and quotes and text[at] == '"':
            at += 1
            while True:
                if at >= len(text):
                    raise NoTable("a quote is never closed")
                if text[at] == '"' and text.startswith('""', at):
                    field, at = field + '"', at + 2
                elif text[at] == '"':
                    at += 1
                    break
                else:
                    field, at = field + text[at], at + 1
            if at >= len(text) or not (text[at] == separator or end_of_line()):
                raise NoTable("text behind a quote")
            begin = False
        elif text[at] == separator:
            fields.append(field)
            field, at, begin = "", at + 1, True
        elif end_of_line():
            at += end_of_line()
            if fields or field or not begin:
                records.append(fields + [field])
            fields, field, begin = [], "", True
        elif quotes and text[at] == '"':
            raise NoTable("a quote in a bare field")
        else:
            field, at, begin = field + text[at], at + 1, False
    if not records:
        raise NoTable("empty")
    names = [name.lower() for name in records[0]]
    if names.count("path") != 1 or names.count("hash") != 1 or any(len(one) != len(names) for one in records[1:]):
        raise NoTable("columns")
    return {one[names.index("path")]: one[names.index("hash")] for one in records[1:]}


def written():
    """A table: its bytes, its separator, what was written into it, and whether it is as RFC 4180 says."""
    alphabet = chance.choice(["ab", "ab ,", 'a"', "a\"'\\,;\t |", "a\n\r,", "a'\\", "ä€ 𝄞", 'a\r\n"', " \ta"])
    files = {
        "".join(chance.choices(alphabet, k=chance.randint(1, 6))): chance.choice(hashes)
        for _ in range(chance.randint(1, 4))
    }
    separator = chance.choice(",,,,\t\t;|")
    how = {
        "delimiter": separator,
        "quotechar": chance.choice('""""\''),
        "lineterminator": chance.choice(["\n", "\r\n", "\r\n", "\r"]),
        "quoting": chance.choice(
            [csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]
        ),
        "doublequote": chance.random() < 0.8,
        "escapechar": chance.choice([None, None, "\\"]),
        "skipinitialspace": chance.random() < 0.1,
    }
    columns = ["path", "hash"] + chance.sample(["size", "label", "Note (x)"], chance.randint(0, 2))
    chance.shuffle(columns)
    text = io.StringIO(newline="")
    writer = csv.writer(text, **how)
    writer.writerow(columns)
    for path, digest in files.items():
        writer.writerow(
            [{"path": path, "hash": digest}.get(column, chance.choice(["", "x", 7, alphabet])) for column in columns]
        )
    plain = (
        separator == ","
        and how["quotechar"] == '"'
        and how["doublequote"]
        and how["quoting"] != csv.QUOTE_NONE
        and how["escapechar"] is None
        and how["lineterminator"] != "\r"
    )
    return text.getvalue(), separator, files, plain


def is_path(name):
    return name not in (".", "..")


# One folder for all: what a case leaves there, also one that is refused, fails a later one. A folder each would stay, empty, and
# make each question of what is staged slower.
folder = seed
taken = refused = 0
for number in range(int(cases)):
    while True:
        try:
            text, separator, files, plain = written()
            break
        except csv.Error:
            pass  # The dialect cannot write this.
    kind = "text/tab-separated-values" if separator == "\t" else "text/csv"
    status, body = ask("POST", f"files/batch/{folder}?atomic=true", text.encode(), kind)
    assert status in (200, 400, 422), (status, body)
    try:
        meant = read_slowly(text, "\t" if separator == "\t" else ",")
    except NoTable as why:
        meant = str(why)
    problem = None
    if status != 200:
        refused += 1
        if plain and all(map(is_path, files)):
            problem = f"refused: {body.decode()}"
    else:
        taken += 1
        status, body = ask("GET", f"changes/{folder}?page_size=100")
        assert status == 200, body
        staged = {
            entry["filename"].removeprefix(folder + "/"): entry["hash"]
            for entry in json.loads(body)["staged"]["added_files"]["entries"]
        }
        if isinstance(meant, str):
            problem = f"staged {staged}, though {meant}"
        elif staged != meant or (plain and staged != files):
            problem = f"staged {staged}, the slow reader says {meant}, written was {files}"
        status, body = ask("DELETE", f"changes/{folder}")
        assert status == (200 if staged else 404), body
    if problem:
        print(f"case {number}: {text!r}: {problem}")
        sys.exit(1)
print(f"{taken} tables staged, {refused} refused")
sys.exit(not taken or not refused)
