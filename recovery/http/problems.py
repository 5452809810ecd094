"""Answers other than success, as RFC 9457 has them: `application/problem+json`, and what went wrong in a sentence."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from recovery.client import Unavailable
from recovery.ports import StoreUnavailable

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
LONGEST_FIELD = 100

_log = structlog.get_logger()


class FieldError(BaseModel):
    """What is wrong with one field of a report."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class Problem(Exception):
    """The request cannot be answered as wished. `detail` is a sentence for whoever sent it."""

    def __init__(
        self, status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem that pydantic's errors amount to, with each field by its path: `items.0.price`.

    What pydantic tells beside the message (`input`, `ctx`) stays out: it is the customer's, and this may be logged.
    """
    wrong = [
        FieldError(
            field=".".join(str(part) for part in error["loc"])[:LONGEST_FIELD] or "body",
            message=str(error["msg"]).removeprefix("Value error, "),
        )
        for error in errors[:MOST_ERRORS]
    ]
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, f"{wrong[0].field} is wrong: {wrong[0].message}{more}", errors=wrong)


def invalid_body(exc: ValidationError) -> Problem:
    """Return the problem with a body that is not what it ought to be."""
    return invalid(exc.errors(include_url=False, include_context=False, include_input=False))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how an endpoint's problems are documented: those it is known for, and all the others."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}}
    known: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }
    return known | {"default": {"description": "Any other problem", "content": content}}


def tell_problems(app: FastAPI) -> None:
    """Answer whatever goes wrong in `app` with a problem."""
    for kind in (
        Problem,
        HTTPException,
        RequestValidationError,
        ClientDisconnect,
        Unavailable,
        StoreUnavailable,
        Exception,
    ):
        app.add_exception_handler(kind, _answer)


async def _answer(_: Request, exc: Exception) -> JSONResponse:
    return answer(exc)


def answer(exc: Exception) -> JSONResponse:
    """Return what is answered where this was raised."""
    problem = _as_problem(exc)
    details = ProblemDetails(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=problem.errors or None,
    )
    return JSONResponse(
        details.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def _as_problem(exc: Exception) -> Problem:
    match exc:
        case Problem():
            return exc
        case HTTPException():
            return Problem(exc.status_code, str(exc.detail), headers=exc.headers)
        case RequestValidationError():
            return invalid(exc.errors())
        case ClientDisconnect():
            return Problem(400, "The connection ended before the body did.")
        case Unavailable() | StoreUnavailable():
            _log.warning("database unavailable", error=str(exc))
            detail = "The database cannot be reached, or refuses: this may not be kept. Send it again."
            return Problem(503, detail, headers={"Retry-After": "1"})
        case _:  # Starlette raises it again once this is sent, so the server logs it
            return Problem(500, "Something is wrong on this side, and was logged. Nothing is known to be kept.")
