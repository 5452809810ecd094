"""Mailboxes and List-Ids as people write them: `Lamp Shop <shop@example.com>`, `Lamp Shop <reminders.example.com>`."""

import re

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<inner>[^<>]+)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LIST_ID = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)+")


def split_mailbox(written: str) -> tuple[str, str]:
    """Return the name, without its quotes, and the text in angle brackets; without a name, "" and the whole text.

    RFC 5322 requires quotes around most names, and people leave them out: a name may stand without.
    """
    if (found := _NAMED.fullmatch(written)) is None:
        return "", written
    name = found["name"].strip()
    if quoted := _QUOTED.fullmatch(name):
        name = re.sub(r"\\(.)", r"\1", quoted[1]).strip()
    return name, found["inner"]


def is_list_id(identifier: str) -> bool:
    """Return whether this is an identifier of RFC 2919 section 3: at least two labels, at most 255 characters."""
    return len(identifier) <= 255 and _LIST_ID.fullmatch(identifier) is not None
