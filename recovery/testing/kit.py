"""The kit for tests of a service that reports: Recovery in memory, with a clock that the test moves."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from hmac import new as hmac
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from recovery.client import Recovery
from recovery.client.driving import run
from recovery.client.many import Item, ReportResult
from recovery.domain.state import Past
from recovery.mail.links import BACK
from recovery.testing.clock import BEGINNING, VirtualClock
from recovery.testing.configuration import BASE_URL, SECRET, prepared
from recovery.testing.documents.client import AsyncMemoryClient, MemoryClient
from recovery.testing.documents.store import Server
from recovery.testing.http import Answer, ask
from recovery.testing.logs import log_to_logging
from recovery.testing.mails import Mail
from recovery.testing.parts import DATABASE, MemoryAgenda, Parts
from recovery.testing.webhooks import Webhook

if TYPE_CHECKING:
    from recovery.testing.synchronous import SyncRecoveryKit


class RecoveryKit(Recovery):
    """Recovery in memory, for tests: give it to your service where it takes a `Recovery`.

    Behind it are the real schedule, engine, templates and mails; database, relay and clock are in memory. The clock
    stands still until `advance` moves it, so that no test waits.

        async def test_reminders_stop(recovery):
            await begin_checkout(recovery, cart)
            await recovery.advance(minutes=31)
            [mail] = recovery.mails
            assert mail.to == "ada@example.com"

    `settings` are sections as in the configuration file: `RecoveryKit(schedule={"min_gap": "1h"})`. `config` is such a
    file, for the schedule, mails, templates and shops of a real installation; of its secrets, its database and its
    relay nothing is read, and nothing is read from the environment. `now` is the time at which the clock stands at
    first. Raises `SettingsError`.
    """

    def __init__(
        self,
        *,
        config: str | PathLike[str] | None = None,
        now: datetime = BEGINNING,
        **settings: Mapping[str, Any],
    ) -> None:
        log_to_logging()
        self._clock = VirtualClock(now)
        self._server = Server(self._clock.now)
        self._agenda = MemoryAgenda(self._server)
        database = AsyncMemoryClient(self._server)[DATABASE]
        self._parts = Parts(prepared(config, settings), database, self._agenda, self._clock)
        super().__init__(MemoryClient(self._server), database=DATABASE, suppression_keys=[SECRET])

    async def report(
        self, reports: Iterable[Item] | AsyncIterable[Item], *, timeout: float | None = None
    ) -> AsyncGenerator[ReportResult, None]:
        """Store many checkouts and orders; yield the result of each: see `Recovery.report`."""
        if not isinstance(reports, AsyncIterable):
            async with aclosing(super().report(reports, timeout=timeout)) as results:
                async for result in results:
                    yield result
            return
        async for report in reports:  # the client of a synchronous database cannot read it
            async for result in super().report([report], timeout=timeout):
                yield result

    @property
    def now(self) -> datetime:
        """The time of the clock."""
        return self._clock.now()

    @property
    def mails(self) -> list[Mail]:
        """The mails that the relay has taken, in order."""
        return list(self._parts.relay.mails)

    async def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0, to: datetime | None = None
    ) -> list[Mail]:
        """Let time pass, by this much or until `to`; return the mails that went out in it, in order.

        All that is due on the way is done at its time. Without arguments, only what is due now. Raises `ValueError` if
        time would go back.
        """
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        until = (to if to is not None else self.now) + by
        if until < self.now:
            raise ValueError(f"the clock stands at {self.now} and cannot go back to {until}")
        before = len(self._parts.relay.mails)
        await self._parts.daemon.run_until(until)
        self._agenda.purge(self.now)
        self._parts.check()
        return self._parts.relay.mails[before:]

    def why(self, shop: str, order_id: str) -> tuple[Past, ...]:
        """Return the history of a checkout, oldest first: each decision with its time and reason.

        Raises `LookupError` for a checkout that was not reported, and as `get` does.
        """
        state = run(self.get(shop, order_id))
        if state is None:
            raise LookupError(f"no checkout {order_id} of the shop {shop} was reported")
        return state.history

    def refuse_mail(
        self,
        reply: str = "550 5.1.1 no such user",
        *,
        to: str | None = None,
        step: str | None = None,
        times: int | None = None,
    ) -> None:
        """Have the relay refuse mails with this SMTP reply until `accept_mail`, or so many `times`.

        Only those to the address `to`, and only those of `step`, where given. A code of 4xx is temporary, 5xx is
        permanent, and the words count as they do in production. Raises `ValueError` for a text that refuses nothing.
        """
        self._parts.relay.refuse(reply, to=to, step=step, times=times)

    def accept_mail(self) -> None:
        """Have the relay take every mail again."""
        self._parts.relay.accept()

    @contextmanager
    def relay_gone(self) -> Iterator[None]:
        """Return a context manager within which no relay can be reached."""
        self._parts.relay.gone = True
        try:
            yield
        finally:
            self._parts.relay.gone = False

    @contextmanager
    def database_unavailable(self) -> Iterator[None]:
        """Return a context manager within which the database answers nobody: calls raise `Unavailable`."""
        self._server.unavailable = True
        try:
            yield
        finally:
            self._server.unavailable = False

    def pause_sending(self, shop: str | None = None) -> None:
        """Pause sending, as an operator does: no mail of the shop, or of any, goes out until `resume_sending`."""
        run(self._parts.pauses.pause(shop, "the test", "", self.now))

    def resume_sending(self, shop: str | None = None) -> None:
        """Resume sending for the shop that was paused, or for all; what is due goes out with the next `advance`."""
        run(self._parts.pauses.resume(shop))

    def crash_at_next_mail(self, where: Literal["before content", "after content"] = "before content") -> None:
        """Have the daemon die at the next mail and start again at once; the claim it leaves lasts until its lease ends.

        After the content, the relay has the mail, and only the schedule's `on_ambiguous` says what follows.
        """
        self._parts.relay.crashes = where

    async def bounce(self, mail: Mail, kind: Literal["hard", "soft", "complaint"] = "hard") -> Answer:
        """Report that a mail came back, or that its recipient complained, as a mail provider does over HTTP."""
        event = {"kind": kind, "email": mail.to, "shop": mail.shop, "at": self.now.isoformat()}
        event["id"] = str(mail.message["Message-ID"])
        body = json.dumps(event).encode()
        time = str(int(self.now.timestamp()))
        digest = hmac(SECRET.encode(), f"{time}.".encode() + body, sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Recovery-Signature": f"t={time},v1={digest}"}
        return await self._expected(await self.request("POST", "/bounces", body, headers))

    async def unsubscribe(self, mail: Mail) -> Answer:
        """Unsubscribe by a mail's link, as a mailbox provider's button does (RFC 8058). Raises `LookupError`."""
        if mail.unsubscribe_link is None:
            raise LookupError(f"the mail {mail.step} has no link to unsubscribe by")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        path = _path(mail.unsubscribe_link)
        return await self._expected(await self.request("POST", path, b"List-Unsubscribe=One-Click", headers))

    async def click(self, mail: Mail) -> str:
        """Follow a mail's link back to the checkout; return the address that the customer arrives at.

        It is the shop's own link, unless the setting `links.count_clicks` leads it through Recovery. Raises
        `LookupError` for a mail without one.
        """
        ours = f"{self._parts.base_url}{BACK}"
        state = await self.get(mail.shop, mail.order_id)
        theirs = state.facts.checkout_url if state is not None else None
        for link in mail.links:
            if link.startswith(ours):
                return (await self._expected(await self.request("POST", _path(link)))).headers["location"]
            if theirs is not None and link.startswith(theirs):
                return link
        raise LookupError(f"the mail {mail.step} has no link back to the checkout")

    async def deliver(self, webhook: Webhook) -> Answer:
        """Deliver a webhook of a shop platform, such as one of `recovery.testing.webhooks`; return the response."""
        return await self.request("POST", webhook.path, webhook.body, webhook.headers)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request to the HTTP API; return the response. No API key is needed."""
        return await ask(self.app, method, path, body, headers)

    @cached_property
    def app(self) -> ASGIApp:
        """The HTTP API as an ASGI application, for a test client of your own. Its host is localhost."""
        return self._parts.app(self)

    @cached_property
    def sync(self) -> "SyncRecoveryKit":
        """This kit with synchronous methods, for services that take a `SyncRecovery`. Not for use in a coroutine."""
        from recovery.testing.synchronous import SyncRecoveryKit

        return SyncRecoveryKit.around(self)

    @staticmethod
    async def _expected(answer: Answer) -> Answer:
        if answer.status >= 400:
            raise AssertionError(f"Recovery answered {answer.status}: {answer.body.decode(errors='replace')[:500]}")
        return answer


def _path(link: str) -> str:
    """Return the path of a link, with its query, below the public URL of a kit."""
    parts = urlsplit(link)
    path = parts.path.removeprefix(urlsplit(BASE_URL).path)
    return f"{path}?{parts.query}" if parts.query else path
