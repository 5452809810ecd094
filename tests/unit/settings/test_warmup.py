"""The warm-up of a new sending address, as people set it."""

from datetime import date

import pytest

from recovery.app.shops import relay_of
from recovery.domain.warmup import Warmup
from recovery.settings import load_settings

FIRST = date(2026, 12, 1)


def test_without_a_first_day_there_is_none():
    assert relay_of(load_settings()).warmup is None
    assert relay_of(load_settings(warmup={"from": "", "first_day": 20})).warmup is None


@pytest.mark.parametrize("day", [FIRST, "2026-12-01"])
def test_a_day_is_a_date_of_toml_or_a_text(day):
    assert relay_of(load_settings(warmup={"from": day})).warmup == Warmup(FIRST, 50, 1.5, 50_000, 0.003)


def test_it_is_set_in_the_environment(monkeypatch):
    monkeypatch.setenv("RECOVERY_WARMUP__FROM", "2026-12-01")
    monkeypatch.setenv("RECOVERY_WARMUP__GROWTH", "2")
    assert relay_of(load_settings()).warmup == Warmup(FIRST, 50, 2.0, 50_000, 0.003)


def test_it_may_differ_from_shop_to_shop():
    """A shop that is warmed up alone has a lane of its own: its relay differs by the warm-up."""
    settings = load_settings(shops={"new.example": {"warmup": {"from": "2026-12-01"}}})
    assert relay_of(settings).warmup is None
    assert relay_of(settings.of("new.example")).warmup.begins_on == FIRST
    assert relay_of(settings.of("new.example")) != relay_of(settings)
