"""The OpenAPI description is whole: each operation has an example that fits, and every problem that it may answer."""

from typing import Any

import jsonschema_rs
import pytest

from recovery.http.api.examples import EXAMPLES
from recovery.http.endpoints import description
from recovery.http.problems import ProblemDetails, ProblemType

DESCRIPTION = description()
OPERATIONS = {
    operation["operationId"]: (path, operation)
    for path, methods in DESCRIPTION["paths"].items()
    for operation in methods.values()
}
PROBLEMS = {
    name: {
        (int(status), example["value"]["type"])
        for status, response in operation["responses"].items()
        for content in response.get("content", {}).values()
        for example in content.get("examples", {}).values()
    }
    for name, (_, operation) in OPERATIONS.items()
}


def fault(schema: dict[str, Any], value: Any) -> str | None:
    """Return why a value does not fit a schema of the description, or None."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": DESCRIPTION["components"]}
    return next((str(error) for error in jsonschema_rs.validator_for(whole | schema).iter_errors(value)), None)


def test_every_example_is_of_an_operation():
    """An example whose operation is gone, or has another name, is noticed."""
    assert EXAMPLES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_body_and_the_answer_have_an_example_that_fits(name):
    """The JSON body of each operation, if it takes one, and its answer have an example of their schema."""
    _, operation = OPERATIONS[name]
    content = operation.get("requestBody", {}).get("content", {})
    (well,) = [response for status, response in operation["responses"].items() if status.startswith("2")]
    described = [content["application/json"]] if content else []
    for each in [*described, *well.get("content", {}).values()]:
        assert "example" in each
        assert fault(each["schema"], each["example"]) is None


@pytest.mark.parametrize("name", OPERATIONS)
def test_required_parameters_have_an_example(name):
    """Whoever tries an operation on the page finds its path filled in."""
    _, operation = OPERATIONS[name]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            assert fault(parameter["schema"], parameter["example"]) is None


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_status_of_a_problem_has_an_example_of_each_type(name):
    """Every status that is described as a problem has examples, which are problems of that status."""
    _, operation = OPERATIONS[name]
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if media_type == "application/problem+json" and status != "default":
                assert content["examples"], status
                for example in content["examples"].values():
                    ProblemDetails.model_validate(example["value"])
                    assert example["value"]["status"] == int(status)


def test_every_type_of_problem_is_described_somewhere():
    """Only a wrong method is not: it is of no operation."""
    assert {kind for found in PROBLEMS.values() for _, kind in found} == set(ProblemType) - {ProblemType.METHOD}


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("listCheckouts", 422, ProblemType.NO_INDEX),
        ("getCheckout", 404, ProblemType.NO_CHECKOUT),
        ("reportCheckout", 400, ProblemType.INCOMPLETE),
        ("exportPerson", 403, ProblemType.OTHER_SHOP),
        ("takeWebhook", 401, ProblemType.SIGNATURE),
        ("takeWebhook", 404, ProblemType.NOT_CONFIGURED),
        ("reportBounce", 422, ProblemType.NO_REPORT),
        ("getHealth", 400, ProblemType.HOST),
        ("cancelCheckout", 500, ProblemType.FAULT),
    ],
)
def test_operations_have_the_problems_of_their_kind(name, status, kind):
    """A signature is a matter of webhooks, a scope one of keys, an index one of lists."""
    assert (status, kind.value) in PROBLEMS[name]


def test_operations_have_no_problem_of_another_kind():
    """What has no key lacks no scope; what names no checkout does not miss it."""
    assert not {status for status, _ in PROBLEMS["takeWebhook"]} & {403}
    assert (401, ProblemType.KEY_NEEDED.value) not in PROBLEMS["reportBounce"]
    assert (404, ProblemType.NO_CHECKOUT.value) not in PROBLEMS["takeWebhook"]
    assert (422, ProblemType.NO_INDEX.value) not in PROBLEMS["reportCheckout"]
