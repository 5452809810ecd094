"""A mail as the list of an inbox shows it: the text after the subject, which most mail programs take from the HTML."""

import re
from html.parser import HTMLParser

SHOWN = 140
"""Characters that an inbox shows at most; most show fewer."""

_UNSEEN = ("head", "style", "title", "script")
_INLINE = ("a", "b", "bdi", "em", "i", "small", "span", "strong", "u")

_FILLER = re.compile("[\u00a0\u00ad\u034f\u2007\u200b-\u200f\u2060\ufeff]{3,}")
"""Characters that take room and show nothing: what comes after them is pushed out of the list."""


class _Text(HTMLParser):
    """The text of an HTML page, hidden or not, with a space between blocks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        self._between(tag)

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        self._between(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)

    def _between(self, tag: str) -> None:
        if tag not in _INLINE:
            self.pieces.append(" ")


def inbox_line(html: str) -> str:
    """Return the line that an inbox shows after the subject: the preheader, or the beginning of the text."""
    text = "".join(_Text(html).pieces).strip()
    line = " ".join(re.split(r"[ \t\r\n]+", _FILLER.split(text, 1)[0])).strip()
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1].rstrip()}…"
