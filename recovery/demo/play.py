"""The driver of the demo: reports each scene to the HTTP API at its time, and reads the stored checkout back."""

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

from recovery.demo import DemoFailed
from recovery.demo.configuration import DOMAIN
from recovery.demo.report import Case, Report, judge, missing
from recovery.demo.stage import Stage
from recovery.demo.story import Scene, Story, Visit
from recovery.demo.timetable import Event, Kind
from recovery.domain.schedule import CONFIRMATION
from recovery.mail.composer import message_id

QUIET = 1.0
"""Seconds to listen on after the last time at which a mail could come, due or not."""
PATIENCE = 5.0
"""Seconds to wait for an overdue mail, before it counts as missing."""


class Play:
    """One run of a story. `on_scene` is called for each scene as it begins."""

    def __init__(self, story: Story, stage: Stage, on_scene: Callable[[Visit, Scene], None]) -> None:
        self._story = story
        self._stage = stage
        self._on_scene = on_scene
        self._events: dict[str, list[Event]] = {visit.token: [] for visit in story.checkouts}
        self._delays = {step.name: step.delay for step in stage.schedule.steps}
        self.steps = [*self._delays, CONFIRMATION]
        self._messages = {
            message_id(story.id(visit), step, DOMAIN): (visit, step) for visit in story.checkouts for step in self.steps
        }

    def message(self, identifier: str) -> tuple[Visit, str] | None:
        """Return the checkout and the step of this Message-ID, or None if it is unknown."""
        return self._messages.get(identifier)

    async def perform(self) -> Report:
        """Report all scenes, wait for due mails and for any that should not come, and return the report."""
        await self._request(
            "GET", "/openapi.json"
        )  # the first request loads the endpoints, and no scene waits for that
        begun = asyncio.get_running_loop().time()
        for visit, scene in self._story.scenes():
            await asyncio.sleep(begun + scene.at - asyncio.get_running_loop().time())
            self._on_scene(visit, scene)
            self._events[visit.token].append(await self._report(visit, scene))
        await asyncio.sleep((self._last_chance() - self._stage.clock.now()).total_seconds() + QUIET)
        cases, inbox = self._cases(), self._stage.inbox
        with suppress(TimeoutError):  # the report says what is missing
            async with asyncio.timeout(PATIENCE):
                await inbox.until(lambda: not missing(cases, inbox.mails, self._delays))
        return judge(cases, inbox.mails, self._delays)

    def _last_chance(self) -> datetime:
        """Return the last time at which any reminder could be due if orders and cancellations were ignored."""
        left = [event for events in self._events.values() for event in events if event.kind is Kind.LEFT]
        return max(event.stored_at for event in left) + max(self._delays.values())

    def _cases(self) -> list[Case]:
        return [
            Case(
                visit.customer,
                visit.email,
                visit.summary,
                self._events[visit.token],
                {step: message_id(self._story.id(visit), step, DOMAIN) for step in self.steps},
            )
            for visit in self._story.checkouts
        ]

    async def _report(self, visit: Visit, scene: Scene) -> Event:
        reported_at = self._stage.clock.now()
        if scene.topic is None:
            await self._request("DELETE", self._path(visit))
        else:
            body = scene.body(reported_at.isoformat(timespec="milliseconds"))
            await self._request("POST", "/webhooks/shopify", content=body, headers=self._signed(scene.topic, body))
        kept = (await self._request("GET", self._path(visit))).json()
        match scene.kind:
            case Kind.LEFT:
                return Event(Kind.LEFT, reported_at, datetime.fromisoformat(kept["touched_at"]))
            case Kind.ORDERED:
                return Event(Kind.ORDERED, reported_at, datetime.fromisoformat(kept["ordered_at"]))
            case Kind.CANCELLED:
                return Event(Kind.CANCELLED, reported_at, reported_at)

    def _path(self, visit: Visit) -> str:
        return f"/checkouts/{self._story.shop}/{visit.token}"

    def _signed(self, topic: str, body: bytes) -> Mapping[str, str]:
        digest = hmac.digest(self._stage.webhook_secret.encode(), body, "sha256")
        return {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": self._story.shop,
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        }

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._stage.api.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise DemoFailed(f"No answer from the API to {method} {path}: {type(exc).__name__} {exc}.") from exc
        if not response.is_success:
            raise DemoFailed(f"The API answers {method} {path} with {response.status_code}: {response.text[:300]}")
        return response
