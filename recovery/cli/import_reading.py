"""Files of reports: lines of JSON, a JSON array, or CSV with a header. Each record is read and refused by itself."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from recovery.cli.terminal import CommandError
from recovery.domain.checkout import Checkout, Order
from recovery.domain.splitting import Elements, Fault, Lines

LONGEST = 256 * 1024
"""Bytes of a report, as over HTTP."""

ALSO = {"email": "customer.email", "name": "customer.name"}
"""The short names of columns."""

_COLUMNS = {*Checkout.model_fields, *Order.model_fields}
_NOT_OF_ORDERS = set(Checkout.model_fields) - set(Order.model_fields)
_YES_OR_NO = {"true": True, "false": False}


class Unreadable(Exception):
    """A record that is not a valid report; the message names the field and the fault."""

    def __init__(self, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file: the number of its (first) line or element, its bytes, and what was read from them."""

    number: int
    original: bytes
    report: Checkout | Order | Unreadable


def records(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of a file, whose form is told by its first character. Raises `CommandError`.

    A record with `ordered_at` is an order, any other a checkout, which must have `touched_at`.
    """
    remaining = iter(chunks)
    first = b""
    while not first.lstrip(b"\xef\xbb\xbf \t\r\n") and (chunk := next(remaining, b"")):
        first += chunk
    begin = first.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if begin in (b"{", b"["):
        yield from _of_json(chain([first], remaining), Lines(LONGEST) if begin == b"{" else Elements(LONGEST))
    elif begin:
        yield from _of_csv(_lines(chain([first], remaining)))


def _of_json(chunks: Iterable[bytes], splitter: Lines | Elements) -> Iterator[Record]:
    for part in chain((part for chunk in chunks for part in splitter.feed(chunk)), splitter.end()):
        if isinstance(part, Fault):
            yield Record(part.number, b"", Unreadable(part.why))
        else:
            yield Record(part.number, part.data, _read_json(part.data))


def _read_json(data: bytes) -> Checkout | Order | Unreadable:
    try:
        values = from_json(data)
    except ValueError as exc:
        return Unreadable(f"it is not valid JSON: {exc}")
    if not isinstance(values, dict):
        return Unreadable("it is not a JSON object")
    model = _model_of(values)
    try:
        return _timed(model.model_validate_json(data))
    except ValidationError as exc:
        return _invalid(exc)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text, with their ends; bytes that are not UTF-8 as half surrogates, which no field takes."""
    rest, number = b"", 1
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield f"{line.decode('utf-8', 'surrogateescape')}\n"
        number += len(whole)
        if len(rest) > LONGEST:
            raise CommandError(
                f"line {number} is longer than {LONGEST} bytes: give lines of JSON, or CSV with a header."
            )
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


class _Remembering:
    """Iterates over lines, and remembers those of the record that is being read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self.taken.append(line)
            yield line

    def take(self) -> tuple[int, bytes]:
        """Return the number of the first line since the last call, and the bytes since then."""
        text, first = "".join(self.taken), self.number - len(self.taken) + 1
        self.taken.clear()
        return first, text.rstrip("\r\n").encode("utf-8", "surrogateescape")


def _of_csv(lines: Iterator[str]) -> Iterator[Record]:
    header = next(lines).removeprefix("\ufeff")
    delimiter = ";" if ";" in header else ","
    try:
        names = _columns(next(csv.reader([header], delimiter=delimiter), []))
    except csv.Error as exc:
        raise CommandError(
            f"The header is not a valid line of CSV ({exc}): give CSV with a header, or lines of JSON."
        ) from exc
    remembering = _Remembering(lines)
    rows = csv.reader(remembering, delimiter=delimiter)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as exc:
            number, original = remembering.take()
            yield Record(number + 1, original[:LONGEST], Unreadable(f"it is not valid CSV: {exc}"))
            continue
        number, original = remembering.take()
        if row:
            yield Record(number + 1, original, _read_row(names, row))


def _columns(header: list[str]) -> list[str]:
    """Return the paths of the fields in a header, as errors name them. Raises `CommandError` for an unknown one."""
    names = [name.strip() for name in header]
    paths = [ALSO.get(name.lower(), name) for name in names]
    if unknown := [name for name, path in zip(names, paths, strict=True) if path.partition(".")[0] not in _COLUMNS]:
        raise CommandError(
            f"The header has unknown columns: {', '.join(unknown)}. Known are {', '.join(sorted(_COLUMNS))}, email and"
            " name; parts of them are written as in items.0.price."
        )
    return paths


def _read_row(names: list[str], row: list[str]) -> Checkout | Order | Unreadable:
    if len(row) > len(names):
        return Unreadable(f"it has {len(row)} cells, and the header {len(names)}")
    cells = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
    try:
        values = _nested(cells)
    except ValueError as exc:
        return Unreadable(str(exc))
    model = _model_of(values)
    if model is Order:
        values = {name: value for name, value in values.items() if name not in _NOT_OF_ORDERS}
    try:
        return _timed(model.model_validate(values))
    except ValidationError as exc:
        return _invalid(exc)


def _nested(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return cells as the fields that their paths name: `items.0.price` is the price of the first item.

    Raises `ValueError`.
    """
    values: dict[str, Any] = {}
    for path, cell in cells.items():
        *parents, name = path.split(".")
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ValueError(f"{path}: {parent} has a cell of its own: give one or the other")  # noqa: TRY004  the file is wrong
        inner[name] = _value(path, cell)
    if isinstance(items := values.get("items"), dict):
        values["items"] = [items[name] for name in sorted(items, key=lambda name: (len(name), name))]
    return values


def _value(path: str, cell: str) -> Any:
    if path in ("confirm", "consent.given"):
        return _YES_OR_NO.get(cell.strip().lower(), cell)
    if path in ("items", "metadata"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            raise ValueError(f"{path}: the cell is not valid JSON") from None
    return cell


def _model_of(values: Mapping[str, Any]) -> type[Checkout] | type[Order]:
    return Checkout if values.get("ordered_at") is None else Order


def _timed(report: Checkout | Order) -> Checkout | Order | Unreadable:
    """Return a report, or why it is refused: without its time, a checkout would count as left just now."""
    if isinstance(report, Checkout) and report.touched_at is None:
        why = "touched_at: Field required: the time of the last activity, or for an order, ordered_at"
        return Unreadable(why, "touched_at")
    return report


def _invalid(exc: ValidationError) -> Unreadable:
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    field = ".".join(map(str, faults[0]["loc"]))[:100]
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return Unreadable(f"{field}: {faults[0]['msg'].removeprefix('Value error, ')}{more}", field)
