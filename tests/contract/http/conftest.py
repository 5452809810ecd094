"""Fixtures of the tests in this folder."""

import pytest

from tests.support.api import Api


@pytest.fixture
def api():
    return Api()
