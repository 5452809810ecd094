"""The entrance: the cookie behind a proxy and without one, and the address that people type."""

import pytest

from tests.support.console_alone import SECRET, console_alone


@pytest.fixture
async def client():
    """A client of the console alone."""
    async with console_alone() as client:
        yield client


async def _sign_in(client, host, origin, key=SECRET):
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    return await client.post("/console/sign-in", data={"key": key}, headers=headers)


@pytest.mark.parametrize(
    ("host", "origin", "secure"),
    [
        ("console.example", "https://console.example", True),
        ("127.0.0.1:8080", "https://console.example", True),
        ("console.example", None, True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("localhost:8080", "http://localhost:8080", False),
        ("127.0.0.1:8080", "null", False),
        ("127.0.0.1:8080", "http://[", False),
        ("127.0.0.1:8080", None, False),
    ],
)
async def test_the_cookie_is_for_https_alone_wherever_the_browser_has_that(client, host, origin, secure):
    """A proxy may pass on a loopback address as the host, as nginx does by default: the origin is the browser's."""
    answer = await _sign_in(client, host, origin)
    assert answer.status_code == 303
    assert ("; Secure" in answer.headers["set-cookie"]) is secure


@pytest.mark.parametrize("host", ["10.0.0.5:8080", "127.0.0.1:8080"])
async def test_without_https_a_browser_elsewhere_is_told_why_it_cannot_sign_in(client, host):
    """It would not keep the cookie, and the form would come again without a word."""
    answer = await _sign_in(client, host, "http://10.0.0.5:8080")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "https" in answer.text
    wrong = await _sign_in(client, host, "http://10.0.0.5:8080", key="another-0123456789")
    assert "This is not a valid key." in wrong.text


async def test_a_slash_too_many_leads_to_the_overview(client):
    answer = await client.get("/console/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert (await client.get("/console/no-such-page")).status_code == 404
