"""The file of an outbox: an SQLite database of reports that wait to be delivered, oldest first.

It is in WAL mode with `synchronous=FULL`: a report that was kept outlives the end of the process, kill -9 too, which
`NORMAL` would do as well, and a loss of power, as far as the disk does what it says, which `NORMAL` would not.
Several processes may use one file; one of them at a time delivers.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

MOST_SET_ASIDE = 1_000
"""Reports that could not be delivered are kept to be looked at; the oldest of more go."""

BUSY_FOR = 2.0
"""Seconds that another process is waited for which just writes to the file."""

_TABLES = """
CREATE TABLE IF NOT EXISTS reports (
    number INTEGER PRIMARY KEY AUTOINCREMENT, shop TEXT, address TEXT, what TEXT NOT NULL, report TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reports_shop ON reports (shop);
CREATE TABLE IF NOT EXISTS set_aside (
    number INTEGER PRIMARY KEY, shop TEXT, address TEXT, what TEXT NOT NULL, report TEXT NOT NULL, fault TEXT NOT NULL
);
"""


class JournalError(Exception):
    """The file cannot be used; the message says why, and what to do."""


class JournalFull(JournalError):
    """As many reports wait as there may be."""


class Waiting(NamedTuple):
    """A report that waits: `what` names it in a log, `report` is JSON."""

    number: int
    what: str
    report: str


class Journal:
    """Reports in a file at `path`, `most` of them at most. May be used by several threads. Raises `JournalError`.

    The file is made with access for its owner alone, for there are addresses in it, and is overwritten where something
    was deleted. It is opened when it is first used: a process may fork before that, but not after.
    """

    def __init__(self, path: str | os.PathLike[str], most: int) -> None:
        self._path = Path(path)
        self._most = most
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        with self._failing(), closing(self._opened()) as connection:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def keep(self, shop: str | None, address: str | None, what: str, report: str) -> None:
        """Keep a report, behind all that wait; when this returns it is on the disk. Raises also `JournalFull`."""
        with self._writing() as connection:
            (waiting,) = connection.execute("SELECT COUNT(*) FROM reports").fetchone()
            if waiting >= self._most:
                raise JournalFull(
                    f"the outbox {self._path} holds {waiting} reports, the most it may, so this one is not kept; "
                    "see why they are not delivered, or allow it more by outbox_limit"
                )
            row = (shop, address, what, report)
            connection.execute("INSERT INTO reports (shop, address, what, report) VALUES (?, ?, ?, ?)", row)

    def holds(self, shop: str | None) -> bool:
        """Return whether a report waits of this shop, or of all; without a shop whether any does."""
        query = "SELECT EXISTS (SELECT 1 FROM reports WHERE ?1 IS NULL OR shop = ?1 OR shop IS NULL)"
        with self._using() as connection:
            return bool(connection.execute(query, (shop,)).fetchone()[0])

    def waiting(self) -> int:
        """Return how many reports wait."""
        with self._using() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM reports").fetchone()[0])

    def oldest(self, count: int) -> list[Waiting]:
        """Return the reports that have waited longest."""
        query = "SELECT number, what, report FROM reports ORDER BY number LIMIT ?"
        with self._using() as connection:
            return [Waiting(*row) for row in connection.execute(query, (count,))]

    def delivered(self, numbers: Sequence[int]) -> None:
        """Delete reports: they are in the database."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM reports WHERE number = ?", [(number,) for number in numbers])

    def set_aside(self, number: int, fault: str) -> None:
        """Take a report out of the row that can never be delivered, with what is wrong with it."""
        with self._writing() as connection:
            moved = "INSERT OR REPLACE INTO set_aside SELECT *, ? FROM reports WHERE number = ?"
            connection.execute(moved, (fault, number))
            connection.execute("DELETE FROM reports WHERE number = ?", (number,))
            connection.execute(
                "DELETE FROM set_aside WHERE number NOT IN (SELECT number FROM set_aside ORDER BY number DESC LIMIT ?)",
                (MOST_SET_ASIDE,),
            )

    def forget(self, address: str, shop: str | None) -> None:
        """Delete all reports of a person, at a shop or at all of them, but for words that nothing be sent to them."""
        with self._writing() as connection:
            for table in ("reports", "set_aside"):
                connection.execute(
                    f"DELETE FROM {table} WHERE address = ?1 AND (?2 IS NULL OR shop = ?2)"  # noqa: S608  not from outside
                    " AND what NOT LIKE 'suppress %'",
                    (address, shop),
                )

    @contextmanager
    def delivering(self) -> Iterator[bool]:
        """Hold the right to deliver, while within; say whether it is held: one process has it, and loses it as it ends.

        It is a lock on a file of its own, so that reports are kept while others are delivered.
        """
        with self._failing():
            lock = _connected(self._path.with_name(f"{self._path.name}-delivery"), busy_for=0)
        with closing(lock):
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                yield False
                return
            yield True

    def close(self) -> None:
        """Close the file. What waits there is delivered by whoever opens it next."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._failing(), self._lock:
            if self._connection is None:
                self._connection = self._opened()
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise JournalError(f"the outbox {self._path} cannot be used: {exc}") from exc

    def _opened(self) -> sqlite3.Connection:
        connection = _connected(self._path, BUSY_FOR)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection


def _connected(path: Path, busy_for: float) -> sqlite3.Connection:
    with suppress(FileExistsError):  # one that is there must not be closed by hand: its locks would go with that
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return sqlite3.connect(path, timeout=busy_for, isolation_level=None, check_same_thread=False)
