"""Log lines of a kit: they go to the standard library's logging, as those of any library do."""

from collections.abc import MutableMapping
from typing import Any

import structlog


def log_to_logging() -> None:
    """Have log lines go to `logging`, each to the logger of its module, unless structlog is configured already.

    By default structlog prints them on standard output, which is that of the developer's own tests.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, _as_record],
            logger_factory=structlog.stdlib.LoggerFactory(),
        )


def _as_record(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the arguments of a call of `logging`: the event and its fields as one line."""
    exc_info = event.pop("exc_info", None)
    line = " ".join([str(event.pop("event")), *(f"{name}={value!r}" for name, value in event.items())])
    return (line,), {"exc_info": exc_info}
