"""Problem details (RFC 9457): error responses as `application/problem+json`, with a sentence for people."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from traceback import walk_tb
from typing import Any

import structlog
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Scope

from recovery.errors import Unavailable

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""Field errors in one response."""

LONGEST_FIELD = 100
"""Characters of a field's path."""

_PACKAGE = f"{Path(__file__).parents[1]}/"

_log = structlog.get_logger()


class ProblemType(StrEnum):
    """Problem types: stable names that programs may match, unlike the sentences. docs/http.md lists them."""

    INVALID = "urn:recovery:problem:invalid"
    NO_INDEX = "urn:recovery:problem:no-index"
    NO_REPORT = "urn:recovery:problem:no-report"
    TOO_LONG = "urn:recovery:problem:too-long"
    MEDIA_TYPE = "urn:recovery:problem:media-type"
    INCOMPLETE = "urn:recovery:problem:incomplete"
    HOST = "urn:recovery:problem:host"
    KEY_NEEDED = "urn:recovery:problem:key-needed"
    SIGNATURE = "urn:recovery:problem:signature"
    SCOPE_MISSING = "urn:recovery:problem:scope-missing"
    OTHER_SHOP = "urn:recovery:problem:other-shop"
    NOT_THIS_MACHINE = "urn:recovery:problem:not-this-machine"
    NO_CHECKOUT = "urn:recovery:problem:no-checkout"
    NOT_CONFIGURED = "urn:recovery:problem:not-configured"
    NOT_FOUND = "urn:recovery:problem:not-found"
    METHOD = "urn:recovery:problem:method"
    UNAVAILABLE = "urn:recovery:problem:unavailable"
    FAULT = "urn:recovery:problem:fault"


_USUAL: Mapping[int, str] = {
    400: ProblemType.INCOMPLETE,
    401: ProblemType.KEY_NEEDED,
    404: ProblemType.NOT_FOUND,
    405: ProblemType.METHOD,
    413: ProblemType.TOO_LONG,
    415: ProblemType.MEDIA_TYPE,
    422: ProblemType.INVALID,
    500: ProblemType.FAULT,
    503: ProblemType.UNAVAILABLE,
}


class FieldError(BaseModel):
    """The error of one field of a report."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field("about:blank", description="The problem type: a stable name that programs may match")
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class Problem(Exception):
    """An error response. `detail` is a sentence for the caller; without `kind`, the status decides the type."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: ProblemType | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = str(kind or _USUAL.get(status, "about:blank"))
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem for pydantic's errors, with each field by its path: `items.0.price`.

    The other parts of pydantic's errors (`input`, `ctx`) are left out: they hold customer data, and this may be logged.
    """
    wrong = [
        FieldError(
            field=".".join(str(part) for part in error["loc"])[:LONGEST_FIELD] or "body",
            message=str(error["msg"]).removeprefix("Value error, "),
        )
        for error in errors[:MOST_ERRORS]
    ]
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, f"{wrong[0].field} is invalid: {wrong[0].message}{more}", errors=wrong)


def invalid_body(exc: ValidationError) -> Problem:
    """Return the problem for a body that fails validation."""
    return invalid(exc.errors(include_url=False, include_context=False, include_input=False))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of an endpoint's problems: one for each of `statuses`, and a default."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}}
    known: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }
    return known | {"default": {"description": "Any other problem", "content": content}}


def answer(exc: Exception, scope: Scope) -> JSONResponse:
    """Return the response for an exception, and store the reason in the request's state, for the log."""
    problem = problem_of(exc)
    scope.setdefault("state", {})["reason"] = problem.detail
    return JSONResponse(
        details_of(problem),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def details_of(problem: Problem) -> dict[str, Any]:
    """Return the details of a problem as JSON's values."""
    details = ProblemDetails(
        type=problem.type,
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=problem.errors or None,
    )
    return details.model_dump(exclude_none=True)


def place_of(exc: BaseException) -> str:
    """Return the innermost line of our own code in a traceback, as `http/pages.py:87`; it contains no values."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(exc.__traceback__)]
    own = [(name.removeprefix(_PACKAGE), line) for name, line in frames if name.startswith(_PACKAGE)]
    return "{}:{}".format(*own[-1]) if own else "outside recovery"


def problem_of(exc: Exception) -> Problem:
    """Return the problem that an exception is answered with. What is a fault of ours or the database's is logged."""
    match exc:
        case Problem():
            return exc
        case HTTPException():
            return Problem(exc.status_code, str(exc.detail), headers=exc.headers)
        case ClientDisconnect():
            return Problem(400, "The connection closed before the end of the body: send the request again.")
        case Unavailable():
            _log.warning("database unavailable", error=str(exc))
            detail = "The database is unavailable. The report may not have been stored: send it again."
            return Problem(503, detail, headers={"Retry-After": "1"})
        case _:
            _log.error("internal error", error=type(exc).__name__, place=place_of(exc))
            return Problem(500, "Internal error (logged). The report may not have been stored: send it again.")
