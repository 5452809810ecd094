"""The OpenAPI description, and the page that shows it."""

import json
import re

import pytest

from recovery.http.app import description
from recovery.http.keys import Scope
from recovery.http.problems import ProblemType
from tests.support.api import Api
from tests.support.paths import ROOT

KEYLESS = {"takeShopifyWebhook", "takeWebhook", "reportBounce", "getHealth", "getReadiness", "getMetrics"}
OPERATIONS = {
    operation["operationId"]: operation for methods in description()["paths"].values() for operation in methods.values()
}


def test_the_file_is_up_to_date():
    """docs/openapi.json is up to date: `make api` writes it."""
    assert json.loads((ROOT / "docs/openapi.json").read_text()) == description()


async def test_the_description_is_the_same_with_keys_and_without():
    """The description is the same with and without keys: clients are generated from it before settings are chosen."""
    for keys in ((), ("a key of some length",)):
        assert (await Api(api_keys=keys).client.get("/openapi.json")).json() == description()


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_the_name_of_a_method(name):
    """Operation ids are a verb and a noun in camel case: generated clients use them as method names."""
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_says_which_scope_it_needs(name):
    """Every operation declares its key and scopes, or that it needs none."""
    scopes = [scope for needed in OPERATIONS[name].get("security", []) for scope in needed["api_key"]]
    assert len(scopes) == (0 if name in KEYLESS else 1)
    assert set(scopes) <= set(Scope)


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        (
            "takeShopifyWebhook",
            {
                "X-Shopify-Topic": True,
                "X-Shopify-Shop-Domain": False,
                "X-Shopify-Hmac-Sha256": True,
                "X-Shopify-Test": False,
            },
        ),
        ("reportBounce", {"Recovery-Signature": True}),
    ],
)
def test_headers_that_are_read_are_described(name, headers):
    """Headers are described, and marked as required or not."""
    told = {each["name"]: each["required"] for each in OPERATIONS[name]["parameters"] if each["in"] == "header"}
    assert told == headers


def test_the_guide_lists_every_type_of_problem_and_every_scope():
    """docs/http.md lists all problem types and scopes, and no others."""
    guide = (ROOT / "docs/http.md").read_text()
    assert set(re.findall(r"urn:recovery:problem:[a-z-]+", guide)) == set(ProblemType)
    assert {scope for scope in Scope if f"| `{scope}` |" in guide} == set(Scope)
    assert set(re.findall(r"`([a-z]+[A-Z][A-Za-z]+)`", guide)) <= set(OPERATIONS)


async def test_the_page_names_no_other_host_and_has_a_strict_policy():
    """The page's CSP forbids inline scripts, frames and other hosts."""
    answer = await Api().client.get("/docs")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in answer.text
    assert re.findall(r"<script[^>]*>(.+?)</script>", answer.text) == []


@pytest.mark.parametrize("name", ["start.js", "swagger-ui-bundle.js", "swagger-ui.css"])
async def test_the_files_of_the_page_are_served_from_here(name):
    """The files of Swagger UI are served without a key, with their media type."""
    answer = await Api(api_keys=("a key of some length",)).client.get(f"/docs/{name}", headers={"Authorization": ""})
    assert answer.status_code == 200
    kind = {"js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]]
    assert answer.headers["content-type"].partition(";")[0] == kind
