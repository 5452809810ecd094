"""`recovery run --processes`: several daemons on one machine, started and stopped together."""

import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait
from socket import gethostname

from recovery.settings import Settings


def each_of(settings: Settings, count: int) -> list[Settings]:
    """Return the settings for `count` daemons: each has a name of its own, and only the first serves HTTP."""
    name = settings.daemon.name or gethostname()
    return [
        settings.model_copy(
            update={
                "daemon": settings.daemon.model_copy(update={"name": f"{name}-{number}"}),
                "http": settings.http.model_copy(update={"enabled": settings.http.enabled and number == 1}),
            }
        )
        for number in range(1, count + 1)
    ]


def run_together(daemon: Callable[[Settings], None], each: list[Settings]) -> int:
    """Run one process for each; when one ends or a signal arrives, stop all. Return the exit code.

    SIGINT from the terminal reaches every process by itself; SIGTERM is passed on.
    """
    context = get_context("spawn")
    processes = [context.Process(target=daemon, args=(settings,), name=settings.daemon.name) for settings in each]

    terminated: set[str] = set()

    def stop(*_: object) -> None:
        for process in processes:
            if process.pid is not None and process.name not in terminated:
                terminated.add(process.name)  # a second signal would interrupt its shutdown
                process.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for process in processes:
        process.start()
    wait([process.sentinel for process in processes])
    stop()
    for process in processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes)
