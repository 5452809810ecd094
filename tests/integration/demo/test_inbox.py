"""The demo's inbox: what goes in by real SMTP is read on its pages, over real HTTP."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from recovery.demo.inbox import Inbox, listening
from recovery.demo.pages import pages
from recovery.http.server import listen, serve


class Ticking:
    """A clock that is a second on each time it is read."""

    def __init__(self):
        self.at = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)

    def now(self):
        self.at += timedelta(seconds=1)
        return self.at


def a_mail(subject="Your lamp", name="Zoë <b>Quist</b>", html="<p>An <b>Arc</b> lamp, 12 €</p>"):
    mail = EmailMessage()
    mail["From"] = "Shop <shop@shop.example>"
    mail["To"] = f'"{name}" <zoe@mail.example>'
    mail["Subject"] = subject
    mail["Message-ID"] = "<1@shop.example>"
    mail.set_content("An Arc lamp, 12 €\n.\nA line with a dot alone came before this one.")
    mail.add_alternative(html, subtype="html")
    return mail


@asynccontextmanager
async def open_inbox():
    """An inbox that takes mail by SMTP, and a client for its pages."""
    inbox = Inbox()
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with listening(inbox, Ticking()) as smtp_port:
        serving = asyncio.create_task(
            serve(pages(inbox), listen("127.0.0.1", 0), stop=stop, on_listening=port.set_result)
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await port}", trust_env=False) as client:
            yield inbox, smtp_port, client
        stop.set()
        await serving


async def deliver(port, *mails):
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="localhost", use_tls=False) as smtp:
        for mail in mails:
            await smtp.send_message(mail)


async def test_mails_are_kept_in_order_with_the_time_they_were_taken():
    """Each mail is kept once, with its recipient and the clock's time, and its waiters are woken."""
    async with open_inbox() as (inbox, port, _):
        told = []
        inbox.on_mail = told.append
        waiting = asyncio.create_task(inbox.until(lambda: len(inbox.mails) == 2))
        await deliver(port, a_mail("first"), a_mail("second"))
        await waiting
        assert [mail.subject for mail in inbox.mails] == ["first", "second"]
        assert {mail.recipient for mail in inbox.mails} == {"zoe@mail.example"}
        assert inbox.mails[0].message_id == "<1@shop.example>"
        assert inbox.mails[0].at < inbox.mails[1].at
        assert told == inbox.mails


async def test_the_list_tells_to_whom_and_of_what_the_newest_first():
    """The page shows each mail's addressee and subject as text, whatever they contain."""
    async with open_inbox() as (_, port, client):
        await deliver(port, a_mail("older"), a_mail("newer & <i>better</i>"))
        page = (await client.get("/")).text
        assert "2 mails" in page
        assert "Zoë &lt;b&gt;Quist&lt;/b&gt;" in page
        assert page.index("newer &amp; &lt;i&gt;better&lt;/i&gt;") < page.index("older")


async def test_an_empty_inbox_has_a_page():
    """Before the first mail the page says that there is none."""
    async with open_inbox() as (_, _, client):
        assert "0 mails" in (await client.get("/")).text


async def test_a_mail_is_read_as_html_as_text_and_as_it_came():
    """All three forms are the mail's own, and its page frames the first of them."""
    async with open_inbox() as (_, port, client):
        await deliver(port, a_mail())
        page = await client.get("/mails/1")
        assert '<iframe name="content" title="The mail" sandbox src="/mails/1/html">' in page.text
        assert (await client.get("/mails/1/html")).text.strip() == "<p>An <b>Arc</b> lamp, 12 €</p>"
        assert "\n.\nA line with a dot alone" in (await client.get("/mails/1/text")).text.replace("\r\n", "\n")
        source = await client.get("/mails/1/source")
        assert "Content-Type: multipart/alternative" in source.text
        assert source.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("part", ["html", "text", "source"])
async def test_a_mail_can_run_and_load_nothing(part):
    """Whatever is in a mail is served in a sandbox without scripts, without an origin, and without the network."""
    async with open_inbox() as (_, port, client):
        await deliver(port, a_mail(html="<script>alert(1)</script><img src='https://tracker.example/'>"))
        headers = (await client.get(f"/mails/1/{part}")).headers
        policy = [directive.strip() for directive in headers["content-security-policy"].split(";")]
        assert {"sandbox", "default-src 'none'", "img-src data:"} <= set(policy)
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/mails/0", "/mails/2", "/mails/-1/html", "/mails/2/source"])
async def test_a_mail_that_is_not_there_is_not_found(path):
    """Only the numbers on the list are mails."""
    async with open_inbox() as (_, port, client):
        await deliver(port, a_mail())
        assert (await client.get(path)).status_code == 404


async def test_web_pages_elsewhere_cannot_read_the_inbox():
    """A name that was made to point at this machine is refused."""
    async with open_inbox() as (_, _, client):
        assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403
