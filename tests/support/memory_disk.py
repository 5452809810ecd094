"""Memory in the place of a disk, for the data of servers that live as long as a test run.

A disk has to take each of the many small writes before it is acknowledged; that is most of what some tests wait for.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 8 * 2**30
"""Bytes that must be free there: each process of a run has a server, with a log of operations of 512 MB."""


@contextmanager
def folders_in_memory() -> Iterator[None]:
    """Have temporary folders made in memory until the end of the block, where there is room."""
    usual = tempfile.tempdir
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        tempfile.tempdir = str(MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = usual
