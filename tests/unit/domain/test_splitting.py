"""Splitting a stream of bytes into reports: lines, and elements of an array."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recovery.domain.splitting import Elements, Fault, FaultKind, Lines, Piece

LIMIT = 1000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
BLANKS = st.text(" \t\r\n", max_size=3)


def split(splitter, data, cuts=()):
    """Return all parts of `data`, fed in pieces that are cut there."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [*(part for piece in pieces for part in splitter.feed(piece)), *splitter.end()]


@given(st.lists(VALUES, max_size=8), BLANKS, st.booleans(), st.lists(st.integers(0, 10**6), max_size=20))
@example(['"', "\\", '\\"', "é"], " ", False, list(range(60)))
def test_each_element_of_an_array_is_a_piece_wherever_the_stream_is_cut(values, blanks, ascii_only, cuts):
    """The pieces are the elements, numbered from 1, however they are spaced, escaped and cut."""
    between = f"{blanks},{blanks}".join(json.dumps(value, ensure_ascii=ascii_only) for value in values)
    data = f"{blanks}[{blanks}{between}{blanks}]{blanks}".encode("utf-8", "surrogatepass")
    parts = split(Elements(10**6), data, cuts)
    assert [part.number for part in parts] == list(range(1, len(values) + 1))
    assert [json.loads(part.data.decode("utf-8", "surrogatepass")) for part in parts] == values


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_any_bytes_end_in_the_same_parts_wherever_they_are_cut(data, cuts):
    """Neither splitter fails, and how a stream arrives changes nothing."""
    for make in (Lines, Elements):
        whole = split(make(20), data)
        assert split(make(20), data, cuts) == whole
        assert not any(part.ends for part in whole[:-1] if isinstance(part, Fault))


@given(st.text('[]{},"\\ x1', max_size=30), st.lists(st.integers(0, 60), max_size=6))
def test_what_is_an_array_is_taken_whole_and_what_is_none_ends_in_a_fault(text, cuts):
    """No broken array passes for a whole one: its pieces are all JSON only if it is."""
    parts = split(Elements(LIMIT), text.encode(), cuts)
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if isinstance(values, list):
        assert [json.loads(part.data) for part in parts] == values
    else:
        assert any(isinstance(part, Fault) or not _is_json(part.data) for part in parts)


def _is_json(data):
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), max_size=8), st.booleans())
def test_each_line_is_a_piece_and_empty_ones_are_counted(lines, ends):
    """Lines have the numbers that an editor shows; the last needs no line end."""
    data = "\n".join(lines).encode() + (b"\n" if ends else b"")
    expected = [(number, line.encode()) for number, line in enumerate(lines, 1) if line.encode().strip(b" \t\r\n\v\f")]
    assert [(part.number, part.data) for part in split(Lines(LIMIT), data)] == expected


@pytest.mark.parametrize(
    ("text", "number", "why"),
    [
        ("", 1, "ends before its closing bracket"),
        ("[", 1, "ends before its closing bracket"),
        ('[{"a": 1}', 2, "ends before its closing bracket"),
        ('[{"a": 1}, {"b"', 2, "ends before its closing bracket"),
        ("[1,", 2, "ends before its closing bracket"),
        ('{"a": 1}', 1, "must be an array"),
        ("[1,]", 2, "should be where ] is"),
        ("[,1]", 1, "should be where , is"),
        ("[1 2]", 2, "a comma or its end is missing"),
        ("[1] 2", 2, "follows the end"),
        ("[1}", 2, "a comma or its end is missing"),
    ],
)
def test_a_broken_array_says_where(text, number, why):
    """The last part is a fault with the number of the element that is missing or broken, and ends the stream."""
    for parts in (split(Elements(LIMIT), text.encode()), split(Elements(LIMIT), text.encode(), range(20))):
        assert parts[-1].number == number
        assert why in parts[-1].why
        assert parts[-1].ends


@pytest.mark.parametrize(("make", "text"), [(Lines, "%s\n1"), (Elements, "[%s, 1]")])
def test_a_piece_over_the_limit_is_a_fault_and_the_next_is_read(make, text):
    """Only as much as the limit is kept of it, and what follows is not lost."""
    at, over = f'"{"x" * (LIMIT - 2)}"', f'"{"x" * (LIMIT - 1)}"'
    assert split(make(LIMIT), (text % at).encode()) == [Piece(1, at.encode()), Piece(2, b"1")]
    splitter = make(LIMIT)
    parts = split(splitter, (text % over).encode(), range(0, 2000, 7))
    assert parts == [Fault(1, "It is longer than 1000 bytes.", FaultKind.TOO_LONG), Piece(2, b"1")]
    for _ in range(100):
        assert list(splitter.feed(b'"' if make is Lines else b" ")) == []
    assert sum(map(len, splitter._piece._parts)) <= LIMIT


def test_a_line_over_the_limit_is_a_fault_wherever_it_is():
    """In the middle of what arrives at once, too."""
    at, over = b"x" * LIMIT, b"x" * (LIMIT + 1)
    whole = split(Lines(LIMIT), b"\n".join([b"1", over, at, b"", over, b"2"]))
    assert [(part.number, getattr(part, "kind", part[1])) for part in whole] == [
        (1, b"1"),
        (2, FaultKind.TOO_LONG),
        (3, at),
        (5, FaultKind.TOO_LONG),
        (6, b"2"),
    ]


def test_a_byte_order_mark_at_the_start_is_passed_over():
    """Files that were saved on Windows begin with one."""
    assert split(Lines(LIMIT), b"\xef\xbb\xbf1\n2") == [Piece(1, b"1"), Piece(2, b"2")]
    assert split(Elements(LIMIT), b"\xef\xbb\xbf[1]", range(6)) == [Piece(1, b"1")]
