"""The OpenAPI description."""

import json


async def test_description_is_whole(api):
    """Every $ref of the OpenAPI description resolves."""
    description = (await api.client.get("/openapi.json")).json()
    referred = {part.split('"')[0] for part in json.dumps(description).split("#/components/schemas/")[1:]}
    assert referred <= set(description["components"]["schemas"])
    assert {"Checkout", "Order", "ProblemDetails", "CheckoutView"} <= referred
    assert "HTTPValidationError" not in referred
    assert "HTTPBearer" not in description["components"]["securitySchemes"]


async def test_examples_are_accepted(api):
    """The examples of the documentation are valid reports."""
    paths = (await api.client.get("/openapi.json")).json()["paths"]
    for path in ("/checkout", "/order"):
        example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert (await api.post(path, example)).status_code == 202
