"""The demo's story as data: its checkouts, and the events of each with their times."""

import json
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict

from recovery.demo.timetable import Kind
from recovery.domain.checkout import checkout_id

_FILES = resources.files("recovery.demo") / "afternoon"
_TIMES = ("created_at", "updated_at", "processed_at")
_KINDS = {"checkouts/create": Kind.LEFT, "checkouts/update": Kind.LEFT, "orders/create": Kind.ORDERED}


class Scene(BaseModel):
    """One event, `at` seconds after the start; without a topic, the shop cancels the checkout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: float
    does: str
    topic: str | None = None
    file: str | None = None

    @property
    def kind(self) -> Kind:
        """The kind of event."""
        return Kind.CANCELLED if self.topic is None else _KINDS[self.topic]

    def body(self, now: str) -> bytes:
        """Return the webhook's body as Shopify would write it `now` (ISO 8601)."""
        payload: dict[str, Any] = json.loads((_FILES / str(self.file)).read_text("utf-8"))
        return json.dumps({**payload, **{name: now for name in _TIMES if name in payload}}).encode()


class Visit(BaseModel):
    """One checkout of the story. `email` is unique; `token` is Shopify's; `summary` is printed after the name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: str
    email: str
    token: str
    summary: str
    scenes: tuple[Scene, ...]


class Story(BaseModel):
    """A shop and its checkouts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shop: str
    checkouts: tuple[Visit, ...]

    def id(self, visit: Visit) -> str:
        """Return the key of a checkout."""
        return checkout_id(self.shop, visit.token)

    def scenes(self) -> Iterator[tuple[Visit, Scene]]:
        """Yield all scenes in order of time."""
        yield from sorted(
            ((visit, scene) for visit in self.checkouts for scene in visit.scenes), key=lambda pair: pair[1].at
        )


def afternoon() -> Story:
    """Return the story that comes with the demo."""
    return Story.model_validate(tomllib.loads((_FILES / "story.toml").read_text("utf-8")))
