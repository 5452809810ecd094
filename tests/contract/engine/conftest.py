"""Fixtures of the tests in this folder."""

import pytest

from tests.support.stores import Fake, Memory, Real


@pytest.fixture(params=["fake", "kit", "real"])
def store(request):
    """The store, each implementation in turn: the fake, that of the kit, and MongoDB's."""
    if request.param == "real":
        return Real(request.getfixturevalue("database"))
    return Memory() if request.param == "kit" else Fake()
