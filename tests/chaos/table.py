"""The rows as a table: for the terminal, and for the documentation."""

from collections.abc import Sequence

from rich.table import Table

from tests.chaos.checker import Row
from tests.chaos.scenarios import SCENARIOS

HEAD = ("scenario", "due", "sent", "lost", "doubled", "after order", "skipped", "dead", "p99", "largest", "recovered")


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as text, in the order of `HEAD`."""
    counts = (row.due, row.sent, row.lost, row.doubled, row.after_order, row.skipped, row.dead)
    return (
        SCENARIOS[row.scenario].told if row.scenario in SCENARIOS else row.scenario,
        *map(str, counts),
        *("" if seconds is None else f"{seconds:.2f} s" for seconds in (row.p99, row.largest, row.recovered)),
    )


def table(rows: Sequence[Row]) -> Table:
    """Return the table for people; what is broken is red."""
    made = Table(*HEAD, "", title_justify="left")
    for row in rows:
        mark = "[red]broken[/red]" if row.broken else "[green]kept[/green]"
        made.add_row(row.scenario, *cells(row)[1:], mark)
    return made


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return the table for docs/guarantees.md, under the command that made it."""
    lines = [f"`{command}`", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"
