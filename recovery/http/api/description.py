"""Parts of the OpenAPI description that FastAPI cannot derive from the code: headers, examples, and all problems."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from recovery.http.api.examples import EXAMPLES, Example
from recovery.http.problems import MEDIA_TYPE, ProblemType, answers

_Operation = Mapping[str, Any]

_METHODS = {"get", "post", "put", "patch", "delete"}
_CHECKOUT = "/checkouts/{shop}/{order_id}"


def header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    """Return the OpenAPI parameter of a header that an endpoint reads by hand."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _needs_key(_: str, operation: _Operation) -> bool:
    return bool(operation.get("security"))


def _has_body(_: str, operation: _Operation) -> bool:
    return "requestBody" in operation


def _is_signed(path: str, _: _Operation) -> bool:
    return path.startswith(("/webhooks/", "/bounces"))


def _names_checkout(path: str, _: _Operation) -> bool:
    return path == _CHECKOUT


def _lists(_: str, operation: _Operation) -> bool:
    return bool(operation["operationId"] == "listCheckouts")


def _names_platform(path: str, _: _Operation) -> bool:
    return path.startswith("/webhooks/{platform}")


def _takes_mail(path: str, _: _Operation) -> bool:
    return path == "/bounces"


def _always(_: str, __: _Operation) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Possible:
    """A problem, with a detail as an example, and the operations that answer it: of their status, if they have one."""

    kind: ProblemType
    status: int
    detail: str
    of: Callable[[str, _Operation], bool]
    adds_status: bool = False


_POSSIBLE = (
    _Possible(ProblemType.HOST, 400, "The Host header is missing or repeated: send exactly one.", _always, True),
    _Possible(ProblemType.INCOMPLETE, 400, "The connection closed before the end of the body.", _has_body),
    _Possible(ProblemType.KEY_NEEDED, 401, "A valid API key is required.", _needs_key),
    _Possible(
        ProblemType.SIGNATURE, 401, "The signature is not that of this body by the configured secret.", _is_signed
    ),
    _Possible(ProblemType.SCOPE_MISSING, 403, "The key 'shop-backend' lacks the scope 'read'.", _needs_key),
    _Possible(ProblemType.OTHER_SHOP, 403, "The key 'shop-backend' is not valid for this shop.", _needs_key),
    _Possible(ProblemType.NOT_THIS_MACHINE, 403, "No API key is configured: set http.keys.", _needs_key),
    _Possible(ProblemType.NO_CHECKOUT, 404, "Unknown checkout: it was never reported.", _names_checkout),
    _Possible(ProblemType.NOT_CONFIGURED, 404, "No secret is configured: set one in the settings.", _is_signed),
    _Possible(ProblemType.NOT_FOUND, 404, "There is no platform of this name.", _names_platform),
    _Possible(ProblemType.TOO_LONG, 413, "The body is longer than 262144 bytes.", _has_body),
    _Possible(ProblemType.MEDIA_TYPE, 415, "The body must be JSON.", _has_body),
    _Possible(ProblemType.INVALID, 422, "total is invalid: Field required", _always),
    _Possible(ProblemType.NO_INDEX, 422, "query.shop: is needed, or email", _lists),
    _Possible(ProblemType.NO_REPORT, 422, "This mail is not a report about a mail of ours.", _takes_mail),
    _Possible(ProblemType.FAULT, 500, "Internal error (logged).", _always, True),
    _Possible(ProblemType.UNAVAILABLE, 503, "The database is unavailable. Send it again.", _needs_key),
    _Possible(ProblemType.UNAVAILABLE, 503, "The database is unavailable. Send it again.", _is_signed),
)


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """Add to each operation its example, and an example of every problem that it may answer; return the description."""
    for path, operation in _operations(description):
        _add_problems(path, operation)
        if (example := EXAMPLES.get(operation["operationId"])) is not None:
            _add_example(operation, example)
    return description


def _operations(description: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield path, operation


def _add_problems(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for possible in _POSSIBLE:
        status = str(possible.status)
        if not possible.of(path, operation) or (status not in responses and not possible.adds_status):
            continue
        if status not in responses:
            responses[status] = answers(possible.status)[possible.status]
        content = responses[status]["content"].get(MEDIA_TYPE)
        if content is not None:
            value = {
                "type": possible.kind.value,
                "title": HTTPStatus(possible.status).phrase,
                "status": possible.status,
                "detail": possible.detail,
            }
            content.setdefault("examples", {})[possible.kind.rpartition(":")[2]] = {"value": value}
    default = responses.pop("default", None)
    operation["responses"] = dict(sorted(responses.items())) | ({} if default is None else {"default": default})


def _add_example(operation: dict[str, Any], example: Example) -> None:
    if example.body is not None:
        operation["requestBody"]["content"]["application/json"].setdefault("example", example.body)
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.parameters:
            parameter["example"] = example.parameters[parameter["name"]]
    (well,) = [response for status, response in operation["responses"].items() if status.startswith("2")]
    for content in well.get("content", {}).values():
        content["example"] = example.answer
