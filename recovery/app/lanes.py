"""The factory of the lanes: for each relay an engine and a sweep (the bulkhead pattern)."""

from collections.abc import Mapping

from recovery.app.factories import limits_of, suppressions_of
from recovery.app.shops import Shop
from recovery.daemon.expirer import Expirer
from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.metrics import Telemetry
from recovery.daemon.share import Share
from recovery.daemon.sweep import Sweep
from recovery.domain.per_shop import PerShop
from recovery.domain.receivers import Receivers
from recovery.engine.engine import Engine
from recovery.engine.pauses import KnownPauses
from recovery.engine.ports import Clock
from recovery.engine.receivers import Governor
from recovery.engine.warmup import WarmupWatch
from recovery.mail.smtp.mailer import SmtpMailer
from recovery.mail.smtp.pool import RelayConfig
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.allowances import MongoAllowance
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import Database
from recovery.mongo.queues import Shops
from recovery.mongo.shadows import MongoShadows
from recovery.mongo.warmups import MongoWarmupRecords
from recovery.settings import Settings


class LaneFactory:
    """Builds the lanes of a daemon on one database."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        shops: PerShop[Shop],
        share: Share,
        telemetry: Telemetry,
        expirer: Expirer,
        pauses: KnownPauses,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._share = share
        self._telemetry = telemetry
        self._expirer = expirer
        self._pauses = pauses
        self._checkouts = MongoCheckouts(database)
        self._shadows = MongoShadows(database)
        self._addresses = MongoAddresses(database, suppressions_of(settings, database))
        self._schedules = shops.map(lambda shop: shop.schedule)
        self._relays = shops.map(lambda shop: shop.relay)
        self._receivers = Receivers(settings.receivers.groups)

    def lanes(self, mailers: Mapping[RelayConfig, SmtpMailer]) -> Lanes:
        """Return the lanes, one for each relay with its mailer, by shop."""
        lane_of = {relay: Lane(relay.address, *self._lane(relay, mailer)) for relay, mailer in mailers.items()}
        return Lanes(self._relays.map(lane_of.__getitem__))

    def _lane(self, relay: RelayConfig, mailer: SmtpMailer) -> tuple[Engine, Sweep]:
        engine = self._engine(relay, mailer)
        return engine, self._sweep(relay, engine)

    def _engine(self, relay: RelayConfig, mailer: SmtpMailer) -> Engine:
        engine = Engine(
            checkouts=self._checkouts,
            shadows=self._shadows,
            addresses=self._addresses,
            mailer=mailer,
            clock=self._clock,
            observer=self._telemetry,
            schedules=self._schedules,
            owner=self._share.daemon,
            limits=limits_of(self._settings),
            allowance=self._allowance(relay),
            warmup=self._warmup(relay),
            governor=Governor(self._receivers, relay.host),
            pauses=self._pauses,
            expect=mailer.expect,
        )
        engine.alarms.on_set = self._expirer.wake_for
        return engine

    def _allowance(self, relay: RelayConfig) -> MongoAllowance | None:
        if not relay.rates and relay.warmup is None:
            return None
        return MongoAllowance(self._database, relay.account, relay.rates, relay.warmup)

    def _warmup(self, relay: RelayConfig) -> WarmupWatch | None:
        if relay.warmup is None:
            return None
        records = MongoWarmupRecords(self._database, relay.account, relay.warmup, self._shops(relay))
        return WarmupWatch(relay.warmup, records, self._clock, self._telemetry)

    def _sweep(self, relay: RelayConfig, engine: Engine) -> Sweep:
        daemon, relays, share = self._settings.daemon, self._relays, self._share
        return Sweep(
            self._checkouts,
            self._shadows,
            engine,
            share.mine if len(relays.each()) == 1 else lambda id_: share.mine(id_) and relays.of(id_) == relay,
            self._clock,
            interval=daemon.sweep_interval,
            grace=daemon.sweep_grace,
            everybodys=lambda id_: relays.of(id_) == relay,
            shops=self._shops(relay),
            everybodys_after=2 * daemon.heartbeat_expiry,
        )

    def _shops(self, relay: RelayConfig) -> Shops:
        """Return the shops that send by a relay."""
        relays = self._relays
        own = frozenset(shop for shop, theirs in relays.by_shop.items() if theirs == relay)
        return Shops(but=frozenset(relays.by_shop) - own) if relay == relays.default else Shops(only=own)
