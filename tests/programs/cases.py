"""Runs functions as test cases, each in a folder of its own below sys.argv[1]; prints a line a case."""
import os
import sys
import traceback

CASES = []


def case(function):
    CASES.append(function)
    return function


def run():
    failed = False
    for function in CASES:
        name = function.__name__.replace("_", " ")
        folder = os.path.join(sys.argv[1], function.__name__)
        os.mkdir(folder)
        try:
            print("ok -", name + (function(folder) or ""), flush=True)
        except Exception:
            failed = True
            print("not ok -", name, flush=True)
            print("  " + traceback.format_exc().replace("\n", "\n  "), flush=True)
    sys.stdout.flush()
    # Some libraries' threads hold files open until the process ends.
    os._exit(1 if failed else 0)
