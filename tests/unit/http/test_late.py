"""Parts that are loaded when they are first needed."""

import asyncio
import threading

import pytest

from recovery.http.app import Application
from recovery.http.late import Late


async def test_a_part_is_loaded_once_and_in_a_thread():
    """Whoever asks meanwhile waits for the same part, and everything else goes on."""
    threads, told = [], threading.Event()

    def load():
        threads.append(threading.current_thread())
        told.wait(10)
        return object()

    part = Late(load)
    first, second = asyncio.create_task(part.get()), asyncio.create_task(part.get())
    await asyncio.sleep(0)
    told.set()
    assert await first is await second is await part.get()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_what_could_not_be_loaded_is_tried_again():
    """The next request that needs it does so."""
    loads = iter([MemoryError("too little of it"), object()])

    def load():
        if isinstance(each := next(loads), Exception):
            raise each
        return each

    part = Late(load)
    with pytest.raises(MemoryError):
        await part.get()
    assert await part.get() is not None


async def test_what_nobody_has_asked_for_is_loaded_later():
    """A while after the start the endpoints are loaded: no click waits for them. A fault is left to a request."""
    nothing, loads = None, []

    def load():
        loads.append(None)
        if len(loads) == 1:
            raise MemoryError("too little of it")
        return object()

    app = Application(nothing, nothing, nothing, load)
    await app.load_later(0)
    await app.load_later(0)
    assert len(loads) == 2
    await app.load_later(0)
    assert len(loads) == 2
