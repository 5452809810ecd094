"""The file of an outbox: an SQLite database of reports that wait to be delivered, oldest first.

It uses WAL mode with `synchronous=FULL`: a stored report survives the end of the process, even by kill -9 (`NORMAL`
would do for that), and a power failure, if the disk honours its flushes (`NORMAL` would not do). Several processes may
use one file; only one of them delivers at a time.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

MOST_SET_ASIDE = 1_000
"""The maximum number of undeliverable reports (dead letters) kept for inspection; beyond it, the oldest are deleted."""

BUSY_FOR = 2.0
"""Seconds to wait for another process that is writing to the file."""

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
    """The file cannot be used; the message says why."""


class JournalFull(JournalError):
    """The outbox has reached its limit."""


class Waiting(NamedTuple):
    """A waiting report: `what` names it in logs, `report` is JSON."""

    number: int
    what: str
    report: str


class Journal:
    """Reports in a file at `path`, at most `most` of them. Thread-safe. Raises `JournalError`.

    The file holds addresses, so only its owner may access it, and deleted data is overwritten. It is opened on first
    use: a process may fork before that, but not after.
    """

    def __init__(self, path: str | os.PathLike[str], most: int) -> None:
        self._path = Path(path)
        self._most = most
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        with self._failing(), closing(self._opened()) as connection:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def keep(self, shop: str | None, address: str | None, what: str, report: str) -> None:
        """Append a report; when this returns, it is on the disk. Also raises `JournalFull`."""
        with self._writing() as connection:
            (waiting,) = connection.execute("SELECT COUNT(*) FROM reports").fetchone()
            if waiting >= self._most:
                raise JournalFull(
                    f"the outbox {self._path} is full with {waiting} reports, so this one is not stored; "
                    "find out why they are not delivered, or raise outbox_limit"
                )
            row = (shop, address, what, report)
            connection.execute("INSERT INTO reports (shop, address, what, report) VALUES (?, ?, ?, ?)", row)

    def holds(self, shop: str | None) -> bool:
        """Return True if a report of this shop, or for all shops, is waiting; without a shop, if any report is."""
        query = "SELECT EXISTS (SELECT 1 FROM reports WHERE ?1 IS NULL OR shop = ?1 OR shop IS NULL)"
        with self._using() as connection:
            return bool(connection.execute(query, (shop,)).fetchone()[0])

    def waiting(self) -> int:
        """Return the number of waiting reports."""
        with self._using() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM reports").fetchone()[0])

    def oldest(self, count: int) -> list[Waiting]:
        """Return the oldest waiting reports, at most `count`."""
        query = "SELECT number, what, report FROM reports ORDER BY number LIMIT ?"
        with self._using() as connection:
            return [Waiting(*row) for row in connection.execute(query, (count,))]

    def delivered(self, numbers: Sequence[int]) -> None:
        """Delete reports that were delivered."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM reports WHERE number = ?", [(number,) for number in numbers])

    def set_aside(self, number: int, fault: str) -> None:
        """Move a report that can never be delivered out of the queue, with its fault: a dead letter."""
        with self._writing() as connection:
            moved = "INSERT OR REPLACE INTO set_aside SELECT *, ? FROM reports WHERE number = ?"
            connection.execute(moved, (fault, number))
            connection.execute("DELETE FROM reports WHERE number = ?", (number,))
            connection.execute(
                "DELETE FROM set_aside WHERE number NOT IN (SELECT number FROM set_aside ORDER BY number DESC LIMIT ?)",
                (MOST_SET_ASIDE,),
            )

    def forget(self, address: str, shop: str | None) -> None:
        """Delete all reports of a person, at one shop or at all, except suppressions: those must still be delivered."""
        with self._writing() as connection:
            for table in ("reports", "set_aside"):
                connection.execute(
                    f"DELETE FROM {table} WHERE address = ?1 AND (?2 IS NULL OR shop = ?2)"  # noqa: S608  not from outside
                    " AND what NOT LIKE 'suppress %'",
                    (address, shop),
                )

    @contextmanager
    def delivering(self) -> Iterator[bool]:
        """Try to hold the delivery lock in this context; yield whether it is held. It is released if the process ends.

        Only one process at a time holds it. The lock has a file of its own, so that reports can be added meanwhile.
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
        """Close the file. Waiting reports are delivered by the next process that opens it."""
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
    with suppress(FileExistsError):  # an existing file must not be opened and closed: that would drop SQLite's locks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return sqlite3.connect(path, timeout=busy_for, isolation_level=None, check_same_thread=False)
