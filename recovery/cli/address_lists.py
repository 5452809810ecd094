"""Suppression lists as files: plain addresses, CSV of other systems, and our own export."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from recovery.domain.fields import Email, ShopKey
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.suppressions import KeptSuppression, NewSuppression

COLUMNS = ("shop", "pseudonym", "reason", "at", "source")
"""Columns of an export. An empty shop means all shops."""

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""A value that a spreadsheet would take for a formula, with any apostrophes that prevent that."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that is not imported: its number and the reason."""

    line: int
    why: str


class _Exported(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    shop: ShopKey | None
    pseudonym: str = Field(pattern=r"^[0-9a-f]{32}$")
    reason: SuppressionReason
    at: AwareDatetime
    source: Annotated[str, StringConstraints(strip_whitespace=False)]


@dataclass(frozen=True, slots=True)
class ListReader:
    """Reader of a suppression list. Shop, reason and source are those of plain addresses."""

    pseudonyms: Pseudonyms
    shop: str | None
    reason: SuppressionReason
    source: str

    def read(self, lines: Iterable[str]) -> Iterator[NewSuppression | RejectedLine]:
        """Yield the entries of a file: one address per line, CSV with a column `email`, or our own export.

        Empty lines and those that begin with # are skipped in a plain list.
        """
        remaining = iter(lines)
        first = next(remaining, "")
        delimiter = ";" if ";" in first else ","
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if "email" not in names and "pseudonym" not in names:
            for number, line in enumerate(chain([first], remaining), start=1):
                if line.strip() and not line.startswith("#"):
                    yield self._address(number, line)
            return
        rows = csv.DictReader(remaining, names, restval="", delimiter=delimiter)
        for row in rows:
            number = rows.line_num + 1
            yield self._address(number, row["email"]) if "email" in names else _exported(number, row)

    def _address(self, number: int, written: str) -> NewSuppression | RejectedLine:
        try:
            email = _EMAIL.validate_python(written.strip())
        except ValidationError:
            return RejectedLine(number, "invalid e-mail address")
        return NewSuppression(self.shop, self.pseudonyms.of(email), self.reason, self.source)


def valid_address(written: str) -> str:
    """Return an address as checkouts store it. Raises `ValueError` if it is invalid."""
    return _EMAIL.validate_python(written)


def is_shop(written: str) -> bool:
    """Return whether this is a valid shop key."""
    try:
        _SHOP.validate_python(written)
    except ValidationError:
        return False
    return True


def row(kept: KeptSuppression) -> tuple[str, ...]:
    """Return the row of an export, safe against formula injection in spreadsheets."""
    values = kept.shop or "", kept.pseudonym, kept.reason.value, kept.at.isoformat(), kept.source
    return tuple(f"'{value}" if _FORMULA.match(value) else value for value in values)


def _unquoted(value: str | None) -> str | None:
    """Return a value of an export without the apostrophe that `row` added."""
    return value[1:] if value and value[0] == "'" and _FORMULA.match(value) else value


def _exported(number: int, given: Mapping[str, str]) -> NewSuppression | RejectedLine:
    fields = {name: _unquoted(given.get(name)) for name in COLUMNS}
    try:
        found = _Exported.model_validate(fields | {"shop": fields["shop"] or None})
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        return RejectedLine(number, f"{fault['loc'][0]}: {fault['msg']}")
    at: datetime = found.at
    return NewSuppression(found.shop, found.pseudonym, found.reason, found.source, at)
