"""Mails as a test reads them: parsed from the message that the relay was given."""

from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from html.parser import HTMLParser
from typing import Any


@dataclass(frozen=True, eq=False)
class Mail:
    """A mail that the relay took: of which checkout and step, when, to whom, and its message as it was sent.

    `to` is the address of the recipient, `sender` that of the envelope, to which bounces go.
    """

    shop: str
    order_id: str
    step: str
    at: datetime
    to: str
    sender: str
    content: bytes = field(repr=False)

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed message."""
        message = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(message, EmailMessage)  # noqa: S101 - the policy makes them
        return message

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.message["Subject"])

    @property
    def headers(self) -> dict[str, str]:
        """The header fields, decoded, by their names as written."""
        return {name: str(value) for name, value in self.message.items()}

    @cached_property
    def text(self) -> str:
        """The text part."""
        return self._part("plain")

    @cached_property
    def html(self) -> str:
        """The HTML part."""
        return self._part("html")

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The addresses that the HTML part links to, in order, each once."""
        parser = _Links()
        parser.feed(self.html)
        parser.close()
        return tuple(dict.fromkeys(parser.found))

    @property
    def unsubscribe_link(self) -> str | None:
        """The link of `List-Unsubscribe`, or None."""
        header = self.headers.get("List-Unsubscribe", "")
        return next((each.strip(" <>") for each in header.split(",") if each.strip().startswith("<http")), None)

    def _part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        return "" if body is None else str(body.get_content())


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
