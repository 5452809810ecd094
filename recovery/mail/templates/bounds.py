"""What a template may compute at most: numbers, lengths and widths that no mail needs more of.

A slip such as `{{ "-" * 10 ** 10 }}` would otherwise take all memory or all time of a daemon that works for many shops.
What is bounded is bounded where it is called, so that a mail that calls none of it costs no more than without.
"""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from jinja2.filters import FILTERS

MOST = 1000
"""The largest number that a template may count to, and the largest width or number that a filter may be given."""

LONGEST = 100_000
"""Characters or elements of what is made by multiplying; Gmail clips a mail of as many."""

MOST_BITS = 256
"""Of a product or power of whole numbers."""

_WIDTH = re.compile(r"\d{4,}|\*")
"""In what a text is formatted by: a width or a precision that is too large, or that comes from a value."""

_NESTED = re.compile(r"\{[^{}]*\{")
"""A width that is a field itself."""


class TooMuch(ValueError):
    """A template would compute more than any mail needs; the message says what is allowed."""


def counted(*arguments: int) -> range:
    """Stand in for `range`."""
    numbers = range(*arguments)
    if len(numbers) > MOST:
        raise TooMuch(f"Range too big: a template counts to {MOST} at most")
    return numbers


def times(left: Any, right: Any) -> Any:
    """Multiply, within bounds."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MOST_BITS:
            raise TooMuch(f"this product is of more than {MOST_BITS} bits")
        return left * right
    for many, often in ((left, right), (right, left)):
        if isinstance(often, int) and isinstance(many, str | bytes | list | tuple) and len(many) * often > LONGEST:
            raise TooMuch(f"this repeats something to more than {LONGEST} characters or elements")
    return left * right


def power(left: Any, right: Any) -> Any:
    """Raise to a power, within bounds."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MOST_BITS:
        raise TooMuch(f"this power is of more than {MOST_BITS} bits")
    return left**right


def modulo(left: Any, right: Any) -> Any:
    """Return a remainder, or a text formatted by `%` with widths within bounds."""
    if isinstance(left, str) and _WIDTH.search(left):
        raise TooMuch(f"a width in a format must be a number below {MOST}")
    return left % right


BINARY: Mapping[str, Callable[[Any, Any], Any]] = {"*": times, "**": power, "%": modulo}
"""The operators that can make much of little."""


def check_format(template: str) -> None:
    """Raise `TooMuch` if `str.format` could make a field wider than `MOST`."""
    if _WIDTH.search(template) or _NESTED.search(template):
        raise TooMuch(f"a width in a format must be a number below {MOST}, and no field")


def check_arguments(function: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Raise `TooMuch` for a method of text or numbers that is given a large number, such as `"x".center(10**9)`."""
    if isinstance(getattr(function, "__self__", None), str | bytes | int | list | tuple) and _large(arguments, named):
        raise TooMuch(f"{function.__name__} takes numbers up to {MOST}")


def _large(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    return any(isinstance(each, int) and abs(each) > MOST for each in (*arguments, *named.values()))


def _bounded(name: str) -> Callable[..., Any]:
    made = FILTERS[name]

    @wraps(made)  # with the attribute by which Jinja knows what a filter is to be called with first
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
"""The filters that make as much as a number says."""
