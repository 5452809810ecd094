"""`recovery run`: the daemon in this process, or several in processes of their own."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing import parent_process

import structlog

from recovery.app import daemon as app
from recovery.app.logs import configure_logging
from recovery.cli.processes import each_of, run_together
from recovery.settings import Settings

SELDOM = (20_000, 20, 20)
"""The thresholds of garbage collection: a message leaves few cycles behind, so memory hardly grows."""

log = structlog.get_logger()


def run(settings: Settings, processes: int) -> int:
    """Run this number of daemons until SIGTERM or SIGINT; return the exit code."""
    gc.freeze()  # imported modules stay: no collection needs to traverse them again
    gc.set_threshold(*SELDOM)
    gc.enable()
    if processes > 1:
        return run_together(_one_of_several, each_of(settings, processes))
    _run(settings)
    return 0


def _run(settings: Settings) -> None:
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_until_signalled(settings))


def _one_of_several(settings: Settings) -> None:
    """Run one daemon in a newly spawned process."""
    from recovery.cli import exit_on_error

    gc.freeze()  # as in the first process
    gc.set_threshold(*SELDOM)
    configure_logging(settings)
    exit_on_error(lambda: _run(settings))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop factory if the extra is installed: nearly twice the messages a second; else None."""
    with suppress(ModuleNotFoundError):
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
        return factory
    return None


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if (parent := parent_process()) is not None:
        loop.add_reader(parent.sentinel, stop.set)  # stop if the parent process dies, even by SIGKILL

    def ready(ready: app.Ready) -> None:
        _settle_down()
        address = f"{settings.http.host}:{ready.port}" if ready.port else "off"
        log.info("ready", http=address, loop=type(asyncio.get_running_loop()).__module__)

    await app.run(settings, stop=stop, on_ready=ready)
    log.info("stopped")


def _settle_down() -> None:
    """Tune the process for a long run: a tenth more mails a second.

    Objects of the start are excluded from garbage collection. Loggers are cached; otherwise a suppressed line costs as
    much as a logged one.
    """
    gc.collect()
    gc.freeze()
    structlog.configure(cache_logger_on_first_use=True)
