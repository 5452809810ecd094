"""What was measured: figures with their rounds, as a table and as JSON."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: a value for each round, in `unit`.

    `reach` is what the median must be, at least, or at most where `at_most`; None where nothing is asked. `note` says
    how it came about.
    """

    name: str
    unit: str
    rounds: tuple[float, ...]
    reach: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.rounds)

    @property
    def reached(self) -> bool | None:
        """Whether the figure is what it must be; None where nothing is asked of it."""
        if self.reach is None:
            return None
        return self.median <= self.reach if self.at_most else self.median >= self.reach


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of this tree and of another, round by round."""

    name: str
    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, by round."""
        return [mine / other if other else float("nan") for mine, other in zip(self.ours, self.theirs, strict=True)]


@dataclass(slots=True)
class Report:
    """All figures of a run, with the machine they were measured on."""

    machine: dict[str, str]
    seed: int
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    compared: dict[str, list[Compared]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each benchmark took."""
    data: dict[str, Any] = field(default_factory=dict)
    """What the pictures are made of, by benchmark."""

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        figures = {
            name: [asdict(each) | {"median": each.median, "reached": each.reached} for each in found]
            for name, found in self.figures.items()
        }
        told = {
            "machine": self.machine,
            "seed": self.seed,
            "seconds": self.seconds,
            "figures": figures,
            "compared": {name: [asdict(each) for each in found] for name, found in self.compared.items()},
            "data": self.data,
        }
        path.write_text(json.dumps(told | {"data": self.data}, indent=1) + "\n")


def ratios(name: str, ours: Sequence[float], theirs: Sequence[float], reach: float | None = None) -> Figure:
    """Return how many times theirs ours is, round by round."""
    return Figure(name, "times", tuple(mine / other for mine, other in zip(ours, theirs, strict=True)), reach)


HEAD = ("figure", "median", "rounds", "unit", "must reach", "")


def cells(figure: Figure) -> tuple[str, ...]:
    """Return a figure as text, in the order of `HEAD`."""
    spread = f"{_number(min(figure.rounds))} to {_number(max(figure.rounds))}" if len(figure.rounds) > 1 else ""
    must = "" if figure.reach is None else f"{'≤' if figure.at_most else '≥'} {_number(figure.reach)}"
    mark = {None: "", True: "✓", False: "✗"}[figure.reached]
    return figure.name, _number(figure.median), spread, figure.unit, must, mark


def table(name: str, figures: Sequence[Figure]) -> Table:
    """Return a table for people."""
    made = Table(*HEAD, title=name, title_justify="left")
    for figure in figures:
        made.add_row(*cells(figure), style="red" if figure.reached is False else "")
    return made


def markdown(report: Report, command: str) -> str:
    """Return the tables for the documentation, under the machine and the command that made them."""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    lines = [f"`{command}`, seed {report.seed}: {machine}", ""]
    for name, figures in report.figures.items():
        lines += [f"### {name}", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [f"| {' | '.join(cells(figure))} |" for figure in figures]
        lines += ["", *(f"* {figure.name}: {figure.note}" for figure in figures if figure.note), ""]
    return "\n".join(lines)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
