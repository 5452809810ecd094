"""Texts of strangers, such as a relay's replies, without the addresses in them: they are kept, logged and shown."""

import re

_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")


def masked(text: str) -> str:
    """Return a text with an ellipsis in place of each e-mail address."""
    return _ADDRESS.sub("…", text) if "@" in text else text
