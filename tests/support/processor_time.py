"""The processor time of a process, which other work on the machine lengthens less than real time."""

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_time(pid: int) -> float:
    """Return the processor time that a process has used, in seconds, with its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


class Stopwatch:
    """Measures from now on what a process spends: its processor time, or a tenth of the real time if that is more.

    So one that only waits, without working, is noticed as well.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic()
        self._before = processor_time(pid)

    def seconds(self) -> float:
        """Return the seconds until now."""
        return max(processor_time(self._pid) - self._before, (time.monotonic() - self._began) / 10)
