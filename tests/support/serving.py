"""An HTTP server on a free port."""

import asyncio
import contextlib

from recovery.http.server import listen, serve


@contextlib.asynccontextmanager
async def serving(app, host="127.0.0.1"):
    """Serve `app` on a free port; yield the port, the stop event, and the server's task."""
    stop = asyncio.Event()
    port = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, listen(host, 0), stop=stop, on_listening=port.set_result))
    try:
        yield await port, stop, task
    finally:
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
