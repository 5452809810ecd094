"""A mail as the inbox got it, and its parts for people to read."""

from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Literal


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was accepted `at` this time, for `recipient` as SMTP had it; `content` is all of it."""

    at: datetime
    recipient: str
    content: bytes

    @property
    def subject(self) -> str:
        """Its subject in words."""
        return self.header("Subject")

    @property
    def to(self) -> str:
        """The name that it is addressed to, or else the address."""
        header = self._message()["To"]
        names = [address.display_name for address in header.addresses] if header else []
        return " ".join(filter(None, names)) or self.recipient

    @property
    def message_id(self) -> str:
        """Its Message-ID with the brackets, by which it is known again."""
        return self.header("Message-ID").strip()

    def header(self, name: str) -> str:
        """Return a header, decoded; empty where there is none."""
        return str(self._message()[name] or "")

    def body(self, kind: Literal["html", "plain"]) -> str:
        """Return the text of this kind; empty where there is none."""
        part = self._message().get_body((kind,))
        return str(part.get_content()) if part is not None else ""

    def source(self) -> str:
        """Return all of it as it came."""
        return self.content.decode(errors="replace")

    def _message(self) -> EmailMessage:
        return BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(self.content)
