"""Error messages for invalid MongoDB URIs that contain no part of the password."""

import re

MUST_BE_ESCAPED = (
    "its user name or password has a character that must be escaped: write %2F for /, %3A for :, %40 for @, %3F for ?,"
    " %23 for #, %25 for %"
)
"""The message for all of these, because the driver's own contains a part of the password."""

_UNESCAPED = re.compile(r"[/?#\[\]@]|:.*:|%(?![0-9A-Fa-f]{2})")


def fault(uri: str, exc: Exception) -> str:
    """Return the fault of a URI that the driver rejects with `exc`."""
    credentials, at, _ = uri.partition("://")[2].rpartition("@")
    return MUST_BE_ESCAPED if at and _UNESCAPED.search(credentials) else str(exc)
