"""Simulation of a drawn population, on all cores."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from recovery.app.shards import Shard, ShardReplay, begin, replayed
from recovery.domain.simulation import Comparison, Schedules


def simulate_drawn(
    schedules: Schedules,
    shards: Sequence[Shard],
    most_listed: int,
    *,
    shop: str = "",
    done: Callable[[int], None] = lambda _: None,
    processes: int | None = None,
) -> Comparison:
    """Replay the shards of a drawn population by both schedules of a shop: by default, in a process for each core.

    The result is the same for any number of processes. `done` is called with the size of each shard that is done.
    An interrupt, or an error in one of the processes, ends all of them at once.
    """
    whole = Comparison(most_listed=most_listed)
    processes = min(processes or cores(), len(shards))
    if processes == 1:
        _add(whole, map(ShardReplay(schedules, most_listed, shop).of, shards), shards, done)
        return whole
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=begin) as pool:
        try:
            with _interrupts_blocked():
                futures = [pool.submit(replayed, schedules, most_listed, shop, shard) for shard in shards]
            _add(whole, (each.result() for each in futures), shards, done)
        except BaseException:  # nothing is cancelled: the pool tells each future that the processes are gone
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
    return whole


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _add(whole: Comparison, parts: Iterator[Comparison], shards: Sequence[Shard], done: Callable[[int], None]) -> None:
    for part, shard in zip(parts, shards, strict=True):
        whole.add(part)
        done(shard.size)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Return a context manager within which SIGINT waits. Processes that are started in it never get one.

    So Ctrl-C, which the terminal sends to all of them, is told once.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
