"""Reports in an outbox: calls of the ingestion API as data, serialised to JSON."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from recovery.domain.checkout import Checkout, Consent, Order
from recovery.domain.fields import normalised


class Kept(StrEnum):
    """Where a report is stored when a call returns: in the database, or in the outbox, to be delivered later."""

    DATABASE = "database"
    OUTBOX = "outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutReport:
    """A call of `Recovery.checkout`."""

    kind: Literal["checkout"] = "checkout"
    report: Checkout
    aliases: tuple[str, ...] | None = None
    cart: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """A call of `Recovery.order`."""

    kind: Literal["order"] = "order"
    report: Order
    aliases: tuple[str, ...] | None = None
    cart: str | None = None
    confirm_default: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReport:
    """A call of `Recovery.cancel`."""

    kind: Literal["cancel"] = "cancel"
    shop: str
    order_id: str
    aliases: tuple[str, ...] = ()
    cart: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentReport:
    """A call of `Recovery.consent`."""

    kind: Literal["consent"] = "consent"
    shop: str
    email: str
    consent: Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressReport:
    """A call of `Recovery.suppress`; without a shop it is for all shops."""

    kind: Literal["suppress"] = "suppress"
    shop: str | None
    email: str


Report = CheckoutReport | OrderReport | CancelReport | ConsentReport | SuppressReport

_ANY: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])


def to_json(report: Report) -> str:
    """Return a report as JSON."""
    return _ANY.dump_json(report).decode()


def read_report(text: str) -> Report:
    """Parse a report from JSON. Raises `pydantic.ValidationError`."""
    return _ANY.validate_json(text)


def about(report: Report) -> tuple[str | None, str | None, str]:
    """Return the shop of a report, the person's normalised address, and the name of the report in logs."""
    match report:
        case CheckoutReport() | OrderReport():
            customer = report.report.customer
            address = customer.address if customer is not None else None
            return report.report.shop, address, f"{report.kind} {report.report.id}"
        case CancelReport():
            return report.shop, None, f"{report.kind} {report.shop}/{report.order_id}"
        case ConsentReport() | SuppressReport():
            return report.shop, normalised(report.email), f"{report.kind} {report.shop or 'at all shops'}"


def now() -> datetime:
    """Return the time of this machine's clock. Elsewhere the database's time counts, but here it is unavailable."""
    return datetime.now(UTC)  # noqa: TID251


def as_of(report: Report, at: datetime) -> Report:
    """Return a report with `at`, the time it was made, if it has no time of its own: not the time of delivery."""
    if isinstance(report, CheckoutReport) and report.report.touched_at is None:
        return replace(report, report=report.report.model_copy(update={"touched_at": at}))
    if isinstance(report, OrderReport) and report.report.ordered_at is None:
        return replace(report, report=report.report.model_copy(update={"ordered_at": at}))
    return report
