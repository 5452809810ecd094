"""Splitters of a stream of bytes into pieces, one report each: lines (NDJSON), or the elements of a JSON array.

They keep at most one piece, of a limited size, and look at each byte a few times at most, however the stream is cut.
What is in a piece is not checked here: the model of a report reads it. That is why they are our own: the libraries that
parse JSON as it arrives return values, and of those the model takes others than of JSON, such as a float of an amount.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple, Protocol


class Piece(NamedTuple):
    """A piece of the stream, and its number: that of the line, or of the element; the first is 1."""

    number: int
    data: bytes


class FaultKind(Enum):
    """The kind of a fault: nothing is read after any but the first."""

    TOO_LONG = auto()
    BROKEN = auto()
    CUT_OFF = auto()


class Fault(NamedTuple):
    """The reason why a piece cannot be read, as a sentence."""

    number: int
    why: str
    kind: FaultKind

    @property
    def ends(self) -> bool:
        """Whether nothing after it can be read either."""
        return self.kind is not FaultKind.TOO_LONG


Part = Piece | Fault


class Splitter(Protocol):
    """Splits a stream."""

    def feed(self, data: bytes) -> Iterator[Part]:
        """Yield the pieces that end in `data`, the next bytes of the stream."""
        ...

    def end(self) -> Iterator[Part]:
        """Yield what is left at the end of the stream."""
        ...


_BOM = b"\xef\xbb\xbf"


class _Piece:
    """The piece that is being read: its bytes, up to a limit; those of a longer one are dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= self._limit:
            self._parts.append(data)
        else:
            self._parts.clear()

    def take(self, number: int) -> Part:
        """Return the piece, and begin the next."""
        too_long, data = self.size > self._limit, b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        if too_long:
            return _too_long(number, self._limit)
        return Piece(number, data)


def _too_long(number: int, limit: int) -> Fault:
    return Fault(number, f"It is longer than {limit} bytes.", FaultKind.TOO_LONG)


class Lines:
    """Splitter into lines of at most `limit` bytes. Empty lines are counted, but not yielded."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._piece = _Piece(limit)
        self._number = 1

    def feed(self, data: bytes) -> Iterator[Part]:
        """Yield the lines that end in `data`."""
        first, *others = data.split(b"\n")
        self._piece.add(first)
        if not others:
            return
        yield from self._line()
        rest = others.pop()
        for line in others:
            self._number += 1
            if len(line) > self._limit:
                yield _too_long(self._number, self._limit)
            elif line.strip():
                yield Piece(self._number, line)
        self._number += 1
        self._piece.add(rest)

    def end(self) -> Iterator[Part]:
        """Yield the last line, if it has no line end."""
        yield from self._line()

    def _line(self) -> Iterator[Part]:
        part = self._piece.take(self._number)
        if isinstance(part, Piece) and self._number == 1:
            part = Piece(1, part.data.removeprefix(_BOM))
        if isinstance(part, Fault) or part.data.strip():
            yield part


_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = re.compile(rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+', re.DOTALL)
"""All up to the next bracket, or to a string whose end is not there yet. Possessive: it never goes back."""

_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""The rest of a string, up to its closing quote or to a backslash whose character is not there yet."""


def _whole(depth: int) -> bytes:
    """Return the pattern of a value in brackets that is not nested deeper than this."""
    within = rb'[^"\[\]{}]++|' + _STRING
    inner = within + rb"|" + _whole(depth - 1) if depth else within
    return rb"[\[{](?:" + inner + rb")*+[\]}]"


_WHOLE = re.compile(_whole(3), re.DOTALL)
"""A whole element, as nearly all are: nested no deeper than a report, and there from its first byte to its last."""

_SCALAR = re.compile(rb'[^\s,\]\["{}]*+')
_BLANK = re.compile(rb"[ \t\r\n]*+")
_LEAD = re.compile(rb"[ \t\r\n\xef\xbb\xbf]*+")
"""Blanks, and the bytes of a byte order mark, which may be cut anywhere."""


class Elements:
    """Splitter into the elements of one JSON array, each of at most `limit` bytes.

    Where the array itself is broken, the last part is a `Fault` that `ends`.
    """

    def __init__(self, limit: int) -> None:
        self._piece = _Piece(limit)
        self._number = 0
        self._state: Callable[[], None] = self._before
        self._depth = 0
        self._data = b""
        self._at = 0
        self._found: list[Part] = []

    def feed(self, data: bytes) -> Iterator[Part]:
        """Yield the elements that end in `data`, and where the array is broken, that."""
        self._data, self._at = data, 0
        while self._at < len(self._data):
            self._state()
            if self._found:
                yield self._found.pop()
        self._data = b""

    def end(self) -> Iterator[Part]:
        """Yield a fault if the array has no end."""
        if self._state not in (self._after, self._broken):
            if self._state not in (self._before, self._first, self._begin, self._separator):
                self._number -= 1  # the element that was begun is the one that is cut off
            self._break("The array ends before its closing bracket: send the rest again.", FaultKind.CUT_OFF)
            yield self._found.pop()

    def _skip_blanks(self) -> bytes:
        """Return the next byte that is not blank, without passing it; none at the end of the data."""
        self._at = _BLANK.match(self._data, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
        return self._data[self._at : self._at + 1]

    def _take(self, end: int) -> None:
        self._piece.add(self._data[self._at : end])
        self._at = end

    def _break(self, why: str, kind: FaultKind = FaultKind.BROKEN) -> None:
        self._found.append(Fault(self._number + 1, why, kind))
        self._state, self._at = self._broken, len(self._data)

    def _finish(self) -> None:
        self._found.append(self._piece.take(self._number))
        self._state = self._separator

    def _before(self) -> None:
        self._at = _LEAD.match(self._data, self._at).end()  # type: ignore[union-attr]  # as above
        found = self._data[self._at : self._at + 1]
        if found == b"[":
            self._at += 1
            self._state = self._first
        elif found:
            self._break("It must be an array of reports: it begins with something else.")

    def _first(self) -> None:
        if self._skip_blanks() == b"]":
            self._at += 1
            self._state = self._after
        else:
            self._begin()

    def _begin(self) -> None:
        found = self._skip_blanks()
        if not found:
            return
        if found in b",]}":
            self._break(f"The array is broken: a report should be where {found.decode()} is. Nothing after it is read.")
            return
        self._number += 1
        if found == b'"':
            self._take(self._at + 1)
            self._depth, self._state = 0, self._string
        elif whole := _WHOLE.match(self._data, self._at):
            self._take(whole.end())
            self._finish()
        elif found in b"[{":
            self._take(self._at + 1)
            self._depth, self._state = 1, self._nested
        else:
            self._state = self._scalar

    def _nested(self) -> None:
        self._take(_PLAIN.match(self._data, self._at).end())  # type: ignore[union-attr]  # as above
        if not (found := self._data[self._at : self._at + 1]):
            return
        self._take(self._at + 1)
        if found == b'"':
            self._state = self._string
        elif found in b"[{":
            self._depth += 1
        else:
            self._depth -= 1
            if not self._depth:
                self._finish()

    def _string(self) -> None:
        self._take(_IN_STRING.match(self._data, self._at).end())  # type: ignore[union-attr]  # as above
        found = self._data[self._at : self._at + 1]
        self._take(self._at + len(found))
        if found == b"\\":
            self._state = self._escaped
        elif found:
            self._state = self._nested
            if not self._depth:
                self._finish()

    def _escaped(self) -> None:
        self._take(self._at + 1)
        self._state = self._string

    def _scalar(self) -> None:
        self._take(_SCALAR.match(self._data, self._at).end())  # type: ignore[union-attr]  # as above
        if self._at < len(self._data):
            self._finish()

    def _separator(self) -> None:
        found = self._skip_blanks()
        if found == b",":
            self._at += 1
            self._state = self._begin
        elif found == b"]":
            self._at += 1
            self._state = self._after
        elif found:
            self._break("The array is broken: a comma or its end is missing. Nothing after it is read.")

    def _after(self) -> None:
        if self._skip_blanks():
            self._break("Something follows the end of the array. It is not read.")

    def _broken(self) -> None:
        self._at = len(self._data)
