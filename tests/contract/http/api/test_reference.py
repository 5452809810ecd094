"""The OpenAPI description, and the page that shows it."""

import json
import re
from zoneinfo import available_timezones

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES

from recovery.http.endpoints import description
from recovery.http.keys import Scope
from recovery.http.problems import ProblemType
from recovery.mongo.fields import CHECKOUT, DEAD_LETTER, SUPPRESSION
from tests.support.api import Api
from tests.support.paths import ROOT

KEYLESS = {
    "takeShopifyWebhook",
    "takeWebhook",
    "reportBounce",
    "takeProviderEvents",
    "getHealth",
    "getReadiness",
    "getMetrics",
}
SCHEMAS = description()["components"]["schemas"]
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


def test_the_schema_of_a_time_zone_fits_every_time_zone():
    """Every name of the tz database matches the pattern of a time zone, and what cannot be a name does not."""
    schema, _ = SCHEMAS["Checkout"]["properties"]["time_zone"]["anyOf"]
    names = available_timezones()
    assert {name for name in names if re.search(schema["pattern"], name)} == names
    assert max(map(len, names)) <= schema["maxLength"]
    assert set(schema["examples"]) <= names
    for name in ("", "Europe/", "/etc/passwd", "../UTC", "Central European Time", "+01:00", "Europe/Berlin\n"):
        assert not re.search(schema["pattern"].replace("$", r"\Z"), name)


def test_the_schema_of_an_address_names_the_domains_that_are_refused():
    """The description of an address lists the top-level domains that are refused."""
    for schema in (SCHEMAS["Customer"], SCHEMAS["Person"]):
        told = schema["properties"]["email"]["description"]
        assert set(re.findall(r"`([a-z]+)`", told)) == set(SPECIAL_USE_DOMAIN_NAMES)


def test_an_export_is_described_with_the_fields_of_its_documents():
    """The schema of an export has all fields of the stored documents, with those of embedded ones; times are texts."""
    answer = OPERATIONS["exportPerson"]["responses"]["200"]["content"]["application/json"]["schema"]
    export = SCHEMAS[answer["$ref"].rpartition("/")[2]]["properties"]
    for name, fields in {"checkouts": CHECKOUT, "dead_letters": DEAD_LETTER, "suppressions": SUPPRESSION}.items():
        assert export[name]["items"]["properties"].keys() == fields.keys()
    checkout, letter = (export[name]["items"]["properties"] for name in ("checkouts", "dead_letters"))
    assert checkout["next_at"] == {
        "description": CHECKOUT["next_at"].meaning,
        "type": ["string", "null"],
        "format": "date-time",
    }
    assert checkout["revision"]["type"] == "integer"
    assert checkout["known_as"]["items"] == {"type": "string"}
    assert checkout["messages"]["additionalProperties"]["properties"]["sent_at"]["format"] == "date-time"
    assert letter["errors"]["items"]["properties"]["error"]["type"] == "string"


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
