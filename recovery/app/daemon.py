"""The composition root: builds the daemon from the settings, runs it, and stops it in order."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry

from recovery.app.channels import ChannelRecords
from recovery.app.factories import (
    CannotStart,
    api_keys_of,
    database_of,
    results_of,
)
from recovery.app.initialise import ensure
from recovery.app.lanes import LaneFactory
from recovery.app.shops import Shop, shops_of
from recovery.daemon.activity import ActivityRecords
from recovery.daemon.expirer import Expirer
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.look_ahead import LookAhead
from recovery.daemon.metrics import Telemetry
from recovery.daemon.readiness import Readiness
from recovery.daemon.receivers import ReceiverRecords
from recovery.daemon.results import ResultsCount
from recovery.daemon.share import Ability, Share
from recovery.daemon.supervisor import Supervisor
from recovery.daemon.template_reload import reload
from recovery.daemon.watcher import Watcher
from recovery.daemon.words import WordsWatch
from recovery.domain.per_shop import PerShop
from recovery.engine.pauses import KnownPauses
from recovery.http.channels import ChannelCounts
from recovery.mail.smtp.mailer import SmtpMailer
from recovery.mail.smtp.pool import RelayConfig
from recovery.mongo import collections, preflight
from recovery.mongo.activity import Activity
from recovery.mongo.channels import Channels
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
from recovery.mongo.daemons import Daemons
from recovery.mongo.feed import GONE, REPORTED, Feed
from recovery.mongo.pauses import Pauses
from recovery.mongo.positions import Positions
from recovery.mongo.receivers import MongoReceivers
from recovery.mongo.shadows import MongoShadows
from recovery.mongo.words import EditedWords
from recovery.settings import Settings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from recovery.http.app import Application
    from recovery.http.security import Guard

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ready:
    """A daemon that does its work; it serves HTTP on `port`, or not at all where that is None."""

    port: int | None


async def run(settings: Settings, *, stop: asyncio.Event, on_ready: Callable[[Ready], None] = lambda _: None) -> None:
    """Run the daemon, with the API beside it, until `stop` is set; then finish the messages with the relay and return.

    Raises `CannotStart`, `TemplateError` or `CannotListen` before any work is done; later only errors of our own.
    """
    shops = shops_of(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(database_of(settings))
        await _prepare(database)
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        composers = shops.map(lambda shop: shop.composer)
        templates = composers.map(lambda composer: composer.templates)
        words = WordsWatch(EditedWords(database), templates.each(), templates.of_shop)
        await words.begin()
        mailers = {relay: SmtpMailer(composers, relay, clock) for relay in shops.map(lambda shop: shop.relay).each()}
        for mailer in mailers.values():
            stack.push_async_callback(mailer.aclose)
        await _Daemon(settings, database, clock, shops, mailers, words).run(stop, on_ready)


async def _prepare(database: Database) -> None:
    if fault := await preflight.fault(database):
        raise CannotStart(str(fault))
    try:
        await ensure(database)
    except collections.NotAllowed as exc:
        raise CannotStart(str(exc)) from exc


class _Daemon:
    """The parts of one daemon, connected to each other, and the order in which they start and stop."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: MongoClock,
        shops: PerShop[Shop],
        mailers: Mapping[RelayConfig, SmtpMailer],
        words: WordsWatch,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._shops = shops
        self._words = words
        self._name = settings.daemon.name or socket.gethostname()
        # A name may be given twice by mistake; a heartbeat may not.
        self._share = Share(f"{self._name}#{token_hex(4)}")
        self._registry = CollectorRegistry()
        self._telemetry = telemetry = Telemetry(self._registry)
        self._expirer = Expirer(MongoShadows(database), self._share, clock)
        self._pauses = KnownPauses(begun=telemetry.paused, ended=self._resumed)
        factory = LaneFactory(settings, database, clock, shops, self._share, telemetry, self._expirer, self._pauses)
        self._lanes = factory.lanes(mailers)
        lanes = self._lanes
        self._look_ahead = LookAhead(MongoShadows(database), lanes, self._share, clock)
        telemetry.watch(
            in_flight=lambda: lanes.in_flight,
            breaker_open=lambda: lanes.relay_fault is not None,
            paced_rate=lambda: lanes.paced_rate,
            warmup_limit=lambda: lanes.warmup_limit,
            warmup_halted=lambda: lanes.warmup_halted,
            pauses=lambda: self._pauses.count,
        )
        telemetry.on_returned = lanes.returned
        self._activity = ActivityRecords(Activity(database), telemetry.activity, clock, self._share.daemon)
        self._channels = ChannelRecords(Channels(database), ChannelCounts(settings.shops))
        self._records = ReceiverRecords(
            MongoReceivers(database),
            lanes.all,
            clock,
            telemetry.receiver_rates,
            daemons=lambda: len(self._share.daemons),
        )
        self._results = ResultsCount(
            results_of(settings, database), self._share, clock, lambda: lanes.is_behind, every=settings.results.every
        )
        self._feeds = {stream.name: Feed(database, stream) for stream in (REPORTED, GONE)}
        self._heartbeat = self._make_heartbeat()
        self._readiness = self._make_readiness()
        self._closing = asyncio.Event()
        """Set when the HTTP server is to stop listening."""

    async def run(self, stop: asyncio.Event, on_ready: Callable[[Ready], None]) -> None:
        """Open the port, start all parts, wait for `stop`, and stop them in order."""
        with self._listener() as listener:
            async with Supervisor() as root:
                await self._start(root)
                self._start_http(root, listener, on_ready)
                await root.wait(stop)
                await self._stop(root)

    def _listener(self) -> AbstractContextManager[socket.socket | None]:
        http = self._settings.http
        if not http.enabled:
            return nullcontext()
        from recovery.http.server import listen  # of several daemons on a machine, one serves HTTP

        return listen(http.host, http.port)

    def _make_heartbeat(self) -> Heartbeat:
        daemon, lanes = self._settings.daemon, self._lanes

        def ability() -> Ability:
            follows = not any(feed.fault for feed in self._feeds.values())
            return lanes.ability(expires=daemon.expirer, follows=follows)

        return Heartbeat(
            Daemons(self._database),
            self._share,
            lanes.behind,
            self._clock,
            interval=daemon.heartbeat,
            expiry=daemon.heartbeat_expiry,
            ability=ability,
            on_outage=lanes.outage,
            pauses=Pauses(self._database),
            on_paused=self._pauses.hear,
        )

    def _resumed(self, paused: str) -> None:
        """Have the sweeps look at what a pause has left due."""
        self._telemetry.resumed(paused)
        self._lanes.behind()

    def _make_readiness(self) -> Readiness:
        heartbeat, lanes = self._heartbeat, self._lanes
        streams = {f"stream {name}": partial(getattr, feed, "fault") for name, feed in self._feeds.items()}
        return Readiness(
            {
                "mongodb": lambda: heartbeat.fault,
                "relay": lambda: lanes.relay_fault,
                "sending": lambda: lanes.unsent_fault,
                "suppressing": lambda: lanes.brake_fault,
                "sweep": lambda: lanes.sweep_fault,
                **streams,
            }
        )

    async def _start(self, root: Supervisor) -> None:
        """Start the root tasks. The first heartbeat comes before anything that depends on this daemon's share."""
        for lane in self._lanes.all:
            root.start(f"engine {lane.relay}", lane.engine.sender.run())
        await self._heartbeat.beat()
        await self._records.resume()
        root.start("heartbeat", self._heartbeat.run())
        for stream, watcher in self._watchers().items():
            root.start(f"watcher {stream}", watcher.run())
        for lane in self._lanes.all:
            root.start(f"sweep {lane.relay}", lane.sweep.run())
        for templates in dict.fromkeys(shop.composer.templates for shop in self._shops.each()):
            root.start(f"templates {templates.folder} {id(templates)}", reload(templates))
        root.start("words", self._words.run())
        if self._settings.daemon.expirer:
            root.start("expirer", self._expirer.run())
            root.start("look ahead", self._look_ahead.run())
        root.start("readiness", self._readiness.run())
        root.start("receivers", self._records.run())
        root.start("activity", self._activity.run())
        root.start("results", self._results.run())

    def _watchers(self) -> dict[str, Watcher]:
        positions = Positions(self._database, self._name)
        return {
            stream: Watcher(
                stream,
                feed,
                positions,
                self._lanes,
                self._share,
                self._clock,
                expired=stream == GONE.name,
                repair=lambda: ensure(self._database),
            )
            for stream, feed in self._feeds.items()
        }

    def _start_http(self, root: Supervisor, listener: socket.socket | None, on_ready: Callable[[Ready], None]) -> None:
        if listener is None:
            on_ready(Ready(None))
            return
        from recovery.app.api import api_of  # as in _listener

        api = api_of(
            self._settings,
            self._database,
            self._clock,
            self._shops.map(lambda shop: shop.composer.pages),
            self._readiness,
            self._registry,
            self._telemetry,
            self._channels.counts,
            self._pauses,
            self._console(),
        )
        root.start("channels", self._channels.run())
        root.start("http", self._serve(api, listener, on_ready))

    async def _serve(self, api: "Application", listener: socket.socket, on_ready: Callable[[Ready], None]) -> None:
        from recovery.http.server import serve  # as in _listener

        loading = asyncio.create_task(api.load_later())
        try:
            await serve(api, listener, stop=self._closing, on_listening=lambda port: on_ready(Ready(port)))
        finally:
            loading.cancel()

    def _console(self) -> "Callable[[Guard], APIRouter] | None":
        if not self._settings.console.enabled:
            return None

        def load(guard: "Guard") -> "APIRouter":
            from recovery.app.desk import desk_of  # what only people need, no start waits for
            from recovery.console.console import console

            faults, composers = self._readiness.faults, self._shops.map(lambda shop: shop.composer)
            desk = desk_of(self._settings, self._database, self._clock, faults, self._closing, composers, self._words)
            return console(desk, guard, api_keys_of(self._settings))

        return load

    async def _stop(self, root: Supervisor) -> None:
        """Stop the parts in order, within the grace period. First of all nothing more is claimed."""
        grace = self._settings.daemon.stop_grace.total_seconds()
        log.info("stopping", in_flight=self._lanes.in_flight)
        for lane in self._lanes.all:
            lane.engine.sender.begin_stop()
        self._closing.set()
        sweeps = (f"sweep {lane.relay}" for lane in self._lanes.all)
        watchers = (f"watcher {stream}" for stream in self._feeds)
        await root.stop("readiness", "results", "expirer", "look ahead", *sweeps, *watchers)
        await asyncio.gather(*(lane.engine.sender.stop(grace) for lane in self._lanes.all))
        await root.stop("receivers", "activity")
        await self._records.store()
        await self._activity.finish()
        await root.stop("heartbeat")
        await self._heartbeat.leave()
        await root.finish("http")
        await root.stop("channels")
        await self._channels.finish()
