"""Parts of the HTTP application that are loaded when a request first needs them, and not at the start."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """A part that `load` returns: it is called once, in a thread, since an import takes long."""

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._loading = asyncio.Lock()
        self._part: T | None = None

    async def get(self) -> T:
        """Return the part; the first callers wait until it is loaded."""
        if self._part is None:
            async with self._loading:
                if self._part is None:
                    self._part = await asyncio.to_thread(self._load)
        return self._part
