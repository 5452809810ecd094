"""Helpers of all commands: settings, database, printing, confirmation, errors."""

import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from recovery.domain.wording import in_words as in_words
from recovery.errors import RecoveryError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from recovery.domain.state import CheckoutState
    from recovery.mongo.clock import MongoClock
    from recovery.mongo.collections import Database
    from recovery.settings import Settings

T = TypeVar("T", bound="DataclassInstance")

out = Console(highlight=False)

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters of C0 and C1, line separators, and those that change the direction of text (UAX 9)."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead, for programs.")]


class CommandError(RecoveryError):
    """The command cannot be carried out; the message is a sentence."""


class NotConfirmed(CommandError):
    """A person must confirm, and there is no terminal. `code` is the exit code, that of a usage error."""

    code = 2


class Session(NamedTuple):
    """Settings, database and clock of a command that uses the database."""

    settings: "Settings"
    database: "Database"
    clock: "MongoClock"


def plain(value: object, keep: str = "") -> str:
    """Return a text that is safe for a terminal: nothing in it moves the cursor or changes the text's direction.

    Tabs and line ends become spaces, all other control characters escapes as in Python, except those in `keep`.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] in keep else _shown(match[0]), str(value))


def _shown(character: str) -> str:
    if character in "\t\n\r":
        return " "
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def say(*parts: str | tuple[str, str], keep: str = "") -> None:
    """Print a line of parts: each a text, or a text and its style. Markup is not interpreted."""
    texts = ((part, "") if isinstance(part, str) else part for part in parts)
    out.print(Text.assemble(*((plain(text, keep), style) for text, style in texts)), soft_wrap=True)


def say_lines(text: str) -> None:
    """Print a text of several lines, such as a mail."""
    say(text, keep="\n\t")


def say_json(value: Any) -> None:
    """Print one JSON document, with control characters escaped."""
    sys.stdout.write(f"{json_text(value)}\n")


def json_text(value: Any) -> str:
    """Return a value as JSON that is safe for a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def isoformatted(value: Any) -> Any:
    """Return the value with all times in ISO 8601, for JSON."""
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict():
            return {name: isoformatted(each) for name, each in value.items()}
        case list() | tuple():
            return [isoformatted(each) for each in value]
        case _:
            return value


def print_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table of texts. Markup is not interpreted."""
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    out.print(table)


def print_list(
    found: "Sequence[T]", columns: Iterable[str], row: "Callable[[T], Iterable[object]]", *, none: str, as_json: bool
) -> None:
    """Print what was found: as JSON, as a table with a `row` of each, or the sentence `none` if there is nothing."""
    if as_json:
        say_json([isoformatted(asdict(each)) for each in found])
    elif found:
        print_table(columns, map(row, found))
    else:
        say(none)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation, unless `yes` is given; abort on "no". Raises `NotConfirmed` without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed("Cannot ask for confirmation without a terminal: add --yes to go on without it.")
    typer.confirm(plain(question), abort=True)


def sentence(text: object) -> str:
    """Return a text with exactly one full stop at its end."""
    return f"{str(text).rstrip(' .')}."


def one_of(choices: Callable[[], type[Enum]]) -> Callable[[str], str]:
    """Return the parser of an option with a value of `choices`, which are imported only if the option is given."""

    def read(value: str) -> str:
        known = [each.value for each in choices()]
        if value not in known:
            raise typer.BadParameter(f"{value!r} is not one of: {', '.join(known)}.")
        return value

    return read


def load() -> "Settings":
    """Load the settings, and configure logging by them."""
    from recovery.app.logs import configure_logging
    from recovery.settings import load_settings

    settings = load_settings()
    configure_logging(settings)
    return settings


@asynccontextmanager
async def open_database() -> AsyncIterator[Session]:
    """Load the settings and connect to the database. Raises `CannotStart` if the database is unfit."""
    import time

    from recovery.app.factories import CannotStart, database_of
    from recovery.mongo import preflight
    from recovery.mongo.clock import MongoClock

    settings = load()
    async with database_of(settings) as database:
        if fault := await preflight.fault(database):
            raise CannotStart(str(fault))
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        yield Session(settings, database, clock)


def read_time(option: str, given: str, relative: Callable[[timedelta], datetime], expected: str) -> datetime:
    """Return a time that is given as such, or as a duration. Raises `CommandError`; it says what is `expected`."""
    from recovery.settings import parse_duration

    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        try:
            return relative(parse_duration(given))
        except ValueError as exc:
            raise CommandError(f"{option} {given}: give a time with its zone, {expected}.") from exc
    if at.tzinfo is None:
        raise CommandError(f"{option} {given}: add the zone, as in {given}Z.")
    return at


def format_time(at: datetime | None) -> str:
    """Return a time in UTC for people, or an empty text for None."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""


async def load_checkout(session: Session, checkout: str) -> "CheckoutState":
    """Return the checkout with this key, `SHOP/ORDER`. Raises `CommandError` if there is none."""
    from recovery.app.factories import recovery_of

    shop, order_id = split_key(checkout)
    state = await recovery_of(session.settings, session.database.client).get(shop, order_id)
    if state is None:
        raise CommandError(f"There is no checkout {checkout}: it was never reported, or is deleted already.")
    return state


def split_key(checkout: str) -> tuple[str, str]:
    """Return shop and order id of `SHOP/ORDER`. Raises `CommandError` if it is not of that form."""
    from recovery.domain.checkout import shop_and_order

    shop, order_id = shop_and_order(checkout)
    if not (shop and order_id):
        raise CommandError(f"{checkout!r} is not of the form SHOP/ORDER.")
    return shop, order_id
