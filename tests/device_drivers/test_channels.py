"""A channel is a tag of what leaves the school: it is made of known words and small numbers, and of nothing else."""

from __future__ import annotations

import pytest

from device_drivers.channels import is_channel, words_in
from tests.privacy.canaries import canaries

WORDS = frozenset({"left", "bme280", "carbon_monoxide", "tariff", "outdoor"})


@pytest.mark.parametrize("channel", ["", "left", "2", "12", "tariff-1", "bme280-0x76", "bme280-1-2", "carbon_monoxide"])
def test_what_may_be_a_channel(channel: str) -> None:
    assert is_channel(channel, WORDS)


@pytest.mark.parametrize(
    "channel", ["zhang", "left-zhang", "13800138000", "138-00", "13-80-00", "-", "left-", "Left", "bme280-1-2-3-4-5-6"]
)
def test_what_may_be_none(channel: str) -> None:
    assert not is_channel(channel, WORDS)


def test_nothing_personal_is_a_channel_or_becomes_one() -> None:
    """Nor what is left of a longer name."""
    for value in canaries(900, 3):
        for text in (value, value.lower(), value.lower()[:16]):
            assert not is_channel(text, WORDS), text
        assert words_in(f"{value}_outdoor_{value}", WORDS) == "outdoor"


def test_words_are_not_cut() -> None:
    """The last ones that fit."""
    assert words_in("Carbon Outdoor LEFT bme280", WORDS) == "left-bme280"
