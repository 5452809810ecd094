"""The pages behind the links in mails, on an ingestion and a suppression list in memory."""

import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from html import unescape
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry

from recovery.client import Damaged
from recovery.daemon.metrics import Telemetry
from recovery.domain.brand import Brand
from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Message, MessageState
from recovery.domain.suppression import SuppressionReason
from recovery.errors import Unavailable
from recovery.http.app import create_app
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from recovery.mail.templates.pages import Pages
from recovery.mail.templates.templates import Templates
from recovery.mail.templates.words import PAGES
from tests.support.builders import NOON, minutes, state, step
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback

SHOP, ADA = "shop.example", "ada@example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
REMINDED = step("reminder-1", minutes(30))
UNSUBSCRIBED = {(SHOP, ADA): SuppressionReason.UNSUBSCRIBED}


class CustomerSite:
    """The application with its keys, as a customer reaches it."""

    def __init__(self, **changes):
        self.feedback = feedback(**changes)
        self.registry = CollectorRegistry()
        self.states = {}
        self.fault = None
        app = create_app(
            self,
            self.feedback,
            api_keys=(),
            max_body=LONGEST_BODY,
            readiness=self.readiness,
            registry=self.registry,
            observer=Telemetry(self.registry),
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://mail.shop.example")
        self.unsubscribe = urlsplit(self.feedback.links.default.unsubscribe(SHOP, ADA)).path

    async def readiness(self):
        return {}

    async def get(self, shop, order_id):
        """Return a checkout as the ingestion would."""
        if self.fault is not None:
            raise self.fault
        return self.states.get(f"{shop}/{order_id}")

    def left(self, sent_at=NOON, **facts):
        """Keep a checkout that a reminder was sent for; return the path of the link in it."""
        sent = Message(state=MessageState.SENT, sent_at=sent_at)
        kept = state(messages={"reminder-1": sent})
        kept = kept.model_copy(update={"facts": kept.facts.model_copy(update=facts)})
        self.states[kept.id] = kept
        return urlsplit(self.feedback.links.default.back(state(), REMINDED)).path

    @property
    def suppressed(self):
        """The reasons by shop and address."""
        return {key: reason for key, (reason, _) in self.feedback.suppressions.kept.items()}

    def counted(self, name, **labels):
        """Return the value of a counter."""
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def site():
    return CustomerSite()


def said(answer, status=200):
    """Assert that a response is a page without leaks, and return its text."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert ADA not in answer.text
    return unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "", answer.text))


# To unsubscribe


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_changes_nothing(site, method):
    """A GET, as by a link scanner, shows a page with a button and changes nothing."""
    answer = await site.client.request(method, site.unsubscribe)
    if method == "GET":
        assert re.search(r"No more reminders\?.*Unsubscribe", said(answer), re.DOTALL)
        assert SHOP in answer.text
    assert answer.status_code == 200
    assert site.suppressed == {}


@pytest.mark.parametrize(
    ("sent", "by"),
    [
        ({"data": ONE_CLICK}, "one-click"),
        ({"files": {"List-Unsubscribe": (None, "One-Click")}}, "one-click"),
        ({"data": {}}, "link"),
        ({"content": b""}, "link"),
        ({"content": b"\xff\x00", "headers": {"Content-Type": "multipart/form-data"}}, "link"),
    ],
    ids=["urlencoded", "multipart", "form", "empty", "nonsense"],
)
async def test_a_post_unsubscribes(site, sent, by):
    """A POST with any body unsubscribes at once, by any Host and without a key, and is not redirected."""
    answer = await site.client.post(site.unsubscribe, **sent)
    assert "You are unsubscribed" in said(answer)
    assert site.suppressed == UNSUBSCRIBED
    assert site.feedback.suppressions.kept[SHOP, ADA][1] == by
    assert site.counted("recovery_unsubscriptions_total", shop=SHOP, by=by) == 1


async def test_unsubscribing_twice_is_the_same(site):
    """A second POST has the same response, and is not counted (idempotent)."""
    first, second = [await site.client.post(site.unsubscribe, data=ONE_CLICK) for _ in range(2)]
    assert first.text == second.text
    assert site.counted("recovery_unsubscriptions_total", shop=SHOP, by="one-click") == 1


async def test_a_slip_can_be_taken_back(site):
    """The confirmation offers an undo, and the undo offers to unsubscribe again."""
    done = await site.client.post(site.unsubscribe)
    undo = httpx.URL(str(done.url)).join(re.search(r'action="([^"]+)"', done.text)[1])
    undone = await site.client.post(undo)
    assert "no longer holds" in said(undone)
    assert site.suppressed == {}
    again = undone.url.join(re.search(r'action="([^"]+)"', undone.text)[1])
    assert again.path == site.unsubscribe
    await site.client.post(again)
    assert site.suppressed == UNSUBSCRIBED
    assert (await site.client.get(undo)).status_code == 405, "nothing is taken back by looking"


async def test_an_unsubscription_is_taken_back_within_an_hour_only(site):
    """The undo expires after an hour: anyone who is forwarded a mail could use it."""
    await site.client.post(site.unsubscribe)
    site.feedback.clock.time = NOON + timedelta(hours=1, seconds=1)
    await site.client.post(site.unsubscribe)
    assert "Nothing was changed" in said(await site.client.post(f"{site.unsubscribe}/undo"), 410)
    assert site.suppressed == UNSUBSCRIBED


async def test_the_page_says_how_long_it_can_be_taken_back(site):
    """The page states the time limit of the undo beside the button."""
    assert "within an hour" in said(await site.client.post(site.unsubscribe))


async def test_nothing_else_is_taken_back(site):
    """The undo removes only its own suppression: a complaint stays."""
    site.feedback.suppressions.kept[SHOP, ADA] = (SuppressionReason.COMPLAINT, "report")
    await site.client.post(f"{site.unsubscribe}/undo")
    assert site.suppressed == {(SHOP, ADA): SuppressionReason.COMPLAINT}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("suffix", ["", "/undo"])
async def test_a_forged_link_is_unknown(site, method, suffix):
    """A forged or truncated link leads to a page that says so, and changes nothing."""
    if (method, suffix) == ("GET", "/undo"):
        return
    forged = Links(Seals(["another key of some length"]), Pseudonyms([]), base_url="https://mail.shop.example")
    for path in (site.unsubscribe[:-1], "/u/x", "/u/%00%ff", urlsplit(forged.unsubscribe(SHOP, ADA)).path):
        assert "does not work" in said(await site.client.request(method, f"{path}{suffix}"), 404)
    assert site.suppressed == {}


@pytest.mark.parametrize("suffix", ["", "/undo"])
async def test_without_the_database_people_are_told(site, suffix):
    """When the database is unavailable, the page says to try again, and Retry-After says when."""
    site.feedback.suppressions.fault = Unavailable("no primary")
    answer = await site.client.post(f"{site.unsubscribe}{suffix}")
    assert "try again" in said(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/u/x", "/u/x/undo", "/r/x"])
async def test_of_a_link_that_is_none_of_ours_no_body_is_read(site, path):
    """Without a valid link, the body is not read."""
    taken = 0

    async def body():
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b" " * 1024

    answer = await site.client.post(path, content=body())
    assert (answer.status_code, taken) == (404, 0)


async def test_a_long_body_is_refused(site):
    """A body over the limit is rejected here too."""
    assert (await site.client.post(site.unsubscribe, content=b"x" * 300_000)).status_code == 413
    assert site.suppressed == {}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR,fr;q=0.9,ja;q=0.5,en;q=0.4", "ja"),
        ("en;q=0.4, de;q=0.5", "de"),
        ("de;q=0, ja;q=nonsense", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
async def test_pages_are_in_the_language_that_is_liked(site, accepted, language):
    """A page is in the browser's preferred language of English, German and Japanese, or in English."""
    answer = await site.client.get(site.unsubscribe, headers={"Accept-Language": accepted})
    assert f'<html lang="{language}" dir="ltr">' in answer.text
    assert answer.headers["vary"] == "Accept-Language"


async def test_a_shop_is_only_text(site):
    """The name of a shop is escaped in the page."""
    shop = "<b>&amp;$title"
    path = urlsplit(site.feedback.links.default.unsubscribe(shop, ADA)).path
    answer = await site.client.get(path)
    assert said(answer).count(shop) == 2
    assert "<b>" not in answer.text


BRAND = Brand("Lamp & Shade", "https://cdn.example:8443/logo.png?a&b", "#ffd500", "", "https://lamps.example/")


def branded(brand=BRAND, folder=None):
    """Return a site of a shop with this brand and these words; other shops have neither."""
    nobody = Pages(Templates(), Brand())
    return CustomerSite(pages=PerShop(nobody, {SHOP: Pages(Templates(folder), brand)}))


async def test_pages_have_the_shop_s_brand():
    """Name, logo, link and colours are the shop's, and the policy allows pictures of the logo's origin alone."""
    answer = await branded().client.get(urlsplit(branded().unsubscribe).path)
    assert "<bdi>Lamp &amp; Shade</bdi>" in answer.text
    logo = '<img src="https://cdn.example:8443/logo.png?a&amp;b" alt="Lamp &amp; Shade">'
    assert f'<a href="https://lamps.example/">{logo}</a>' in answer.text
    assert SHOP not in said(answer)
    policy = answer.headers["content-security-policy"]
    assert policy.endswith("; img-src https://cdn.example:8443")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    assert "--strong: #ffd500; --on-strong: #1c1917;" in style
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy


async def test_without_a_brand_a_page_names_the_shop_s_key(site):
    """It loads nothing then: no picture is allowed."""
    answer = await site.client.get(site.unsubscribe)
    assert f"<bdi>{SHOP}</bdi>" in answer.text
    assert "<img" not in answer.text
    assert "img-src" not in answer.headers["content-security-policy"]


async def test_a_page_of_nobody_s_names_nobody():
    """A link that was not made here tells nothing of any shop."""
    answer = await branded().client.get("/u/x")
    assert "Lamp" not in said(answer, 404)
    assert "<bdi></bdi>" in answer.text


async def test_the_page_of_a_mail_is_in_the_language_of_the_mail(tmp_path):
    """A French mail leads to a French page, whatever the browser prefers, and the pages after it are French too."""
    words = "".join(
        f"[{page}]\n" + "".join(f'{key} = "{key} en français"\n' for key in keys) for page, keys in PAGES.items()
    )
    (tmp_path / "words.fr.toml").write_text(f'language = "fr"\n{words}')
    site = branded(folder=tmp_path)
    asked = urlsplit(site.feedback.links.default.unsubscribe(SHOP, ADA, "fr")).path
    german = {"Accept-Language": "de"}
    assert '<html lang="fr" dir="ltr">' in (await site.client.get(asked, headers=german)).text
    done = await site.client.post(asked, headers=german)
    assert "title en français" in said(done)
    assert site.suppressed == UNSUBSCRIBED
    undone = await site.client.post(f"{asked}/undo", headers=german)
    assert "text en français" in said(undone)
    assert site.suppressed == {}
    back = site.left(locale="fr-CA")
    assert "button en français" in said(await site.client.get(back, headers=german))
    site.states.clear()
    assert '<html lang="de"' in (await site.client.get(back, headers=german)).text


async def test_a_page_in_arabic_runs_from_right_to_left(tmp_path):
    """The direction is that of the page's words."""
    (tmp_path / "words.ar.toml").write_text(
        'language = "ar"\n[page-unsubscribe]\ntitle = "إيقاف"\ntext = "{{ brand.name }}"\nbutton = "إيقاف"\n'
    )
    site = branded(folder=tmp_path)
    answer = await site.client.get(site.unsubscribe, headers={"Accept-Language": "ar-EG"})
    assert '<html lang="ar" dir="rtl">' in answer.text


# The way back


async def test_the_way_back_is_counted_by_a_post(site):
    """A GET shows a page that posts to itself and counts nothing; the POST counts, and redirects to the checkout."""
    path = site.left()
    for method in ("HEAD", "GET"):
        answer = await site.client.request(method, path)
        assert answer.status_code == 200
    assert "Continue" in said(answer)
    assert "<script>document.forms[0].submit()</script>" in answer.text
    assert site.counted("recovery_clicks_total", shop=SHOP, step="reminder-1") is None
    answer = await site.client.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://shop.example/checkouts/1")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert site.counted("recovery_clicks_total", shop=SHOP, step="reminder-1") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_the_way_back_ends(site, method):
    """After its time the link redirects nowhere, and the page names the shop."""
    path = site.left()
    site.feedback.clock.time = NOON + timedelta(days=30) - minutes(1)
    assert (await site.client.request(method, path)).status_code in (200, 303)
    site.feedback.clock.time = NOON + timedelta(days=30)
    answer = await site.client.request(method, path)
    if method != "HEAD":
        assert SHOP in said(answer, 410)
    assert answer.status_code == 410


async def test_a_purged_checkout_is_led_to_no_more(site):
    """When the checkout is deleted, or has no URL, the return link has expired."""
    path = site.left(checkout_url=None)
    said(await site.client.post(path), 410)
    site.states.clear()
    said(await site.client.post(path), 410)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_is_led_elsewhere(site, method):
    """A forged link redirects nowhere; nor does an unsubscribe link."""
    site.left()
    for path in ("/r/https:%2F%2Fevil.example", "/r/x", site.unsubscribe.replace("/u/", "/r/")):
        answer = await site.client.request(method, path, params={"url": "https://evil.example"})
        assert "location" not in answer.headers
        if "%2F" not in path:  # that is no path of ours at all
            said(answer, 404)


@pytest.mark.parametrize("fault", [Unavailable("no primary"), Damaged("facts")])
async def test_the_way_back_without_the_database(site, fault):
    """When the checkout cannot be read, the page says to try again."""
    path = site.left()
    site.fault = fault
    said(await site.client.post(path), 503)


async def test_a_policy_lets_the_way_back_lead_anywhere(site):
    """Only the return page has a script, and a form that may redirect to another site."""
    back = (await site.client.get(site.left())).headers["content-security-policy"]
    here = (await site.client.get(site.unsubscribe)).headers["content-security-policy"]
    assert "script-src 'sha256-" in back
    assert "form-action" not in back
    assert "script-src" not in here
    assert "form-action 'self'" in here
