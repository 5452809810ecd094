"""Endpoints for data subject requests (GDPR): export all data of a person, or erase it."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from recovery.domain.fields import Email, ShopKey
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Caller, Scope
from recovery.http.problems import answers
from recovery.http.security import Guard
from recovery.mongo.data_subjects import Receipt
from recovery.mongo.fields import CHECKOUT, DEAD_LETTER, SUPPRESSION
from recovery.mongo.schemas import json_schema

_log = structlog.get_logger()


class Person(BaseModel):
    """A person, by e-mail address; at one shop, or at all shops if `shop` is left out."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    shop: ShopKey | None = None


class Export(BaseModel):
    """All data of a person: the documents that are stored about them, with their own names of fields."""

    email: str
    checkouts: list[Annotated[dict[str, Any], WithJsonSchema(json_schema(CHECKOUT))]]
    dead_letters: list[Annotated[dict[str, Any], WithJsonSchema(json_schema(DEAD_LETTER))]]
    suppressions: list[Annotated[dict[str, Any], WithJsonSchema(json_schema(SUPPRESSION))]]


def data_requests(ingestion: Ingestion, guard: Guard) -> APIRouter:
    """Return the endpoints. `guard` authenticates their callers; each call is logged with the name of the key.

    The address is in the body, since paths end up in the access log of every proxy.
    """
    router = APIRouter(tags=["persons"])

    @router.post(
        "/export",
        operation_id="exportPerson",
        summary="Export all data of a person",
        responses=answers(401, 403, 413, 422, 503),
    )
    async def export(
        person: Person, response: Response, caller: Annotated[Caller, guard.needs(Scope.PRIVACY)]
    ) -> Export:
        """Return all checkouts of a person with their decisions and messages, dead letters, and suppressions."""
        caller.needs_shop(person.shop)
        _log.info("person exported", key=caller.name, shop=person.shop)
        response.headers["Cache-Control"] = "no-store"
        return Export(**await ingestion.export(person.email, shop=person.shop))

    @router.post(
        "/erase", operation_id="erasePerson", summary="Erase a person", responses=answers(401, 403, 413, 422, 503)
    )
    async def erase(person: Person, caller: Annotated[Caller, guard.needs(Scope.PRIVACY)]) -> Receipt:
        """Delete all data of a person, suppress the address for good, and return a receipt.

        Only a pseudonym on the suppression list remains, so that a later report, such as a repeated webhook, does not
        lead to a mail.
        """
        caller.needs_shop(person.shop)
        receipt = await ingestion.erase(person.email, shop=person.shop)
        _log.info("person erased", key=caller.name, shop=person.shop)
        return receipt

    return router
