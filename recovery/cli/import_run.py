"""One import of a file: reads its records, reports and counts them, and stores the progress."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import cast

from recovery.app.factories import per_shop, recovery_of
from recovery.cli.import_forecast import Prospect, prospect
from recovery.cli.import_reading import Record, Unreadable, records
from recovery.cli.import_state import Counts, Progress, RefusedFile
from recovery.cli.terminal import CommandError, Session, open_database, say, sentence
from recovery.client import Refused, Unavailable
from recovery.domain.checkout import Checkout, Order

SAVED_EVERY = 1000
"""Records between two writes of the progress."""

CHUNK = 64 * 1024

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Import:
    """One import; `file` is None for standard input. `refused` is the path of the file of refused records.

    Raises `CommandError` if it is to be resumed, and cannot be.
    """

    def __init__(self, file: Path | None, refused: Path, *, dry_run: bool, resume: bool) -> None:
        self._file = file
        self._dry_run = dry_run
        self._progress = None if file is None or dry_run else Progress(file)
        self._counts = self._progress.load() if resume and self._progress is not None else Counts()
        self._resumed_at = self._counts.records
        self._refused = RefusedFile(refused, resumed=resume)
        self._seconds = 0.0

    def run(self) -> int:
        """Import, and print what was done; return the exit code. Raises `CommandError`."""
        try:
            asyncio.run(self._run())
        except KeyboardInterrupt:
            say(sentence(self._stopped()))
            return INTERRUPTED
        except Unavailable as exc:
            raise CommandError(f"{sentence(exc)} {sentence(self._stopped())}") from exc
        self._print()
        return 1 if self._counts.refused else 0

    def _stopped(self) -> str:
        again = f"recovery import {self._file} --resume" if self._progress is not None else "import all of it again"
        return f"Stopped after {self._counts.records} records. To go on: {again}"

    def _print(self) -> None:
        counts, would_be = self._counts, "would be " if self._dry_run else ""
        rate = (counts.records - self._resumed_at) / self._seconds if self._seconds else 0
        say(f"{counts.stored} of {counts.records} records {would_be}stored, {rate:.0f} a second.")
        say(
            f"Mails to come, if nothing else is known of them: reminders of {counts.reminded} checkouts,"
            f" confirmations of {counts.confirmed} orders."
        )
        say(f"No mails, since their time is long over: {counts.past_use} checkouts and orders.")
        if counts.refused:
            say(f"{counts.refused} refused: {self._refused.path} has each, with the reason.")

    async def _run(self) -> None:
        began = time.monotonic()
        async with open_database() as session:
            count = self._counting(session)
            with self._refused, _opened(self._file) as file, _shown(self._file) as show:
                found = islice(records(iter(lambda: file.read1(CHUNK), b"")), self._resumed_at, None)
                try:
                    async with aclosing(self._results(session, found)) as results:
                        async for record, error in results:
                            count(record, error)
                            if self._counts.records % SAVED_EVERY == 0:
                                self._save()
                                show(file, self._counts.records - self._resumed_at)
                finally:
                    self._seconds = time.monotonic() - began
                    self._save()
        if self._progress is not None:
            self._progress.clear()

    async def _results(
        self, session: Session, found: Iterator[Record]
    ) -> AsyncGenerator[tuple[Record, Exception | None], None]:
        """Yield each record, with the error if it is not stored. Raises `Unavailable`."""
        if self._dry_run:
            for record in found:
                yield record, record.report if isinstance(record.report, Unreadable) else None
            return
        on_their_way: deque[Record] = deque()

        def reports() -> Iterator[Checkout | Order | Exception]:
            for record in found:
                on_their_way.append(record)
                yield record.report

        async with recovery_of(session.settings) as recovery, aclosing(recovery.report(reports())) as results:
            async for each in results:
                if isinstance(each.error, Unavailable) and not isinstance(each.error, Refused):
                    raise each.error
                yield on_their_way.popleft(), each.error

    def _counting(self, session: Session) -> Callable[[Record, Exception | None], None]:
        schedules = per_shop(session.settings, lambda own: own.to_schedule())
        counts = self._counts

        def count(record: Record, error: Exception | None) -> None:
            counts.records += 1
            report = record.report
            if error is not None or isinstance(report, Unreadable):
                counts.refused += 1
                self._refused.add(record, error or report)  # type: ignore[arg-type]  # one of them is an exception
                return
            counts.stored += 1
            match prospect(report, schedules.of_shop(report.shop), session.clock.now()):
                case Prospect.PAST_USE:
                    counts.past_use += 1
                case Prospect.MAIL if isinstance(report, Order):
                    counts.confirmed += 1
                case Prospect.MAIL:
                    counts.reminded += 1

        return count

    def _save(self) -> None:
        self._refused.flush()
        if self._progress is None or not self._counts.records:
            return
        try:
            self._progress.save(self._counts)
        except OSError as exc:
            say(f"{self._progress.path} cannot be written ({exc.strerror}), so this import cannot be resumed.")
            self._progress = None


@contextmanager
def _opened(path: Path | None) -> Iterator[BufferedReader]:
    if path is None:
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        file = path.open("rb")
    except OSError as exc:
        raise CommandError(f"{path} cannot be read: {exc.strerror}.") from exc
    with file:
        yield file


@contextmanager
def _shown(path: Path | None) -> Iterator[Callable[[BufferedReader, int], None]]:
    """Return a context manager with a progress bar, on a terminal only; the time left is shown for files only."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Importing"),
        BarColumn(),
        TextColumn("{task.fields[records]:,}, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=path.stat().st_size if path is not None else None, records=0, rate=0.0)

        def show(file: BufferedReader, done: int) -> None:
            rate = done / max(time.monotonic() - began, 0.001)
            shown.update(task, completed=file.tell() if path is not None else 0, records=done, rate=rate)

        yield show
