"""Limits on the computations of a template: numbers, lengths and widths beyond the needs of any mail.

A mistake such as `{{ "-" * 10 ** 10 }}` would otherwise take all memory or all time of a daemon that works for many
shops. Each limit is checked where it is called, so that mails that call nothing limited cost no more than without.
"""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from jinja2.filters import FILTERS

MOST = 1000
"""The largest number that a template may count to, and the largest width or number as a filter's argument."""

LONGEST = 100_000
"""Characters or elements of a repeated text or list; Gmail clips a mail of this length."""

MOST_BITS = 256
"""Bits of a product or power of integers."""

_WIDTH = re.compile(r"\d{4,}|\*")
"""In a format string: a width or a precision that is too large or comes from a value."""

_NESTED = re.compile(r"\{[^{}]*\{")
"""A width that is itself a field."""


class TooMuch(ValueError):
    """A computation of a template exceeds a limit; the message says which."""


def counted(*arguments: int) -> range:
    """Return `range(*arguments)`, or raise `TooMuch`."""
    numbers = range(*arguments)
    if len(numbers) > MOST:
        raise TooMuch(f"Range too big: a template counts to at most {MOST}")
    return numbers


def times(left: Any, right: Any) -> Any:
    """Return the product, or raise `TooMuch`."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MOST_BITS:
            raise TooMuch(f"this product has more than {MOST_BITS} bits")
        return left * right
    for many, often in ((left, right), (right, left)):
        if isinstance(often, int) and isinstance(many, str | bytes | list | tuple) and len(many) * often > LONGEST:
            raise TooMuch(f"this repeats something to more than {LONGEST} characters or elements")
    return left * right


def power(left: Any, right: Any) -> Any:
    """Return the power, or raise `TooMuch`."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MOST_BITS:
        raise TooMuch(f"this power has more than {MOST_BITS} bits")
    return left**right


def modulo(left: Any, right: Any) -> Any:
    """Return the remainder, or a text formatted by `%`; raise `TooMuch` for a large width."""
    if isinstance(left, str) and _WIDTH.search(left):
        raise TooMuch(f"a width in a format must be a number below {MOST}")
    return left % right


BINARY: Mapping[str, Callable[[Any, Any], Any]] = {"*": times, "**": power, "%": modulo}
"""The operators whose results can be far larger than their operands."""


def check_format(template: str) -> None:
    """Raise `TooMuch` if `str.format` could make a field wider than `MOST`."""
    if _WIDTH.search(template) or _NESTED.search(template):
        raise TooMuch(f"a width in a format must be a number below {MOST}, and no field")


def check_arguments(function: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Raise `TooMuch` for a large number as an argument of a text's or number's method: `"x".center(10**9)`."""
    if isinstance(getattr(function, "__self__", None), str | bytes | int | list | tuple) and _large(arguments, named):
        raise TooMuch(f"{function.__name__} takes numbers up to {MOST}")


def _large(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    return any(isinstance(each, int) and abs(each) > MOST for each in (*arguments, *named.values()))


def _bounded(name: str) -> Callable[..., Any]:
    made = FILTERS[name]

    @wraps(made)  # copies the attribute that tells Jinja to pass the context or the environment
    def bounded(*arguments: Any, **named: Any) -> Any:
        if _large(arguments, named):
            raise TooMuch(f"the filter {name} takes numbers up to {MOST}")
        return made(*arguments, **named)

    return bounded


def _format(value: Any, *arguments: Any, **named: Any) -> str:
    if _WIDTH.search(str(value)):
        raise TooMuch(f"a width in a format must be a number below {MOST}")
    return str(FILTERS["format"](value, *arguments, **named))


FILTERS_BOUNDED: Mapping[str, Callable[..., Any]] = {
    "format": _format,
    **{name: _bounded(name) for name in ("center", "indent", "batch", "slice", "tojson", "round", "wordwrap")},
}
"""The filters whose output grows with a number in their arguments."""
