"""Words of errors, as people read them: without Python's details, and without what differs each time."""

import re

_REPR = re.compile(r"<[A-Za-z_][\w.]* [^<>]*(?:=|\b0x)[^<>]*>")
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): (?=\S)")

_CODE = r"\d{3}(?![\w.])|\d\.\d{1,3}\.\d{1,3}(?![\w.])"
"""A relay's reply code, or its enhanced status code (RFC 3463)."""

_PASSING = re.compile(rf"(?<![\w.@+=-])(?!(?:{_CODE}))(?=[\w.@+=:/-]*[\d@])[\w.@+=:/-]+")
"""A word with a digit or an @ in it: an id, an address, a time."""


def in_words(text: str) -> str:
    """Return a reason without Python's details: names of exceptions, and representations of objects."""
    return _REPR.sub("…", _EXCEPTION.sub("", text))


def alike(text: str) -> str:
    """Return an error without what differs each time, such as ids and times, by which the same words are found."""
    return _PASSING.sub("…", in_words(text))
