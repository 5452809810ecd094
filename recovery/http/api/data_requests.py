"""The endpoints for what a person may ask of a shop: to be told all that is kept of them, and to be forgotten."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from recovery.domain.fields import Email, ShopKey
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Caller, Scope
from recovery.http.problems import answers
from recovery.http.security import Guard

_log = structlog.get_logger()


class Person(BaseModel):
    """A person by their address; at one shop, or without one at all of them."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    shop: ShopKey | None = None


class Erased(BaseModel):
    """What was found of a person, and is gone: the ids of checkouts and of dead letters, and how many shadows."""

    checkouts: tuple[str, ...]
    dead_letters: tuple[str, ...]
    shadows: int


def persons(ingestion: Ingestion, guard: Guard) -> APIRouter:
    """Return the endpoints, for those whom `guard` lets in. Each use is logged by the name of the key.

    The address comes in a body: what is in a path ends up in the logs of every proxy.
    """
    router = APIRouter(tags=["persons"])

    @router.post(
        "/export",
        operation_id="exportPerson",
        summary="Export what is kept of a person",
        responses=answers(401, 403, 413, 422, 503),
    )
    async def export(
        person: Person, response: Response, caller: Annotated[Caller, guard.needs(Scope.PRIVACY)]
    ) -> dict[str, Any]:
        """Return their checkouts with all that was decided and sent, dead letters, and where they are suppressed."""
        caller.needs_shop(person.shop)
        _log.info("a person was exported", key=caller.name, shop=person.shop)
        response.headers["Cache-Control"] = "no-store"
        return await ingestion.export(person.email, shop=person.shop)

    @router.post(
        "/erase", operation_id="erasePerson", summary="Erase a person", responses=answers(401, 403, 413, 422, 503)
    )
    async def erase(person: Person, caller: Annotated[Caller, guard.needs(Scope.PRIVACY)]) -> Erased:
        """Delete all that is kept of them and never write to the address again; return a receipt.

        What stays is a pseudonym on the list of whom not to write to, so that a report that comes again, as from a
        webhook, leads to no mail.
        """
        caller.needs_shop(person.shop)
        receipt = await ingestion.erase(person.email, shop=person.shop)
        _log.info("a person was erased", key=caller.name, shop=person.shop)
        return Erased(**receipt.facts())

    return router
