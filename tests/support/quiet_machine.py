"""A machine for one test alone, while all others wait: for what is judged by time, and was slow beside them.

Two files are locked. Each test holds `floor` together with all others; who wants it alone takes `gate` first, which all
go through, so that no test begins meanwhile.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


class QuietMachine:
    """What the processes of one test run agree by: `run` is what they have in common, and no other run has."""

    def __init__(self, run: str) -> None:
        folder = Path(tempfile.gettempdir())
        self._paths = [folder / f"recovery-tests-{run}-{name}" for name in ("gate", "floor")]
        self._gate, self._floor = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in self._paths)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run one test beside the others."""
        with _locked(self._gate):
            fcntl.flock(self._floor, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._floor, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within a test: wait until the others have ended, and let none begin."""
        fcntl.flock(self._floor, fcntl.LOCK_UN)  # or two that want it alone would wait for each other
        with _locked(self._gate):
            fcntl.flock(self._floor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._floor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Leave nothing behind."""
        for path in self._paths:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(file: int) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


MACHINE = QuietMachine(os.environ.setdefault("PYTEST_RUN_OF_RECOVERY", uuid4().hex))  # workers inherit it
