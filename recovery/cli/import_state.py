"""Files that an import writes beside its own: the progress, and the records that were refused."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from recovery.cli.import_reading import Record
from recovery.cli.terminal import CommandError

_HEAD = 64 * 1024


@dataclass(slots=True)
class Counts:
    """The progress of an import: records read, stored and refused; and of those stored, how many lead to mails."""

    records: int = 0
    stored: int = 0
    refused: int = 0
    reminded: int = 0
    confirmed: int = 0
    past_use: int = 0


class Progress:
    """The file with the progress of an import; it exists until the import is at its end."""

    def __init__(self, file: Path) -> None:
        self._of = file
        self._known: Mapping[str, object] | None = None
        self.path = file.with_name(f"{file.name}.import")

    def load(self) -> Counts:
        """Return the counts of the import that was stopped. Raises `CommandError` if there is none of this file."""
        try:
            kept = json.loads(self.path.read_text())
            counts = Counts(**kept.pop("counts"))
        except FileNotFoundError:
            raise CommandError(f"There is no import of {self._of} to resume: import it without --resume.") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
            raise CommandError(f"{self.path} cannot be read ({exc}): import the file without --resume.") from exc
        if kept != self._identity():
            raise CommandError(f"{self._of} has changed since its import began: import it without --resume.")
        return counts

    def save(self, counts: Counts) -> None:
        """Write the progress, whole or not at all."""
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(json.dumps({**self._identity(), "counts": asdict(counts)}))
        new.replace(self.path)

    def clear(self) -> None:
        """Delete the file: the import is at its end."""
        self.path.unlink(missing_ok=True)

    def _identity(self) -> Mapping[str, object]:
        if self._known is None:
            with self._of.open("rb") as file:
                self._known = {"size": self._of.stat().st_size, "head": sha256(file.read(_HEAD)).hexdigest()}
        return self._known


class RefusedFile:
    """The file of the records that were refused, made with the first: a JSON object a line. Only its owner can read it.

    A file that exists is replaced, unless the import is resumed.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self.path = path
        self._resumed = resumed
        self._file: TextIO | None = None

    def add(self, record: Record, why: Exception) -> None:
        """Add a record, with its line, the reason and what it was."""
        if self._file is None:
            self._file = self._open(os.O_APPEND if self._resumed else os.O_TRUNC)
        entry = {
            "line": record.number,
            "reason": str(why),
            "field": getattr(why, "field", None),
            "original": record.original.decode("utf-8", "backslashreplace"),
        }
        self._file.write(f"{json.dumps(entry, ensure_ascii=False)}\n")

    def flush(self) -> None:
        """Write what was added."""
        if self._file is not None:
            self._file.flush()

    def _open(self, flags: int) -> TextIO:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
            return os.fdopen(descriptor, "w", encoding="utf-8")
        except OSError as exc:
            raise CommandError(f"{self.path} cannot be written ({exc.strerror}): choose another --refused.") from exc

    def __enter__(self) -> Self:
        try:
            if not self._resumed:
                self.path.unlink(missing_ok=True)
        except OSError as exc:
            raise CommandError(f"{self.path} cannot be replaced ({exc.strerror}): choose another --refused.") from exc
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
