"""This tree beside another commit, in turns, so that whatever else the machine does meets both.

The harness, mongod and the relay are this tree's; daemons and the client are each side's own.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from benchmarks.bench import FILLED, Bench, fill, percentile, planned, server_now, settle
from benchmarks.cost import Meter
from benchmarks.figures.burst import metered
from benchmarks.figures.distance import ROUND_TRIP
from benchmarks.figures.intake import CALLERS, post_reports
from benchmarks.figures.steady import steady
from benchmarks.measured import Compared
from benchmarks.relay import ROOT, far_away
from recovery.mongo.collections import CHECKOUTS
from tests.support.processor_time import processor_time

Measured = Mapping[str, float]
"""Figures by name; a name that ends in "/s" is the better the more, any other the less."""

MEASURES: dict[str, Callable[[Bench], Awaitable[Measured]]] = {}


def measure(function: Callable[[Bench], Awaitable[Measured]]) -> Callable[[Bench], Awaitable[Measured]]:
    """Enter a measure under the name of its function."""
    MEASURES[function.__name__] = function
    return function


@measure
async def burst(bench: Bench) -> Measured:
    """Reminders due at one instant, and a relay near by."""
    count = bench.size(6_000, 1_500)
    rate, cost = await metered(bench, count)
    return {"mails/s": rate, **cost.of_each(count)}


@measure
async def distance(bench: Bench) -> Measured:
    """Reminders due at one instant, and a relay 20 ms away."""
    count = bench.size(3_000, 600)
    async with far_away(bench.relay_port, ROUND_TRIP) as port:
        rate, cost = await metered(bench, count, port)
    return {"mails/s": rate, **cost.of_each(count)}


@measure
async def intake(bench: Bench) -> Measured:
    """Single reports, 64 at a time, by the client of the side."""
    count = bench.size(10_000, 2_000)
    async with bench.database() as database:
        meter = Meter(bench.client)
        await meter.begin()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(ROOT / "benchmarks" / "reporter.py")),
            *(bench.uri, database.name, str(count), str(bench.seed), str(CALLERS)),
            env=os.environ | {"PYTHONPATH": str(bench.tree or ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        cost = await meter.end()
        kept = await database[CHECKOUTS].count_documents({})
    if process.returncode or kept != count:
        raise RuntimeError(f"{kept} of {count} were kept")
    found = json.loads(printed)
    client, mongod = 1e6 * found["client"] / count, cost.of_each(count)["mongod, us"]
    return {"reports/s": count / found["seconds"], "client, us": client, "mongod, us": mongod}


@measure
async def planning(bench: Bench) -> Measured:
    """New checkouts, from the change in the stream to the shadow."""
    count = bench.size(20_000, 3_000)
    async with bench.database() as database, bench.daemon(database) as daemon:
        await settle(bench, database)
        daemon.pause()
        now = await server_now(database)
        await fill(database, count, touched_at=now, next_at=now)
        meter = Meter(bench.client)
        await meter.begin(daemon=daemon.process.pid)
        began = time.perf_counter()
        daemon.go_on()
        await planned(database, count, FILLED)
        rate = count / (time.perf_counter() - began)
        cost = (await meter.end()).of_each(count)
    return {"checkouts/s": rate, "daemon, us": cost["daemon, us"], "mongod, us": cost["mongod, us"]}


@measure
async def lateness(bench: Bench) -> Measured:
    """Reminders due at random instants, 150 a second."""
    late = await steady(bench, bench.size(10, 4))
    return {"p50, ms": 1000 * percentile(late, 50), "p99, ms": 1000 * percentile(late, 99)}


@measure
async def http(bench: Bench) -> Measured:
    """Reports over HTTP, on 64 connections; the daemon plans what it takes meanwhile."""
    count = bench.size(4_000, 1_500)
    async with bench.database() as database, bench.daemon(database) as daemon:
        seconds, spent = await post_reports(bench, database, daemon, count)
    return {"reports/s": count / seconds, "daemon, us": 1e6 * spent / count}


@measure
async def start(bench: Bench) -> Measured:
    """A daemon from its start until it is ready, on a database that is set up."""
    async with bench.database() as database:
        began = time.perf_counter()
        async with bench.daemon(database, follows=False) as daemon:
            return {
                "seconds": time.perf_counter() - began,
                "processor time, s": processor_time(daemon.process.pid),
            }


class NoSuchCommit(Exception):
    """The commit to compare with cannot be checked out."""


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out into a directory of its own; remove it in the end. Raises `NoSuchCommit`."""
    with tempfile.TemporaryDirectory(prefix="recovery-against-") as parent:
        tree = Path(parent) / "tree"
        added = subprocess.run(
            ["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, capture_output=True, text=True
        )
        if added.returncode:
            raise NoSuchCommit(f"cannot check out {commit}: {added.stderr.strip().splitlines()[-1]}")
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


async def compare(bench: Bench, tree: Path, name: str) -> list[Compared]:
    """Take the figures of a measure on both sides: ours first in one round, theirs in the next."""
    sides = (replace(bench, tree=None), replace(bench, tree=tree))
    taken: tuple[list[Measured], list[Measured]] = ([], [])
    for round_ in range(bench.rounds):
        for side in (0, 1) if round_ % 2 == 0 else (1, 0):
            where = f"round {round_ + 1} of {bench.rounds}, {('this tree', 'the other')[side]}"
            bench.tell(f"{name}, {where}")
            try:
                taken[side].append(await MEASURES[name](sides[side]))
            except Exception as exc:
                first = exc.exceptions[0] if isinstance(exc, ExceptionGroup) else exc
                raise RuntimeError(f"{where}: {type(first).__name__}: {first}") from exc
    return [
        Compared(figure, [each[figure] for each in taken[0]], [each[figure] for each in taken[1]])
        for figure in taken[0][0]
    ]


def table(name: str, commit: str, compared: Sequence[Compared]) -> Table:
    """Return a table for people: the medians, and the ratio of each round."""
    made = Table("figure", "this tree", commit, "ratio, median", "rounds", title=name, title_justify="left")
    for each in compared:
        made.add_row(*cells(each))
    return made


def cells(each: Compared) -> tuple[str, ...]:
    """Return a comparison as text: the figure, both medians, the median of the ratios and their range."""
    ratios = each.ratios
    return (
        each.name,
        f"{statistics.median(each.ours):,.4g}",
        f"{statistics.median(each.theirs):,.4g}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    )


def described(name: str) -> str:
    """Return a measure's name with its description."""
    return f"{name}: {(MEASURES[name].__doc__ or name).removesuffix('.')}"


def markdown(found: Mapping[str, Sequence[Compared]], commit: str) -> str:
    """Return the tables for the documentation."""
    lines = []
    for name, compared in found.items():
        lines += [f"### {name}", "", f"| figure | this tree | {commit} | ratio, median | rounds |"]
        lines += [f"|{'---|' * 5}", *(f"| {' | '.join(cells(each))} |" for each in compared), ""]
    return "\n".join(lines)
