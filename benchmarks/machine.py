"""What machine this is, and with which versions of what."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from recovery.testing.mongod import find_mongod


def describe() -> dict[str, str]:
    """Return what a reader needs to know of the machine to make sense of figures."""
    memory = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    mongod = subprocess.run([find_mongod(), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "processor": _processor(),
        "Python": platform.python_version(),
        "MongoDB": mongod.splitlines()[0].removeprefix("db version v"),
        **{name: version(name) for name in ("pymongo", "aiosmtplib", "uvloop")},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
