"""The command: `python -m tests.fuzz`. It exits with 1 if anything was found."""

import argparse
import asyncio
import random
import sys
import time
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from recovery.testing.mongod import mongod
from tests.chaos.daemons import Daemon, started
from tests.fuzz.found import Found
from tests.fuzz.parts import PARTS, environment
from tests.support.smtp_servers import RecordingRelay

MOST_MEMORY = 200 * 1024
"""Kilobytes that the daemon may hold after all of it."""

OF_OURS = ("internal error", "unexpected error", "root task ended")
"""What the daemon logs of an error that nobody foresaw."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


async def play(uri: str, seed: int, seconds: float, only: list[str]) -> dict[str, Found]:
    """Fuzz one part after the other, each for its share of the time; return what was found, by part."""
    found: dict[str, Found] = {}
    async with RecordingRelay() as relay:
        told = {
            "RECOVERY_MONGODB__URI": uri,
            "RECOVERY_MONGODB__DATABASE": f"fuzz-{uuid4().hex[:10]}",
            "RECOVERY_SMTP__PORT": str(relay.port),
            "RECOVERY_HTTP__PORT": "0",
            **environment(),
        }
        async with started(told) as daemon:
            for name in only:
                with out.status(f"{name}, {seconds / len(only):.0f} s"):
                    rng, until = random.Random(f"{seed}/{name}"), time.monotonic() + seconds / len(only)
                    found[name] = await PARTS[name](daemon, rng, until)
                    found[name].faults += await _faults_of(daemon)
    return found


async def _faults_of(daemon: Daemon) -> list[str]:
    """Return what the daemon shows that must not be: an end, a traceback, an error of its own, or too much memory."""
    if daemon.process.returncode is not None:
        return [f"the daemon ended: {daemon.log[-3:]}"]
    faults = [str(entry)[:500] for entry in daemon.log if _is_fault(entry)]
    daemon.log.clear()
    if daemon.rss() > MOST_MEMORY:
        faults.append(f"the daemon holds {daemon.rss() // 1024} MB")
    await daemon.ready()
    return faults


def _is_fault(entry: dict) -> bool:
    return "Traceback" in str(entry) or entry.get("event") in OF_OURS


def main() -> int:
    """Fuzz, print a table, and say how to repeat it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Send what nobody would send.")
    parser.add_argument("--minutes", type=float, default=10, help="how long it takes in all")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run; by default one is drawn and told")
    parser.add_argument("--only", action="append", metavar="PART", choices=list(PARTS), help="may be given again")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    with mongod() as uri:
        found = asyncio.run(play(uri, seed, asked.minutes * 60, asked.only or list(PARTS)))
    table = Table("part", "cases", "statuses", "slowest", "faults")
    for name, each in found.items():
        statuses = " ".join(map(str, sorted(each.statuses)))
        table.add_row(name, f"{each.cases:,}", statuses, f"{each.slowest:.2f} s", str(len(each.faults)))
    out.print(table)
    for name, each in found.items():
        for fault in dict.fromkeys(each.faults[:20]):
            out.print(f"{name}: {fault}", markup=False, soft_wrap=True)
    broken = [name for name, each in found.items() if each.faults]
    again = f"again: python -m tests.fuzz --seed {seed}"
    out.print(f"{len(broken)} parts with faults; {again}" if broken else f"nothing was found; {again}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
