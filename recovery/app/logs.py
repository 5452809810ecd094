"""The configuration of logging."""

import logging
import sys

import structlog

from recovery.settings import Settings

log = structlog.get_logger()


class _IntoTheLog(logging.Handler):
    """The bridge from the standard library's logging: log lines of libraries in our form, never with a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), logger=record.name)


def configure_logging(settings: Settings) -> None:
    """Log to standard error: as text on a terminal, else as JSON, unless the settings name the format."""
    as_json = settings.log.format == "json" or (settings.log.format == "auto" and not sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log.level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_IntoTheLog()], level=logging.WARNING, force=True)
