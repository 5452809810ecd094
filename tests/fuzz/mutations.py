"""Mutations of bytes and of JSON: what a slip, a broken program or an attacker makes of something real."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

PIECES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\r\n",
    b"\n\n",
    b"{{",
    b"{% for x in range(999) %}",
    b"%s%s%n",
    b"'\"<>&",
    "\u202e".encode(),
    b"\xed\xa0\x80",
    b"9" * 40,
    b"-1",
    b"1e999",
    b"=?utf-8?b?//8=?=",
    b"A" * 5000,
    b"../../etc/passwd",
    b"$where",
    b"boundary=",
)
"""What is put into a text."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**40,
    1e308,
    float("inf"),
    "",
    " ",
    "\u0000",
    "\ud83d",
    "٣",
    "1_000",
    "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z",
    "javascript:alert(1)",
    "https://a@b/",
    "x" * 70_000,
    [],
    {},
    [[[[[]]]]],
    {"$gt": ""},
    {"a": {"a": {"a": {}}}},
)
"""What is put in the place of a value."""


def of_bytes(rng: random.Random, sound: bytes, most: int = 4) -> bytes:
    """Return a text with up to `most` things done to it: cut, doubled, moved, flipped, or something put in."""
    content = bytearray(sound)
    for _ in range(rng.randint(1, most)):
        at = rng.randrange(len(content) + 1)
        to = min(len(content), at + rng.choice((1, 2, 8, 64, 1024)))
        match rng.randrange(5):
            case 0:
                del content[at:to]
            case 1:
                content[at:at] = content[at:to] * rng.choice((1, 2, 50))
            case 2 if content:
                content[at % len(content)] ^= 1 << rng.randrange(8)
            case 3:
                content[at:at] = rng.choice(PIECES)
            case _:
                content[at:to] = rng.choice(PIECES)
    return bytes(content)


def of_json(rng: random.Random, sound: Any) -> bytes:
    """Return a JSON document with something done to a value, a name or the text; what it was made of stays whole."""
    document = copy.deepcopy(sound)
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(list(_places(document)) or [(None, None)])
        if holder is None:
            continue
        match rng.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice(("", "$set", "id\u0000", "x" * 300))] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder += [copy.deepcopy(holder[key]) for _ in range(rng.choice((1, 300)))]
            case _:
                holder[key] = copy.deepcopy(rng.choice(VALUES))
    text = json.dumps(document).encode()
    return of_bytes(rng, text, 1) if rng.random() < 0.2 else text


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        pairs = list(document.items())
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    for key, value in pairs:
        yield document, key
        yield from _places(value)
