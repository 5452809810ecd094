"""The command: `python -m tests.mutants`. It breaks a copy of the project in one way, and expects a row to see it.

A checker that cannot fail proves nothing. It exits with 1 if a mutant stays green, or a row is red on what is whole.
"""

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rich.console import Console

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("recovery", "tests", "config", "pyproject.toml")
LONGEST = 240
"""Seconds that a row may take before it counts as red: a broken daemon may hang."""

SEEDS = 3
"""How many seeds a mutant is given: to be seen may take chance, such as an election in the right moment."""

_SENTENCE = re.compile(r"^  (\S.*)$", re.MULTILINE)

out = Console(highlight=False, width=None if sys.stdout.isatty() else 170)


@dataclass(frozen=True, slots=True)
class Result:
    """What a row said of a mutant, with the seed it was played with; `said` is None where it stayed green."""

    mutant: Mutant
    row: str
    seed: int
    said: str | None


def broken(mutant: Mutant | None, folder: Path) -> Path:
    """Return a copy of the project in which one thing is broken, or nothing. Raises `ValueError` for a bad edit."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for edit in mutant.edits if mutant else ():
        path = folder / "recovery" / edit.file
        path.write_text(edit.applied(path.read_text()))
    return folder


async def played(row: str, mutant: Mutant | None, seed: int) -> str | None:
    """Play a row on a copy; return what it found broken, or None."""
    with tempfile.TemporaryDirectory(prefix="recovery-mutant-") as name:
        folder = await asyncio.to_thread(broken, mutant, Path(name))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos", "--short", "--seed", str(seed), "--only", row),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LONGEST):
                said, _ = await process.communicate()
        except TimeoutError:
            os.killpg(process.pid, 9)
            await process.wait()
            return f"it did not end within {LONGEST} s"
    if process.returncode == 0:
        return None
    sentences = _SENTENCE.findall(said.decode(errors="replace").rpartition("✗")[2])
    return sentences[0] if sentences else f"it ended with {process.returncode}"


async def results(mutants: Sequence[Mutant], seed: int, jobs: int) -> list[Result]:
    """Play the rows of all mutants, some at a time: each until one of its rows is red, by several seeds if need be."""
    gate, found, begun = asyncio.Semaphore(jobs), [], time.monotonic()

    async def one(mutant: Mutant) -> Result:
        for each, row in product(range(seed, seed + SEEDS), mutant.rows):
            async with gate:
                said = await played(row, mutant, each)
            if said is not None:
                break
        return Result(mutant, row, each, said)

    for each in asyncio.as_completed(map(one, mutants)):
        result = await each
        found.append(result)
        mark = "[red]green[/red]" if result.said is None else "[green]red[/green]"
        spent = f"[dim]({len(found)} of {len(mutants)}, {time.monotonic() - begun:.0f} s)[/dim]"
        out.print(f"{mark} {result.mutant.name} by {result.row}, seed {result.seed} {spent}")
        out.print(f"  {result.said or 'nothing was seen of it'}", markup=False)
    return sorted(found, key=lambda result: MUTANTS.index(result.mutant))


async def red_without(rows: Sequence[str], seed: int, jobs: int) -> list[str]:
    """Return the rows that are red although nothing is broken: of these nothing could be learnt."""
    gate = asyncio.Semaphore(jobs)

    async def one(row: str) -> str | None:
        async with gate:
            said = await played(row, None, seed)
        out.print(f"{'[green]green[/green]' if said is None else '[red]red[/red]'} {row}, with nothing broken")
        return None if said is None else f"{row}: {said}"

    return [each for each in await asyncio.gather(*map(one, rows)) if each is not None]


def markdown(found: Sequence[Result]) -> str:
    """Return the table for docs/guarantees.md."""
    lines = ["| what was broken | row | what the row showed |", "|---|---|---|"]
    lines += [f"| {each.mutant.told} | `{each.row}` | {(each.said or '**nothing**')[:200]} |" for each in found]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Break, play, and say what stayed green."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description="Break the project; see a row turn red."
    )
    parser.add_argument("--only", action="append", metavar="NAME", choices=[mutant.name for mutant in MUTANTS])
    parser.add_argument("--list", action="store_true", help="list the mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
    asked = parser.parse_args()
    if asked.list:
        for mutant in MUTANTS:
            out.print(f"{mutant.name:28}{mutant.told} ({', '.join(mutant.rows)})", markup=False)
        return 0
    mutants = [mutant for mutant in MUTANTS if not asked.only or mutant.name in asked.only]
    for mutant in mutants:
        mutant.check(ROOT / "recovery")
    rows = list(dict.fromkeys(row for mutant in mutants for row in mutant.rows))
    sick = asyncio.run(red_without(rows, asked.seed, asked.jobs))
    found = asyncio.run(results(mutants, asked.seed, asked.jobs))
    if asked.markdown:
        asked.markdown.write_text(markdown(found))
    green = [each.mutant.name for each in found if each.said is None]
    for row in sick:
        out.print(f"[red]red with nothing broken[/red]: {row}")
    out.print(
        f"{len(found) - len(green)} of {len(found)} mutants were seen" + (f"; not {', '.join(green)}" if green else "")
    )
    return 1 if green or sick else 0


if __name__ == "__main__":
    sys.exit(main())
