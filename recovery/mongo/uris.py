"""What is wrong with the address of a database, without a part of the password in it."""

import re

MUST_BE_ESCAPED = (
    "its user name or password has a character that must be escaped: write %2F for /, %3A for :, %40 for @, %3F for ?,"
    " %23 for #, %25 for %"
)
"""Said of no matter which, since what the driver says has a part of the password in it."""

_UNESCAPED = re.compile(r"[/?#\[\]@]|:.*:|%(?![0-9A-Fa-f]{2})")


def fault(uri: str, exc: Exception) -> str:
    """Return what is wrong with a URI that the driver refuses with `exc`."""
    credentials, at, _ = uri.partition("://")[2].rpartition("@")
    return MUST_BE_ESCAPED if at and _UNESCAPED.search(credentials) else str(exc)
