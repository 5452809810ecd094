"""The command: `python -m tests.relays`. It exits with 1 if a mail is lost, comes twice, or is too late."""

import argparse
import asyncio
import sys
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recovery.testing.mongod import mongod
from tests.relays.delivery import Delivery, deliver
from tests.relays.limits import LIMITED

HEAD = ("relay", "mails", "arrived", "twice", "dead", "suppressed", "attempts", "the limit takes", "took", "")

out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.relays", description="Send bursts to relays with limits.")
    parser.add_argument("--mails", type=int, default=1000, help="how many mails each gets")
    parser.add_argument("--only", action="append", metavar="NAME", choices=[each.name for each in LIMITED])
    parser.add_argument("--list", action="store_true", help="list the relays")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
    return parser.parse_args()


def cells(delivery: Delivery) -> tuple[str, ...]:
    """Return the row of a delivery in the table, in the order of `HEAD`."""
    takes = delivery.limited.takes(delivery.count)
    counts = (delivery.count, delivery.arrived, delivery.twice, delivery.dead, delivery.suppressed, delivery.attempts)
    return (
        delivery.limited.told,
        *(f"{count:,}" for count in counts),
        f"{takes:.0f} s" if takes else "",
        f"{delivery.took:.0f} s",
        "; ".join(delivery.faults) or "kept",
    )


async def play(asked: argparse.Namespace) -> tuple[list[Delivery], bool]:
    """Send a burst to each chosen relay; return the deliveries, and whether all were as promised."""
    found, kept = [], True
    with mongod() as uri:
        for limited in LIMITED:
            if asked.only and limited.name not in asked.only:
                continue
            with out.status(limited.told) as status:
                tell = (lambda text: status.update(f"{limited.told}: {text}")) if out.is_terminal else lambda _: None  # noqa: B023
                try:
                    delivery = await deliver(uri, limited, asked.mails, tell)
                except Exception:  # noqa: BLE001  one relay that falls must not hide the others
                    out.print(f"{limited.name}:", traceback.format_exc(), markup=False)
                    kept = False
                    continue
            found.append(delivery)
            kept = kept and not delivery.faults
            out.print(f"{limited.name}: {'; '.join(delivery.faults) or 'kept'}, took {delivery.took:.1f} s")
    return found, kept


def main() -> int:
    """Run, print, write."""
    asked = arguments()
    if asked.list:
        for each in LIMITED:
            out.print(f"{each.name:22}{each.told}")
        return 0
    found, kept = asyncio.run(play(asked))
    table = Table(*HEAD)
    for delivery in found:
        table.add_row(*cells(delivery), style="red" if delivery.faults else "")
    out.print(table)
    if asked.markdown:
        rows = [HEAD, ("---",) * len(HEAD), *map(cells, found)]
        asked.markdown.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
