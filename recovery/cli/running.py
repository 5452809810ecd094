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

log = structlog.get_logger()


def run(settings: Settings, processes: int) -> int:
    """Run so many daemons until they are told to stop; return the exit code."""
    if processes > 1:
        return run_together(_one_of_several, each_of(settings, processes))
    _run(settings)
    return 0


def _run(settings: Settings) -> None:
    gc.freeze()  # what was imported stays: no collection need go through it again
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_until_signalled(settings))


def _one_of_several(settings: Settings) -> None:
    """Run one daemon in a process that was just made for it."""
    from recovery.cli import telling

    configure_logging(settings)
    telling(lambda: _run(settings))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra is installed: nearly twice the messages a second."""
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
        loop.add_reader(parent.sentinel, stop.set)  # several daemons are stopped together, however the first went

    def ready(ready: app.Ready) -> None:
        _settle_down()
        address = f"{settings.http.host}:{ready.port}" if ready.port else "off"
        log.info("ready", http=address, loop=type(asyncio.get_running_loop()).__module__)

    await app.run(settings, stop=stop, on_ready=ready)
    log.info("stopped")


def _settle_down() -> None:
    """Make a process cheaper that is going to stay: a tenth more mails a second.

    What stands at the start is left out of garbage collection, which strikes less often: a message leaves few cycles
    behind, so that little more is held. Loggers are made once; else a line not logged costs as much as one that is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    structlog.configure(cache_logger_on_first_use=True)
