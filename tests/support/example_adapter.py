"""The shortest adapter that works: the example of CONTRIBUTING.md."""

from collections.abc import Mapping, Sequence

from recovery.domain.checkout import Checkout, Order
from recovery.shops.adapter import Adapter, Trust, WebhookRequest, header_of, hmac_fault
from recovery.shops.events import Found, Ignored, Reported


class ExampleShop(Adapter):
    """Example Shop signs its webhooks in hexadecimal digits."""

    name, title, signature_header = "example", "Example Shop", "X-Example-Signature"

    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        return hmac_fault(body, header_of(headers, self.signature_header), trust.secrets, encoding="hex")

    def read(self, request: WebhookRequest) -> Sequence[Found]:
        report = {**request.json(), "shop": request.shop}
        kinds = {"checkout": Checkout, "order": Order}
        kind = kinds.get(report.pop("event", None))
        return [Reported(kind.model_validate(report)) if kind else Ignored("this event is not about a checkout")]
