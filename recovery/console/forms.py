"""Forms: their fields as they are posted, and query strings, with errors for people."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

from fastapi import Request

from recovery.http.problems import Problem

LONGEST = 128 * 1024
"""Bytes of a posted form."""

MOST_FIELDS = 1000

MEDIA_TYPE = "application/x-www-form-urlencoded"


class Form:
    """The fields of a form or a query string, each with one value or several."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value.strip())

    def one(self, name: str) -> str | None:
        """Return the value of a field, or None if it is empty or missing."""
        return next((value for value in self._values.get(name, ()) if value), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field that are not empty."""
        return tuple(value for value in self._values.get(name, ()) if value)

    def only(self, *names: str) -> list[tuple[str, str]]:
        """Return the values of these fields, as pairs, to be sent again."""
        return [(name, value) for name in names for value in self.all(name)]

    def names(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the fields that begin with a prefix, also of empty ones."""
        return tuple(name for name in self._values if name.startswith(prefix))

    def text(self, name: str) -> str:
        """Return the value of a field that may have lines, as it was posted but for the ends of its lines."""
        return "\n".join(self._values.get(name, [""])[0].splitlines())


async def posted(request: Request) -> Form:
    """Return the fields of a posted form. Raises `Problem`."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise Problem(415, f"A form is expected, of the media type {MEDIA_TYPE}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"The form is longer than {LONGEST} bytes.", headers={"Connection": "close"})
    return _parsed(bytes(body).decode("utf-8", "replace"))


def asked(request: Request) -> Form:
    """Return the fields of a query string. Raises `Problem`."""
    return _parsed(request.url.query)


def _parsed(text: str) -> Form:
    try:
        return Form(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace"))
    except ValueError:
        raise Problem(422, f"A form has at most {MOST_FIELDS} fields.") from None


def query(path: str, fields: Mapping[str, str | None] | Iterable[tuple[str, str | None]]) -> str:
    """Return a path with these fields as its query string, without the empty ones."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    given = [(name, value) for name, value in pairs if value]
    return f"{path}?{urlencode(given)}" if given else path
