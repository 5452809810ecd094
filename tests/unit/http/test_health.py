"""Health checks, which are answered beside FastAPI as FastAPI would."""

import pytest

from tests.support.api import Api, problem

PATHS = ["/healthz", "/readyz", "/metrics"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_browser_keeps_to_the_media_type(path):
    """Every answer says so, and how long it is."""
    answer = await Api().client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_refused(path):
    """The answer names the method that there is."""
    answer = await Api().client.post(path)
    assert problem(answer, 405)["type"] == "urn:recovery:problem:method"
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("path", PATHS)
async def test_the_host_is_named_once(path):
    """As with every request."""
    answer = await Api().client.get(path, headers=[("Host", "localhost"), ("Host", "localhost")])
    assert problem(answer, 400)["type"] == "urn:recovery:problem:host"


async def test_a_check_that_fails_in_itself():
    """The answer is a problem, without what went wrong inside."""
    api = Api(paused=lambda: 1 / 0)
    told = problem(await api.client.get("/readyz"), 500)
    assert "zero" not in told["detail"]
