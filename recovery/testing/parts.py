"""The parts of a kit, put together as those of a daemon are."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from starlette.types import ASGIApp

from recovery.app.factories import feedback_of, limits_of, suppressions_of, webhooks_of
from recovery.domain.state import Status
from recovery.engine.engine import Engine
from recovery.errors import Unavailable
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS, SHADOWS
from recovery.mongo.pauses import Pauses
from recovery.mongo.shadows import MongoShadows
from recovery.testing.clock import VirtualClock
from recovery.testing.configuration import Prepared
from recovery.testing.daemon import Agenda, VirtualDaemon
from recovery.testing.documents.store import Server
from recovery.testing.documents.values import Document
from recovery.testing.relay import MemoryRelay

DATABASE = "recovery"


class Parts:
    """The parts of a kit: the real stores, engine and composers, on a server, a relay and a clock in memory."""

    def __init__(self, made: Prepared, database: Any, agenda: Agenda, clock: VirtualClock) -> None:
        self._settings = made.settings
        self._schedules = made.schedules
        self._database = database
        self._clock = clock
        self._observer = _Observer()
        self.pauses = Pauses(database)
        self.base_url = made.settings.links.base_url or ""
        self.relay = MemoryRelay(
            lambda checkout, step: made.composers.of(checkout.id).compose(checkout, step, clock.now()), clock
        )
        self.daemon = VirtualDaemon(self._engine, agenda, clock, self.relay, self.pauses.names)

    def app(self, ingestion: Any) -> ASGIApp:
        """Return the HTTP API of a kit."""
        from prometheus_client import CollectorRegistry

        from recovery.http.app import create_app
        from recovery.http.inbound.key_sets import KeySets
        from recovery.testing.webhooks import saleor

        async def ready() -> Mapping[str, str | None]:
            return {"mongodb": None, "relay": None}

        return create_app(
            ingestion,
            feedback_of(self._settings, self._database, self._clock),
            api_keys=[],
            webhooks=webhooks_of(self._settings),
            key_sets=KeySets(lambda _: saleor.key_set()),
            observer=self._observer,
            readiness=ready,
            registry=CollectorRegistry(),
            max_body=self._settings.http.max_body,
        )

    def check(self) -> None:
        """Raise the first error that the engine did not expect, if there was one."""
        if self._observer.errors:
            raise self._observer.errors.pop(0)

    def _engine(self, name: str) -> Engine:
        # Nothing takes time: a refusal is believed, and a lease looked after, with the next turn of the event loop.
        limits = replace(limits_of(self._settings), refusals_held_for=0.0, renew_every=0.0, ask_relay_every=1e6)
        return Engine(
            checkouts=MongoCheckouts(self._database),
            shadows=MongoShadows(self._database),
            addresses=MongoAddresses(self._database, suppressions_of(self._settings, self._database)),
            mailer=self.relay,
            clock=self._clock,
            observer=self._observer,
            schedules=self._schedules,
            owner=name,
            limits=limits,
            jitter=lambda: 0.0,
            monotonic=self._clock.monotonic,
        )


class MemoryAgenda:
    """The port `Agenda` in memory: confirmations first, then in the order of the times."""

    def __init__(self, server: Server) -> None:
        self._checkouts = server.store(DATABASE, CHECKOUTS)
        self._shadows = server.store(DATABASE, SHADOWS)
        self._server = server

    async def due(self, now: datetime) -> Mapping[str, Hashable]:
        """Return the marks of due checkouts, by id. Their shadows expire now."""
        found = [each for each in self._documents() if (at := each["next_at"]) is not None and at <= now]
        found.sort(key=lambda each: (each["status"] != Status.ORDERED, each["next_at"], each["_id"]))
        if found:
            self._shadows.delete({"_id": {"$in": [each["_id"] for each in found]}}, now, many=True)
        return {each["_id"]: mark(each) for each in found}

    async def next_after(self, now: datetime) -> datetime | None:
        """Return the next time at which a checkout is due."""
        times = [each["next_at"] for each in self._documents() if each["next_at"] is not None]
        return min((at for at in times if at > now), default=None)

    def purge(self, now: datetime) -> None:
        """Delete what TTL would have deleted by now."""
        for store, field in ((self._checkouts, "purge_at"), (self._shadows, "expire_at")):
            if gone := [id_ for id_, each in store.documents.items() if (at := each.get(field)) and at <= now]:
                store.delete({"_id": {"$in": gone}}, now, many=True)

    def _documents(self) -> Iterable[Document]:
        if self._server.unavailable:
            raise Unavailable("the database is unavailable, as the test ordered")
        return self._checkouts.documents.values()


def mark(document: Mapping[str, Any]) -> Hashable:
    """Return the fields of a stored checkout of which every write of the engine changes some."""
    messages = tuple((name, each["state"], each.get("attempts")) for name, each in document.get("messages", {}).items())
    token = document.get("claim", {}).get("token")
    return document["status"], document["revision"], document["next_at"], token, messages


class _Observer:
    """An observer that keeps unexpected errors alone."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def failed(self, _: str, error: Exception) -> None:
        """Keep an error that the engine did not expect."""
        self.errors.append(error)

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_: object, **__: object) -> None:
    pass
