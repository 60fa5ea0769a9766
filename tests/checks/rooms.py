"""Includes of core and api that run upwards. A public header belongs to the room of the file that implements it.

Prints each as FILE: HEADER (ROOM), and ends with 1 if there are any."""
import pathlib
import re
import sys

# From the bottom up. Rooms of one line do not know each other.
FLOORS = (("system",), ("index", "versions"), ("durable",), ("tree",), ("staging",), ("history",), ("upkeep",))
# Public headers that no file of their own name implements.
HEADERS_ALONE = {"result": "system", "guarded": "system", "parallel": "system", "counters": "system",
                 "process": "system", "version_store": "versions", "changes": "tree", "status_visit": "staging",
                 "index_rows": "index", "index_versions": "index", "index_history": "index",
                 "index_workspaces": "index", "index_administration": "index", "index_move": "index"}

core = pathlib.Path(__file__).resolve().parent.parent.parent / "core"
floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
room_of = HEADERS_ALONE | {room: room for room in floor_of}  # stagefs/history.h is history's.
for source in core.glob("*/**/*.cc"):
    room_of.setdefault(source.stem, source.relative_to(core).parts[0])


def room_of_include(file, header):
    if header.startswith("stagefs/"):
        return room_of.get(pathlib.Path(header).stem, f"no room: {header}")
    path = header if (core / header).exists() else str((file.parent / header).resolve().relative_to(core))
    return pathlib.Path(path).parts[0]


upwards = []
for file in sorted([*core.glob("**/*.cc"), *core.glob("**/*.h")]):
    room = file.relative_to(core).parts[0]
    if room == "include":
        room = room_of.get(file.stem, "")
    for header in re.findall(r'^#include "([^"]+\.h)"', file.read_text(), re.M):
        target = room_of_include(file, header)
        if target != room and floor_of.get(target, 99) >= floor_of.get(room, -1):
            upwards.append(f"{file.relative_to(core.parent)}: {header} ({target})")

# Of api, whose files name each other from api/ or within their room.
API_FLOORS = ("wire", "handlers", "server")
api = core.parent / "api"
for file in sorted([*api.glob("*/*.cc"), *api.glob("*/*.h")]):
    room = file.parent.name
    for header in re.findall(r'^#include "([^"]+\.h)"', file.read_text(), re.M):
        target = header.split("/")[0] if "/" in header else room
        if target != "stagefs" and API_FLOORS.index(target) > API_FLOORS.index(room):
            upwards.append(f"{file.relative_to(api.parent)}: {header} ({target})")
print("\n".join(upwards))
sys.exit(bool(upwards))
