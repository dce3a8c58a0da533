"""Wills: when they come into force, when they are taken back, and that they are never a message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from broker.limits import Limits
from broker.packets import NEVER_EXPIRES, Will
from broker.wills import Presence, Wills
from tests.broker.device import DISCONNECT, connect, packet, publish
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker.conftest import Listen, Running
    from tests.broker.device import Device

GONE: Final = ("sensor", "t/will", False)
BACK: Final = ("sensor", "t/will", True)


def delay(seconds: int) -> bytes:
    """Will Delay Interval."""
    return b"\x18" + seconds.to_bytes(4, "big")


def lasts(seconds: int) -> bytes:
    """Session Expiry Interval."""
    return b"\x11" + seconds.to_bytes(4, "big")


class Told:
    """Wills and what they told."""

    def __init__(self, most: int = 10) -> None:
        self.presences: list[Presence] = []
        self.wills = Wills(most, self.presences.append)

    def leave(self, delay_s: int, expiry_s: int, session: str = "c/1", topic: str = "t", now: float = 100.0) -> None:
        self.wills.leave(session, "c", Will(topic, delay_s), expiry_s, now)

    @property
    def gone(self) -> list[str]:
        return [one.topic for one in self.presences if not one.is_there]

    @property
    def back(self) -> list[str]:
        return [one.topic for one in self.presences if one.is_there]


@pytest.mark.parametrize(
    ("delay_s", "expiry_s", "after_s"),
    [(0, 0, 0), (0, NEVER_EXPIRES, 0), (30, 0, 0), (30, 60, 30), (30, 10, 10), (30, NEVER_EXPIRES, 30)],
)
def test_a_will_waits_for_its_delay_or_the_end_of_its_session(delay_s: int, expiry_s: int, after_s: int) -> None:
    told = Told()
    told.leave(delay_s, expiry_s)
    assert told.gone == ([] if after_s else ["t"])
    if after_s:
        assert told.wills.next_due == 100.0 + after_s
        told.wills.pass_time(100.0 + after_s - 0.1)
        assert not told.gone
        told.wills.pass_time(100.0 + after_s)
    assert told.gone == ["t"]
    told.wills.pass_time(1e9)
    told.wills.end("c/1")
    assert told.gone == ["t"], "a will comes into force once"


def test_a_device_that_is_back_in_time_was_never_gone() -> None:
    told = Told()
    told.leave(30, 60)
    told.wills.come_back("c/1", "c", None)
    told.wills.pass_time(1e9)
    assert not told.presences


def test_a_session_that_is_over_waits_no_longer() -> None:
    told = Told()
    told.leave(30, 60)
    told.wills.end("c/1")
    assert told.gone == ["t"]


@pytest.mark.parametrize(("session", "will"), [("c/1", None), ("c/made-up", Will("t"))])
def test_a_device_is_back_once_under_its_session_or_with_its_will(session: str, will: Will | None) -> None:
    told = Told()
    told.leave(0, 0)
    told.wills.come_back("c/other", "c", Will("another"))
    told.wills.come_back("c/other", "stranger", Will("t"))
    assert not told.back
    for _ in range(2):
        told.wills.come_back(session, "c", will)
    assert told.presences == [Presence("c", "t", is_there=False), Presence("c", "t", is_there=True)]


def test_the_longest_gone_are_forgotten_first() -> None:
    told = Told(most=3)
    for number in range(5):
        told.leave(0, 0, session=f"c/{number}", topic=f"t{number}")
    for number in range(5):
        told.wills.come_back(f"c/{number}", "c", None)
    assert told.back == ["t2", "t3", "t4"]
    assert not told.wills._gone
    assert not told.wills._topics


async def willed(running: Running, **options: object) -> Device:
    """A device with a will is in."""
    device = await running.dial()
    arguments: dict[str, object] = {"will": ("t/will", b"gone", 1), **options}
    await device.send(connect("w", **arguments))  # type: ignore[arg-type]
    kind, body = await device.read_packet()
    assert (kind, body[1]) == (0x20, 0)
    return device


async def drop(device: Device) -> None:
    """As when the power goes: no goodbye, no FIN."""
    device.writer.transport.abort()


async def farewell(device: Device, words: bytes) -> None:
    await device.send(words)
    await device.read_to_end()


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(
    ("words", "is_gone"),
    [(DISCONNECT, False), (b"", True), (publish("t/+"), True), (b"\x00\x00", True)],
    ids=["goodbye", "no goodbye", "a wrong topic", "garbage"],
)
async def test_only_a_goodbye_takes_a_will_back(listen: Listen, level: int, words: bytes, is_gone: bool) -> None:
    running = await listen(Limits(linger_s=0.1))
    device = await willed(running, level=level)
    await device.send(words)
    await device.close()
    await until(lambda: running.listener.counters["connections"] == 0)
    assert running.presences == ([GONE] if is_gone else [])
    assert running.listener.counters["deaths"] == is_gone
    assert not running.received, "a will is no reading"


@pytest.mark.parametrize(
    ("reason", "is_gone"),
    [(b"\x00", False), (b"\x00\x00", False), (b"\x04", True), (b"\x04\x00", True), (b"\x83", True)],
)
async def test_a_disconnect_takes_the_will_back_by_its_reason(listen: Listen, reason: bytes, is_gone: bool) -> None:
    running = await listen(Limits(linger_s=0.1))
    device = await willed(running, level=5)
    await farewell(device, packet(0xE0, reason))
    await device.close()
    await until(lambda: running.listener.counters["connections"] == 0)
    assert running.presences == ([GONE] if is_gone else [])


async def test_silence_beyond_the_keep_alive_brings_the_will_into_force(listen: Listen) -> None:
    running = await listen(Limits(linger_s=0.1))
    await willed(running, keep_alive=1)
    await until(lambda: running.presences == [GONE])
    assert running.refused("keep_alive") == 1


async def test_a_connection_that_is_not_admitted_leaves_no_will(listen: Listen) -> None:
    running = await listen(Limits(linger_s=0.1))
    device = await running.dial()
    await device.send(connect("w", password=b"wrong", will=("t/will", b"gone", 1)))
    await device.read_to_end()
    await device.close()
    await until(lambda: running.listener.counters["connections"] == 0)
    assert not running.presences


async def test_a_retained_will_is_kept_for_nobody(listen: Listen) -> None:
    running = await listen()
    await drop(await willed(running, will_retain=True))
    await until(lambda: running.presences == [GONE])
    other = await running.admitted()
    await other.expect_silence()
    assert not running.received


async def test_a_will_is_delayed_and_comes_into_force_by_itself(listen: Listen) -> None:
    running = await listen()
    await drop(await willed(running, level=5, properties=lasts(60), will_properties=delay(1)))
    await until(lambda: running.listener.counters["connections"] == 0)
    since = asyncio.get_running_loop().time()
    assert not running.presences
    await until(lambda: running.presences == [GONE])
    assert asyncio.get_running_loop().time() - since > 0.8
    await willed(running, level=5)
    assert running.presences == [GONE, BACK]


@pytest.mark.parametrize(
    ("options", "clean", "told"),
    [
        ({"level": 4}, False, [GONE, BACK]),
        ({"level": 5, "properties": lasts(60)}, False, [GONE, BACK]),
        ({"level": 5, "properties": lasts(60), "will_properties": delay(60)}, False, []),
        ({"level": 5, "properties": lasts(60), "will_properties": delay(60)}, True, [GONE, BACK]),
        ({"level": 5, "will_properties": delay(60)}, False, [GONE, BACK]),
    ],
    ids=["3.1.1", "5 without delay", "5 delayed, resumed", "5 delayed, clean start", "5 delayed, session ends"],
)
@pytest.mark.parametrize("leave", [drop, None], ids=["after a loss", "by taking over"])
async def test_a_new_connection_of_the_session_decides_on_the_will(
    listen: Listen,
    options: dict[str, object],
    clean: bool,
    told: list[tuple[str, str, bool]],
    leave: Callable[[Device], object] | None,
) -> None:
    running = await listen(Limits(linger_s=0.1))
    device = await willed(running, clean=False, **options)
    if leave is not None:
        await drop(device)
        await until(lambda: running.listener.counters["connections"] == 0)
    await willed(running, clean=clean, **options)
    assert running.presences == told


async def test_a_listener_that_stops_declares_nobody_dead(listen: Listen) -> None:
    running = await listen()
    await willed(running)
    await drop(await willed(running, level=5, properties=lasts(60), will_properties=delay(60)))
    running.presences.clear()
    await running.listener.stop()
    assert not running.presences
