"""Runs the asynchronous API on a synchronous driver, without an event loop."""

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

T = TypeVar("T")


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. Its driver is synchronous, so it never suspends and needs no event loop."""
    try:
        call.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("the driver is not synchronous: it returned an awaitable")
