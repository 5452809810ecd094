"""Mails in the console: every message in every language, and one as it looks on a phone, a desktop, and in the dark."""

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from recovery.console.mails import in_scheme
from tests.support.builders import report
from tests.support.console_forms import post, token_of
from tests.support.console_world import LAMPS_ONLY, OPERATOR, READER, console_world, tab
from tests.support.seen_pages import look

LIST = "/console/mails"
MAIL = f"{LIST}/%2A/reminder-1/en"
FRAME = "/console/mail-frames/%2A/reminder-1/en"


def _with_folder(mongodb, database, relay, folder, **changes):
    """A world in which one shop has templates of its own."""
    lamps = {"mail": {"sender": "Lamps <hello@lamps.example>", "templates": str(folder)}, **changes}
    return console_world(mongodb, database, relay, shops={"lamps.example": lamps})


async def _reported(world, shop="shop.example"):
    now = datetime.now(UTC)
    customer = {"email": "ada@example.com", "name": "Ada"}
    item = {"name": "A very green teapot", "price": "12.50"}
    await world.recovery.checkout(
        report("1042", shop=shop, customer=customer, items=[item], touched_at=now - timedelta(minutes=5))
    )


async def test_the_list_has_every_message_in_every_language(world):
    async with world.client(READER) as client:
        text = (await client.get(LIST)).text
    for step in ("reminder-1", "reminder-2", "reminder-3", "confirmation"):
        for locale in ("en", "de", "ja", "ar", "he"):
            assert f'href="{LIST}/%2A/{step}/{locale}"' in text
    assert "You left Arc floor lamp behind" in text
    assert "30 min after the checkout was left" in text


async def test_a_shop_with_templates_of_its_own_is_chosen(mongodb, database, relay, tmp_path):
    (tmp_path / "words.fr.toml").write_text('language = "fr"\n[reminder-1]\nsubject = "Votre panier"\n')
    async with _with_folder(mongodb, database, relay, tmp_path) as world, world.client(OPERATOR) as client:
        common = (await client.get(LIST)).text
        own = (await client.get(LIST, params={"shop": "lamps.example"})).text
        page = (await client.get(f"{LIST}/lamps.example/reminder-1/fr")).text
    assert '<option value="lamps.example">' in common
    assert "French" not in common
    assert "Votre panier" in own
    assert "Lamps &lt;hello@lamps.example&gt;" in page
    assert "Votre panier" in page


async def test_a_key_of_one_shop_sees_the_mails_of_that_shop_alone(world):
    await _reported(world)
    async with world.client(LAMPS_ONLY) as client:
        assert "/lamps.example/reminder-1/en" in (await client.get(LIST)).text
        assert (await client.get(f"{LIST}/lamps.example/reminder-1/en")).status_code == 200
        for path in (f"{LIST}?shop=shop.example", f"{LIST}?shop=*", MAIL, FRAME, MAIL.replace("%2A", "shop.example")):
            assert (await client.get(path)).status_code == 404
        other = await client.get(
            f"{LIST}/lamps.example/reminder-1/en", params={"shop": "shop.example", "order": "1042"}
        )
    assert "lamps.example has no checkout 1042" in other.text
    assert "teapot" not in other.text


@pytest.mark.parametrize("path", [f"{LIST}/%2A/reminder-9/en", f"{LIST}/%2A/reminder-1/fr", f"{LIST}/%2A/reminder-1/"])
async def test_a_mail_that_does_not_exist_is_a_page_that_says_so(world, path):
    async with world.client(OPERATOR) as client:
        answer = await client.get(path)
    assert answer.status_code == 404


async def test_the_page_tells_what_an_inbox_shows_the_size_and_the_text(world):
    async with world.client(READER) as client:
        text = (await client.get(MAIL)).text
    assert "You left Arc floor lamp behind" in text
    assert '<small dir="auto">Your checkout is just as you left it.</small>' in text
    assert "kB of HTML with the sample; Gmail clips a mail after 102 kB" in text
    assert "Globe table lamp" in text.partition("<pre")[2]
    assert ">nothing</span>" in text


async def test_it_is_shown_with_a_real_checkout(world):
    await _reported(world)
    order = {"order": "1042", "shop": "shop.example"}
    async with world.client(OPERATOR) as client:
        page = (await client.get(MAIL, params=order)).text
        framed = (await client.get(FRAME, params=order)).text
        of_shop = (await client.get(MAIL.replace("%2A", "shop.example"), params={"order": "1042"})).text
        without_shop = (await client.get(MAIL, params={"order": "1042"})).text
        unknown = await client.get(MAIL, params=order | {"order": "7"})
    for each in (page, framed, of_shop):
        assert "A very green teapot" in each
    assert "You left A very green teapot behind" in page
    assert "Say which shop" in without_shop
    assert unknown.status_code == 200
    assert "shop.example has no checkout 7" in unknown.text
    assert "You left Arc floor lamp behind" in unknown.text


async def test_a_reader_sees_a_shortened_address_in_it(mongodb, database, relay, tmp_path):
    (tmp_path / "words.toml").write_text('[reminder-1]\nlead = "To {{ customer.email }}"\n')
    async with _with_folder(mongodb, database, relay, tmp_path) as world:
        await _reported(world, "lamps.example")
        path, order = "/console/mail-frames/lamps.example/reminder-1/en", {"order": "1042"}
        async with world.client(READER) as client:
            shortened = (await client.get(path, params=order)).text
        async with world.client(OPERATOR) as client:
            whole = (await client.get(path, params=order)).text
    assert "ad…@example.com" in unescape(shortened)
    assert "ada@example.com" not in shortened
    assert "ada@example.com" in whole


async def test_a_fault_of_the_templates_is_told_with_its_line(mongodb, database, relay, tmp_path):
    async with _with_folder(mongodb, database, relay, tmp_path) as world, world.client(OPERATOR) as client:
        (tmp_path / "words.toml").write_text('[reminder-1]\nlead = "{{ custommer.name }}"\n')
        text = (await client.get(f"{LIST}/lamps.example/reminder-1/en")).text
        (tmp_path / "words.toml").write_text("no TOML")
        broken = (await client.get(f"{LIST}/lamps.example/reminder-1/en")).text
    assert "words.toml, line 2" in text
    assert "custommer" in text
    assert "not valid TOML" in broken
    assert "<iframe" in broken


async def test_the_frame_is_on_its_own(world):
    async with world.client(READER) as client:
        answer = await client.get(FRAME)
        as_text = await client.get(FRAME, params={"as": "text"})
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert "Arc floor lamp" in answer.text
    assert "<h1" not in as_text.text
    assert "Arc floor lamp" in as_text.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("system", ["light", "dark"])
async def test_a_mail_is_light_or_dark_whatever_the_system_is(browser, world, scheme, system):
    async with tab(browser, world, javascript=False, scheme=system) as opened:
        await opened.sign_in(READER, MAIL)
        await opened.page.get_by_role("link", name=scheme.title()).click()
        await opened.page.get_by_role("link", name="Desktop").click()
        frame = opened.page.locator("iframe")
        assert (await frame.bounding_box())["width"] == 800
        await opened.page.frame_locator("iframe").get_by_role("heading").wait_for()
        shown = opened.page.frame_locator("iframe").locator("body")
        colour = await shown.evaluate("body => getComputedStyle(body).backgroundColor")
    assert colour == {"light": "rgb(244, 241, 235)", "dark": "rgb(19, 18, 17)"}[scheme]


def test_in_a_scheme_the_rules_of_the_other_do_not_hold():
    rules = "@media (prefers-color-scheme:dark) {a{}} @media screen and ( prefers-color-scheme: light ) {b{}}"
    assert in_scheme(rules, "dark") == "@media (min-width: 0) {a{}} @media screen and not all {b{}}"


async def test_from_the_list_to_a_mail_and_its_other_language(browser, world):
    async with tab(browser, world, javascript=False) as opened:
        await opened.sign_in(READER, LIST)
        card = opened.page.locator("section", has=opened.page.get_by_role("heading", name="reminder-2"))
        await card.get_by_role("link", name="German").click()
        await opened.page.get_by_role("heading", name="reminder-2 in German").wait_for()
        await opened.page.get_by_role("link", name="Japanese").click()
        await opened.page.get_by_role("heading", name="reminder-2 in Japanese").wait_for()
        await opened.page.get_by_label("Order id").fill("7")
        await opened.page.get_by_role("button", name="Show").click()
        assert "Say which shop" in await opened.page.get_by_role("alert").inner_text()


async def test_the_list_fits_and_can_be_read_by_all(browser, mongodb, database, relay):
    schedule = {"steps": [{"name": "reminder-1", "delay": "2h"}]}  # each mail is a frame, which takes its time
    async with console_world(mongodb, database, relay, schedule=schedule) as world:
        await look(browser, world, READER, LIST, "Mails")


async def test_a_mail_fits_and_can_be_read_by_all(browser, mongodb, database, relay):
    """With the form of test mails, which only operators see."""
    async with console_world(mongodb, database, relay, **TESTERS) as world:
        await look(browser, world, OPERATOR, f"{MAIL}?width=desktop", "reminder-1 in English")


TESTERS = {"mail": {"sender": "Shop <hello@shop.example>", "test_recipients": ["tess@example.com", "@team.example"]}}


async def test_a_test_mail_goes_to_a_test_recipient_after_a_yes(mongodb, database, relay):
    async with console_world(mongodb, database, relay, **TESTERS) as world, world.client(OPERATOR) as client:
        token = await token_of(client, MAIL, "/test")
        asked = await post(client, f"{MAIL}/test", token, {"to": "ann@team.example"})
        assert asked.question == "Send 1 test mail, reminder-1 in English, to ann@team.example?"
        assert not relay.mails
        done = await post(client, f"{MAIL}/test", asked.yes[0], asked.yes[1])
        assert done.said.startswith("Sent reminder-1 in English to ann@team.example. The relay replied: 250")
    (mail,) = relay.mails
    assert mail.recipient == "ann@team.example"
    assert b"Subject: [test] You left Arc floor lamp behind" in mail.content


@pytest.mark.parametrize(
    ("to", "why"),
    [("eve@example.com", "is not among mail.test_recipients"), ("", "e-mail"), ("team.example", "e-mail")],
)
async def test_nobody_else_gets_a_test_mail(mongodb, database, relay, to, why):
    async with console_world(mongodb, database, relay, **TESTERS) as world, world.client(OPERATOR) as client:
        token = await token_of(client, MAIL, "/test")
        for sure in ({}, {"sure": "yes"}):
            answer = await post(client, f"{MAIL}/test", token, {"to": to, **sure})
            assert answer.status == 422
            assert why in answer.text
    assert not relay.mails


async def test_what_the_relay_says_to_a_test_mail_that_it_refuses_is_told(mongodb, database, relay):
    relay.answer("RCPT", "550 5.7.1 not here")
    async with console_world(mongodb, database, relay, **TESTERS) as world, world.client(OPERATOR) as client:
        token = await token_of(client, MAIL, "/test")
        answer = await post(client, f"{MAIL}/test", token, {"to": "tess@example.com", "sure": "yes"})
    assert answer.status == 409
    assert "550 5.7.1 not here" in answer.text


async def test_a_key_of_one_shop_sends_no_test_of_another(mongodb, database, relay):
    async with console_world(mongodb, database, relay, **TESTERS) as world, world.client(LAMPS_ONLY) as client:
        own = f"{LIST}/lamps.example/reminder-1/en"
        token = await token_of(client, own, "/test")
        for path in (MAIL, MAIL.replace("%2A", "shop.example")):
            answer = await post(client, f"{path}/test", token, {"to": "tess@example.com", "sure": "yes"})
            assert answer.status == 404
        assert not relay.mails
        assert (await post(client, f"{own}/test", token, {"to": "tess@example.com", "sure": "yes"})).said
    assert len(relay.mails) == 1


async def test_without_test_recipients_the_page_says_what_to_do_and_a_reader_sees_no_form(world):
    async with world.client(OPERATOR) as client:
        assert "mail.test_recipients" in (await client.get(MAIL)).text
    async with world.client(READER) as client:
        assert "Send a test" not in (await client.get(MAIL)).text


async def test_a_test_mail_is_sent_in_a_browser_without_a_script(browser, mongodb, database, relay):
    async with (
        console_world(mongodb, database, relay, **TESTERS) as world,
        tab(browser, world, javascript=False) as opened,
    ):
        await opened.sign_in(OPERATOR, MAIL)
        await opened.page.get_by_role("button", name="Send a test").click()
        await opened.page.get_by_role("button", name="Send it").click()
        assert "The relay replied" in await opened.page.get_by_role("status").inner_text()
    assert len(relay.mails) == 1
