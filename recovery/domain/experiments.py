"""Experiments: which checkouts get no reminders, another template or schedule, so that their effect can be measured.

The arm of a person is a keyed hash: the same at every daemon and after every restart. It is decided before the first
message is claimed, and kept in the checkout. Nothing here reads a clock.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from recovery.domain.checkout import shop_of
from recovery.domain.fields import Address
from recovery.domain.state import CheckoutState

if TYPE_CHECKING:
    from recovery.domain.schedule import Step

_DIGEST_BYTES = 4
_RANGE = 1 << 64


class Kind(StrEnum):
    """The kind of an experiment: reminders against none, or two templates or two schedules against each other."""

    HOLD_OUT = "hold-out"
    TEMPLATES = "templates"
    SCHEDULES = "schedules"


class Arm(StrEnum):
    """The arm of a checkout in an experiment. `HELD_OUT` and `B` have the share of the settings."""

    HELD_OUT = "held out"
    REMINDED = "reminded"
    A = "a"
    B = "b"


HELD_OUT = Arm.HELD_OUT.value
"""The reason for a reminder that is skipped because its checkout is held out."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arms that a checkout is assigned to at a time, by the id of the experiment."""

    arms: tuple[tuple[str, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment at some shops, or at all if there are none.

    It takes checkouts from the day `since`, if given, to the day `until`, both in UTC and included. `share` is that of
    the people who are held out or, if `templates` are given, who get those: the template of each step; or, if `steps`
    are, who get these instead of the steps in force.
    """

    name: str
    share: float
    until: date
    since: date | None = None
    shops: frozenset[str] = frozenset()
    templates: tuple[tuple[str, str], ...] = ()
    steps: "tuple[Step, ...]" = ()
    id: str = field(init=False)
    """The name under which it is stored, with a digest of its definition: with another share, it is another one."""

    def __post_init__(self) -> None:
        definition: tuple[object, ...] = (self.name, float(self.share), self.kind.value, sorted(self.templates))
        if self.steps:
            definition = (*definition, [_defined(step) for step in self.steps])
        digest = sha256(repr(definition).encode("utf-8", "surrogatepass")).digest()
        object.__setattr__(self, "id", f"{self.name}-{digest[:_DIGEST_BYTES].hex()}")

    @property
    def kind(self) -> Kind:
        """The kind of the experiment."""
        if self.steps:
            return Kind.SCHEDULES
        return Kind.TEMPLATES if self.templates else Kind.HOLD_OUT

    def takes(self, shop: str, at: datetime) -> bool:
        """Return whether checkouts of a shop are taken in at this time."""
        begun = self.since is None or self.since <= at.date()
        return begun and at.date() <= self.until and (not self.shops or shop in self.shops)

    def arm(self, key: bytes, shop: str, address: Address) -> Arm:
        """Return the arm of a person: the keyed hash of the experiment, the shop and the address decides."""
        digest = hmac.digest(key, "\0".join((self.id, shop, address)).encode("utf-8", "surrogatepass"), "sha256")
        chosen = int.from_bytes(digest[:8]) < self.share * _RANGE
        if self.kind is Kind.HOLD_OUT:
            return Arm.HELD_OUT if chosen else Arm.REMINDED
        return Arm.B if chosen else Arm.A


@dataclass(frozen=True, slots=True)
class Experiments:
    """All experiments, and the key of their hashes. `left_out` are addresses, and domains such as `@shop.example`."""

    key: bytes = field(default=b"", repr=False)
    all: tuple[Experiment, ...] = ()
    left_out: frozenset[str] = frozenset()

    def assigned(self, checkout: CheckoutState, now: datetime) -> Assignment | None:
        """Return the arms of a checkout whose first reminder is due; None if it takes part in none.

        Arms are decided once: a checkout that has some, or of which something was sent or skipped before, takes part in
        nothing new. Who is held out by one experiment takes part in no other.
        """
        address = self._undecided(checkout)
        if address is None:
            return None
        shop = shop_of(checkout.id)
        arms = self._arms([each for each in self.all if each.takes(shop, now)], shop, address)
        return Assignment(tuple(arms.items()), now) if arms else None

    def arms(self, shop: str, address: Address) -> Mapping[str, str]:
        """Return the arms of a person at a shop, whatever the day, as simulations ask for them.

        Of several hold-outs, and of several comparisons of schedules, that which ends last counts.
        """
        if self._leaves_out(address):
            return {}
        found: dict[object, Experiment] = {}
        for each in sorted(self.all, key=lambda each: each.until):
            if not each.shops or shop in each.shops:
                found[each.id if each.kind is Kind.TEMPLATES else each.kind] = each
        return self._arms(found.values(), shop, address)

    def _arms(self, experiments: Iterable[Experiment], shop: str, address: Address) -> dict[str, str]:
        arms: dict[str, str] = {}
        for experiment in sorted(experiments, key=lambda each: each.kind is not Kind.HOLD_OUT):
            arms[experiment.id] = experiment.arm(self.key, shop, address).value
            if arms[experiment.id] == HELD_OUT:
                break
        return arms

    def rivals(self, checkout: CheckoutState, now: datetime) -> "Sequence[tuple[Step, ...]]":
        """Return the steps that a checkout may get instead of those in force, while its arm is not decided."""
        compared = [each for each in self.all if each.steps]
        if not compared or self._undecided(checkout) is None:
            return ()
        shop = shop_of(checkout.id)
        return [each.steps for each in compared if each.takes(shop, now)]

    def steps(self, arms: Mapping[str, str]) -> "tuple[Step, ...] | None":
        """Return the steps that these arms have, or None for those in force."""
        for experiment in self.all:
            if experiment.steps and arms.get(experiment.id) == Arm.B:
                return experiment.steps
        return None

    def hold_out(self, arms: Mapping[str, str]) -> bool:
        """Return whether a checkout with these arms gets no reminders."""
        return any(arms.get(experiment.id) == HELD_OUT for experiment in self.all)

    def variant(self, step: "Step", arms: Mapping[str, str]) -> "Step":
        """Return the step with the template that these arms have."""
        for experiment in self.all:
            if experiment.templates and arms.get(experiment.id) == Arm.B:
                step = _with_template(experiment, step)
        return step

    def variants(self, steps: "tuple[Step, ...]") -> "tuple[Step, ...]":
        """Return the steps that experiments have beside these: with other templates, or of another schedule."""
        known = [*steps, *(step for experiment in self.all for step in experiment.steps)]
        found = [*known, *(_with_template(experiment, step) for experiment in self.all for step in known)]
        return tuple(step for step in dict.fromkeys(found) if step not in steps)

    def _undecided(self, checkout: CheckoutState) -> Address | None:
        """Return the address by which the arms of a checkout are to be decided; None if it gets none, or has them."""
        customer = checkout.facts.customer
        if not self.all or checkout.messages or checkout.experiments or customer is None:
            return None
        return None if self._leaves_out(customer.address) else customer.address

    def _leaves_out(self, address: Address) -> bool:
        return bool(self.left_out) and not self.left_out.isdisjoint((address, f"@{address.rpartition('@')[2]}"))


def _defined(step: "Step") -> tuple[object, ...]:
    """Return the definition of a step. A stored name depends on it: a field that is added must not change it."""
    delay, lateness = step.delay.total_seconds(), step.max_lateness.total_seconds()
    return step.name, delay, step.template, step.subject, lateness, step.coupon


def _with_template(experiment: Experiment, step: "Step") -> "Step":
    template = dict(experiment.templates).get(step.name)
    return step if template is None else replace(step, template=template)


NO_EXPERIMENTS = Experiments()
