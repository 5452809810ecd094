"""What all commands share: their settings, where they print, and how they say that something cannot be done."""

from datetime import datetime

from rich.console import Console

from recovery.app import configure_logging
from recovery.settings import Settings, load_settings

out = Console(highlight=False)


class Wrong(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def load() -> Settings:
    """Return the settings, and log as they say."""
    settings = load_settings()
    configure_logging(settings)
    return settings


def written(at: datetime | None) -> str:
    """Return a time as people read it, in UTC, or nothing."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at is not None else ""
