"""The command: `python -m benchmarks`. It prints the tables, and writes them as JSON and for the documentation."""

import argparse
import random
import sys
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from pymongo import AsyncMongoClient
from rich.console import Console

from benchmarks import against
from benchmarks.against import MEASURES
from benchmarks.bench import Bench
from benchmarks.figures import (  # noqa: F401  entered by being imported
    BENCHMARKS,
    Benchmark,
    burst,
    console,
    daemons,
    distance,
    intake,
    kit,
    lists,
    many,
    planning,
    scale,
    simulate,
    steady,
)
from benchmarks.machine import describe
from benchmarks.measured import Report, markdown, table
from benchmarks.relay import relay
from recovery.testing.mongod import mongod

out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def arguments(known: Mapping[str, Benchmark]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure how fast Recovery is.")
    parser.add_argument("--only", action="append", metavar="NAME", help="may be given again")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    parser.add_argument("--peers", action="store_true", help="beside the peers instead, once scripts/set-up-peers ran")
    parser.add_argument("--against", metavar="COMMIT", help="beside that commit instead, in turns, by processor time")
    parser.add_argument("--quick", action="store_true", help="one round of small numbers, to see that it works")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken")
    parser.add_argument("--pending", type=int, help="how many checkouts are pending; 500,000 if not told")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's data; by default one is drawn and told")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables for the documentation")
    asked = parser.parse_args()
    if unknown := set(asked.only or ()) - set(known if asked.against is None else MEASURES):
        parser.error(f"there is no {', '.join(sorted(unknown))}: --list names what there is")
    return asked


@asynccontextmanager
async def at_work(asked: argparse.Namespace, report: Report) -> AsyncIterator[Bench]:
    """Run a mongod and a relay; give what a benchmark works with."""
    with mongod(ttl_seconds=60) as uri:
        async with relay() as (port, pid), AsyncMongoClient(uri, tz_aware=True, appname="bench") as client:
            with out.status("starting") as status:
                yield Bench(
                    uri=uri,
                    client=client,
                    relay_port=port,
                    relay_pid=pid,
                    seed=report.seed,
                    rounds=1 if asked.quick else asked.rounds,
                    quick=asked.quick,
                    pending=asked.pending or (20_000 if asked.quick else 500_000),
                    tell=status.update if out.is_terminal else lambda _: None,
                    data=report.data,
                )


async def run(asked: argparse.Namespace, report: Report) -> list[str]:
    """Take the figures that were asked for; return the names of those that could not be taken."""
    fallen = []
    async with at_work(asked, report) as bench:
        for name in asked.only or [name for name in BENCHMARKS if name.startswith("peers-") == asked.peers]:
            bench.tell(BENCHMARKS[name].told)
            began = time.perf_counter()
            try:
                figures = await BENCHMARKS[name].measure(bench)
            except Exception:  # noqa: BLE001  one that falls must not hide the others
                out.print(traceback.format_exc(), markup=False)
                fallen.append(name)
                continue
            finally:
                report.seconds[name] = time.perf_counter() - began
            report.figures[BENCHMARKS[name].told] = figures
            out.print(table(BENCHMARKS[name].told, figures))
    return fallen


async def run_against(asked: argparse.Namespace, report: Report, tree: Path) -> list[str]:
    """Compare this tree with another; return the names of the measures that could not be taken."""
    fallen = []
    async with at_work(asked, report) as bench:
        for name in asked.only or MEASURES:
            began = time.perf_counter()
            try:
                compared = await against.compare(bench, tree, name)
            except Exception as exc:  # noqa: BLE001  as above
                out.print(f"{name} could not be taken: {type(exc).__name__}: {exc}", markup=False)
                fallen.append(name)
                continue
            finally:
                report.seconds[name] = time.perf_counter() - began
            report.compared[against.described(name)] = compared
            out.print(against.table(against.described(name), asked.against, compared))
    return fallen


def main() -> int:
    """Run, print, write."""
    if "--peers" in sys.argv:
        from benchmarks.peers import burst, scheduled, steady  # noqa: F401  as above
    asked = arguments(BENCHMARKS)
    if asked.list:
        for each in BENCHMARKS.values():
            out.print(f"{each.name:18}{each.told}")
        out.print(f"with --against: {', '.join(MEASURES)}")
        return 0
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    report = Report(describe(), seed)
    if asked.against is None:
        fallen = uvloop.run(run(asked, report))
    else:
        try:
            with against.checked_out(asked.against) as tree:
                fallen = uvloop.run(run_against(asked, report, tree))
        except against.NoSuchCommit as exc:
            out.print(str(exc), markup=False)
            return 2
    told = f"{' --peers' if asked.peers else ''}{f' --pending {asked.pending}' if asked.pending else ''}"
    told += f" --against {asked.against}" if asked.against else ""
    command = f"python -m benchmarks{told} --seed {seed}"
    if asked.json:
        report.write(asked.json)
    if asked.markdown:
        asked.markdown.write_text(markdown(report, command) + against.markdown(report.compared, asked.against))
    missed = [figure.name for figures in report.figures.values() for figure in figures if figure.reached is False]
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    out.print(f"took {sum(report.seconds.values()):.0f} s: {took}")
    verdicts = [f"not taken: {', '.join(fallen)}"] if fallen else []
    verdicts += [f"not reached: {', '.join(missed)}"] if missed else []
    reached = "every figure was taken" if asked.against else "every figure was reached"
    out.print(*verdicts or [reached], f"again: {command}", sep="; ")
    return 0 if not fallen and not any("FAILED" in name for name in missed) else 1


if __name__ == "__main__":
    sys.exit(main())
