#!/usr/bin/env python3
"""Runs the `$` lines of a README's indented examples in one shell and compares what they print.

Usage: readme_examples.py FILE. The environment sets the scene. An example is compared when output follows it.
"""
import subprocess
import sys

shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
MARK = "--done--"


def run(command):
    shell.stdin.write(command + f"\necho; echo {MARK}\n")
    shell.stdin.flush()
    lines = []
    for line in shell.stdout:
        if line.rstrip("\n") == MARK:
            break
        lines.append(line.rstrip("\n"))
    while lines and lines[-1] == "":
        lines.pop()
    return [line for line in lines if line]


examples, current = [], None
for line in open(sys.argv[1]):
    if line.startswith("    $ "):
        current = (line[6:].split("   #")[0].rstrip(), [])
        examples.append(current)
    elif line.startswith("    ") and current:
        current[1].append(line.strip())
    else:
        current = None
failed = 0
for command, expected in examples:
    got = run(command)
    if expected and " ".join(expected).split() != " ".join(got).split():
        failed = 1
        print(f"{command}\n  expected: {expected}\n  printed:  {got}")
print(f"{len(examples)} examples")
sys.exit(failed or not examples)
