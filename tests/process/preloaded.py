"""Nodes whose wall clock is wrong and whose disk is slow, by a library that is preloaded (preloaded_faults.cpp)."""

import os
import struct

import harness

# Sanitizers refuse libraries that come before their own: then None.
LIBRARY = None if os.environ.get("COVEY_SANITIZE") else os.environ.get(
    "COVEY_PRELOADED_FAULTS", str(harness.ROOT / "build/release/tests/process/libpreloaded_faults.so"))


def prepare(nodes):
    """Before they start."""
    for node in nodes if LIBRARY else ():
        file = _file(node)
        file.write_bytes(bytes(16))
        node.environment = {"LD_PRELOAD": LIBRARY, "COVEY_FAULTS": str(file)}


def set_clock(node, seconds):
    """So far ahead of the machine's (negative: behind), at once."""
    _tell(node, 0, seconds)


def slow_syncs(node, milliseconds):
    _tell(node, 1, milliseconds)


def _file(node):
    return node.folder / f"{node.name}.faults"


def _tell(node, index, number):
    with open(_file(node), "r+b") as file:
        file.seek(8 * index)
        file.write(struct.pack("=q", number))
