"""The command: `python -m tests.chaos`. It exits with 1 if any promise was broken."""

import argparse
import asyncio
import random
import sys
import traceback
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from recovery.testing.mongod import mongod
from tests.chaos.checker import Row
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.run import SCENARIOS, run
from tests.chaos.table import markdown, table

out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Provoke every fault; count what is lost."
    )
    parser.add_argument("--short", action="store_true", help="small numbers, as the tests have them")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run; by default one is drawn and told")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(SCENARIOS), help="may be given again")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--minutes", type=float, default=10, help="how long the soak takes")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
    return parser.parse_args()


async def play(asked: argparse.Namespace, seed: int) -> list[Row]:
    """Run what was asked for, on one server each of the kinds it needs."""
    wanted = [SCENARIOS[name] for name in asked.only or SCENARIOS if asked.only or not SCENARIOS[name].by_hand]
    rows: list[Row] = []
    three: Cluster | None = None
    async with AsyncExitStack() as stack:
        single = stack.enter_context(mongod(test_commands=True))
        for scenario in wanted:
            if scenario.nodes == 3 and three is None:
                three = await stack.enter_async_context(cluster())
            uri, nodes = (three.uri, three) if scenario.nodes == 3 and three else (single, None)
            with out.status(scenario.told) as status:
                try:
                    row = await run(
                        scenario,
                        uri,
                        seed,
                        short=asked.short,
                        cluster=nodes,
                        minutes=asked.minutes,
                        tell=status.update if out.is_terminal else lambda _: None,
                    )
                except Exception as exc:  # noqa: BLE001  one scenario that falls must not hide the others
                    out.print(traceback.format_exc(), markup=False)
                    row = Row(scenario.name, *(0,) * 8, None, None, None, (f"{type(exc).__name__}: {exc}",), seed)
            rows.append(row)
            tell(row)
    return rows


def tell(row: Row) -> None:
    """Say how a scenario ended."""
    mark = "[red]✗[/red]" if row.broken else "[green]✓[/green]"
    out.print(f"{mark} {row.scenario} [dim]({row.seconds:.0f} s; {'; '.join(row.notes) or 'no notes'})[/dim]")
    for sentence in row.broken[:10]:
        out.print(f"  {sentence}", markup=False, soft_wrap=True)
    if len(row.broken) > 10:
        out.print(f"  and {len(row.broken) - 10} more")


def main() -> int:
    """Run, print the table, and say how to repeat it."""
    asked = arguments()
    if asked.list:
        for scenario in SCENARIOS.values():
            out.print(f"{scenario.name:28}{scenario.told}{' (by hand)' if scenario.by_hand else ''}")
        return 0
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    command = f"python -m tests.chaos{' --short' if asked.short else ''} --seed {seed}"
    out.print(f"seed {seed}")
    rows = asyncio.run(play(asked, seed))
    out.print(table(rows))
    if asked.markdown:
        asked.markdown.write_text(markdown(rows, command))
    if broken := [row.scenario for row in rows if row.broken]:
        out.print(f"[red]{len(broken)} broken[/red]; again: {command} --only {' --only '.join(broken)}")
        return 1
    out.print(f"every promise was kept; again: {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
