"""The examples of the OpenAPI description, by operation: what is sent, and what is answered when all goes well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_AT, _LATER = "2026-03-01T13:05:00Z", "2026-03-01T13:35:02Z"

_LISTED = {
    "id": "bikes.example/1042",
    "status": "open",
    "customer": {"email": "ada@example.com", "name": "Ada Lovelace"},
    "items": [
        {
            "name": "City bike",
            "variant": "Red",
            "price": "499.00",
            "quantity": 1,
            "url": None,
            "image_url": None,
        }
    ],
    "total": "504.90",
    "currency": "EUR",
    "checkout_url": "https://bikes.example/checkouts/1042",
    "locale": "en",
    "time_zone": None,
    "confirm": True,
    "consent": None,
    "opened_at": _AT,
    "touched_at": _AT,
    "active_at": None,
    "paused": None,
    "ordered_at": None,
    "revision": 1,
    "messages": {
        "reminder-1": {
            "state": "sent",
            "attempts": 1,
            "due_at": "2026-03-01T13:35:00Z",
            "retry_at": None,
            "replayed_at": None,
            "deferred_to": None,
            "sent_at": _LATER,
            "reason": None,
            "message_id": "<5b1c@bikes.example>",
            "reply": "250 2.0.0 Ok: queued",
            "ambiguous": 0,
            "handed_over": None,
        }
    },
    "sending_until": None,
    "returned": {},
    "experiments": {},
    "next_at": "2026-03-02T13:05:00Z",
    "purge_at": None,
}
_HISTORY = [{"at": _LATER, "decision": "sent reminder-1", "reason": "250 2.0.0 Ok: queued"}]
_PERSON = {"email": "ada@example.com", "shop": "bikes.example"}
_PLACE = {"shop": "bikes.example", "order_id": "1042"}


@dataclass(frozen=True, slots=True)
class Example:
    """The example of one operation: parameters by name, the JSON body, and the answer, None where there is no body."""

    answer: Any = None
    body: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


EXAMPLES: Mapping[str, Example] = {
    "reportCheckout": Example(answer={"id": "bikes.example/1042"}),
    "reportOrder": Example(answer={"id": "bikes.example/1042"}),
    "reportCheckouts": Example(answer='{"line": 1, "id": "bikes.example/1042"}\n'),
    "reportOrders": Example(answer='{"line": 1, "id": "bikes.example/1042"}\n'),
    "listCheckouts": Example(
        answer={"checkouts": [_LISTED], "unreadable": [], "next": "WzE3NzIzNzAzMDAwMDAsICJiaWtlcy5leGFtcGxlLzEwNDIiXQ"},
        parameters={"shop": ["bikes.example"], "status": "open", "limit": 50},
    ),
    "getCheckout": Example(answer=_LISTED | {"history": _HISTORY}, parameters=_PLACE),
    "cancelCheckout": Example(parameters=_PLACE),
    "exportPerson": Example(
        answer={
            "email": "ada@example.com",
            "checkouts": [{"_id": "bikes.example/1042", "status": "open", "address": "ada@example.com"}],
            "dead_letters": [],
            "suppressions": [],
        },
        body=_PERSON,
    ),
    "erasePerson": Example(
        answer={"checkouts": ["bikes.example/1042"], "dead_letters": [], "shadows": 1}, body=_PERSON
    ),
    "takeShopifyWebhook": Example(
        answer={"id": "bikes.myshopify.com/2a1ace52255252df566af0faaedfbfa7"},
        body={
            "id": 450789469,
            "token": "2a1ace52255252df566af0faaedfbfa7",
            "email": "ada@example.com",
            "updated_at": "2026-03-01T08:05:00-05:00",
            "abandoned_checkout_url": "https://bikes.example/450789469/checkouts/2a1ace52255252df566af0faaedfbfa7/recover",
            "currency": "EUR",
            "total_price": "504.90",
            "line_items": [{"title": "City bike", "price": "499.00", "quantity": 1}],
        },
        parameters={"X-Shopify-Topic": "checkouts/create", "X-Shopify-Shop-Domain": "bikes.myshopify.com"},
    ),
    "takeWebhook": Example(
        answer={"ignored": "this event is not about a checkout"},
        body={"event": "product.updated"},
        parameters={"platform": "shopify", "shop": "bikes.myshopify.com"},
    ),
    "reportBounce": Example(answer={"hard": 1, "soft": 0, "complaint": 0, "blocked": 0}),
    "takeProviderEvents": Example(
        answer={"hard": 1, "soft": 0, "complaint": 0, "blocked": 0, "unsubscribed": 0, "ignored": 0, "unread": 0},
        body={"RecordType": "Bounce", "Type": "HardBounce", "TypeCode": 1, "Email": "ada@example.com"},
        parameters={"provider": "postmark"},
    ),
    "getHealth": Example(answer={"alive": True}),
    "getReadiness": Example(answer={"ready": True, "checks": {"mongodb": None, "relay": None}}),
    "getMetrics": Example(answer='recovery_reports_total{answer="accepted",kind="checkout"} 1042.0\n'),
}
