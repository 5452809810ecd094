"""One event loop for all tests with a browser: a browser belongs to the loop that started it, and is slow to start.

A folder or module of such tests marks them, and declares its asynchronous fixtures with `fixture`, in place of
`pytest.fixture`: whatever a test waits for is then on the same loop.
"""

from functools import partial

import pytest
import pytest_asyncio

marked = pytest.mark.asyncio(loop_scope="session")
"""Decorates a test, or is the `pytestmark` of a module of asynchronous tests."""

fixture = partial(pytest_asyncio.fixture, loop_scope="session")
"""Declares an asynchronous fixture of such tests; takes what `pytest.fixture` takes."""
