"""Isolation of names from the text around them, so that one from right to left turns no words beside it (UAX #9)."""

from collections.abc import Iterable
from html.parser import HTMLParser

_RAW = ("title", "style", "script")
_EMPTY = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


def not_isolated(html: str, names: Iterable[str]) -> list[str]:
    """Return the names that a page shows without a `<bdi>`, or an element with `dir="auto"`, for them alone."""
    return _Text(html, names).bare


class _Text(HTMLParser):
    def __init__(self, html: str, names: Iterable[str]) -> None:
        super().__init__()
        self._names = [name for name in names if name]
        self._open: list[tuple[str, bool]] = []
        self.bare: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _EMPTY:
            self._open.append((tag, tag == "bdi" or tag in _RAW or ("dir", "auto") in attrs))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][1]:
            return
        self.bare += [name for name in self._names if name in data and name not in self.bare]
