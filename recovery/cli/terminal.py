"""What all commands share: where they print, how they write times, and how they say that something cannot be done."""

from datetime import datetime

from rich.console import Console

out = Console(highlight=False)


class Wrong(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def written(at: datetime | None) -> str:
    """Return a time as people read it, in UTC, or nothing."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""
