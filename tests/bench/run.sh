#!/usr/bin/env bash
# Measures stagefs beside its peers, each pair in one run, three times, and prints the figures with their spread.
# Usage: tests/bench/run.sh BUILD_FOLDER [ENTRIES] [LINKS]
set -eu
out=$(realpath "$1") entries=${2:-100000} links=${3:-20000}
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/bench.py" "$out" "$entries" "$links"
