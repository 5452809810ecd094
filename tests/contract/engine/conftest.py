"""Fixtures of the tests in this folder."""

import pytest

from tests.support.stores import Fake, Real


@pytest.fixture(params=["fake", "real"])
def store(request):
    """The store, each implementation in turn."""
    return Fake() if request.param == "fake" else Real(request.getfixturevalue("database"))
