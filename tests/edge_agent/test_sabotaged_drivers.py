"""Drivers that hang, block, flood, raise, babble or leak: each is marked once, recovers, and holds nobody else up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pty
import time
import tty
from typing import TYPE_CHECKING, Any, Final

import pytest

from device_drivers.contract import Decoded, Frame, Layout, Row
from device_drivers.registry import DriverEntry, discover
from edge_agent import bindings, config_file, driver_guard
from edge_agent.admission import MOST_ROWS
from edge_agent.driver_guard import DriverBlocked, DriverGuard, Suspension, size_of
from edge_agent.intake import availability
from tests.edge_agent.harness import Bench, bind, frame
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.edge_agent.servers import serving
from tests.edge_agent.test_agent import Bridge
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from device_drivers.contract import Connection

LAYOUT: Final = Layout((("temperature", ""),))


class Sabotaged:
    """Does as its payload says; `bad` is what the first frames, or rounds, do."""

    def __init__(self, deed: str = "") -> None:
        self.deed = deed
        self.kept: list[bytes] = []

    def decode(self, frame: Frame) -> Decoded:
        deed = self.deed or json.loads(frame.payload)
        match deed:
            case "sleep":
                time.sleep(60)
            case "loop":
                while True:
                    try:
                        pass
                    except Exception:  # noqa: BLE001 - what a careless vendor writes
                        continue
            case "million":
                return Decoded(tuple(Row(LAYOUT, (1.0,)) for _ in range(MOST_ROWS + 1)))
            case "endless":
                return Decoded(rows=(Row(LAYOUT, (1.0,)) for _ in iter(int, 1)))  # type: ignore[arg-type] # that is the deed
            case "raise":
                raise RuntimeError
            case "nonsense":
                return None  # type: ignore[return-value] # that is the deed
            case "leak":
                self.kept.append(bytes(8 << 20))
        return Decoded((Row(LAYOUT, (20.0,)),))


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverGuard]:
    monkeypatch.setattr(driver_guard, "LONGEST_CALL_S", 0.05)
    made = DriverGuard()
    made.begin()
    yield made
    made.end()


@pytest.fixture
def bench(tmp_path: Path, guard: DriverGuard) -> Iterator[Bench]:
    devices = (bind("bad", ("temperature",), driver=Sabotaged()), bind("air", ("carbon_dioxide",)))
    made = Bench(tmp_path, devices=devices)
    made.core.admission.guard = guard
    yield made
    made.stop()


def say(deed: str) -> Frame:
    return Frame(json.dumps(deed).encode())


@pytest.mark.parametrize("deed", ["sleep", "loop"])
def test_a_call_that_does_not_end_is_broken_off(bench: Bench, deed: str, caplog: pytest.LogCaptureFixture) -> None:
    """The frame is refused, the device is left alone for a while, others go on; said once, and once when it is well."""
    caplog.set_level(logging.INFO)
    started = time.monotonic()
    for _ in range(5):
        bench.arrive("bad", say(deed))
        bench.arrive("air", frame(["carbon_dioxide", 700]))
    bench.settle()
    assert time.monotonic() - started < 3, "it was called again and again"
    balance = bench.audit()
    assert balance.devices["air"]["admitted"] == 5
    assert balance.rejected == {"driver_fault": 1, "driver_suspended": 4}
    assert bench.core.admission.suspended == 1
    bench.pass_time(2 * Suspension.FIRST_MS)
    bench.arrive("bad", say("fine"))
    bench.settle()
    assert bench.core.admission.suspended == 0
    assert bench.audit().devices["bad"]["admitted"] == 1
    said = [record.getMessage() for record in caplog.records if "device bad" in record.getMessage()]
    assert len(said) == 2
    assert "blocks on device bad" in said[0]
    assert "again" in said[1]


def test_the_rest_grows_with_each_time(bench: Bench) -> None:
    """A driver that always blocks costs less and less: a second, two, four, at most a minute."""
    suspension = Suspension()
    waits = [suspension.extend(0) for _ in range(9)]
    assert waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]
    assert suspension.holds(59_999)
    assert not suspension.holds(60_000)
    assert not suspension.holds(-1), "the clock was set back"
    suspension.lift()
    assert not suspension.holds(1)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("million", "too_many"), ("endless", "driver_fault"), ("raise", "driver_fault"), ("nonsense", "driver_fault")],
)
def test_what_no_device_gives_is_refused(bench: Bench, deed: str, reason: str) -> None:
    """A flood, an endless answer, an exception, nonsense: one rejected frame, and the next is taken."""
    bench.arrive("bad", say(deed), say("fine"))
    bench.settle()
    balance = bench.audit()
    assert balance.rejected == {reason: 1}
    assert balance.devices["bad"]["admitted"] == 1
    assert balance.faults == []


def test_a_signal_after_the_call_hurts_nobody(guard: DriverGuard) -> None:
    """What comes late finds no driver at work, and does nothing."""
    guard.calling = False
    guard._interrupt(0, None)
    guard.calling = True
    with pytest.raises(DriverBlocked):
        guard._interrupt(0, None)
    guard.calling = False


def test_a_leak_is_seen() -> None:
    """What a driver keeps is measured, and nothing that it shares with all."""
    driver = Sabotaged("leak")
    before = size_of(driver)
    driver.decode(say(""))
    assert size_of(driver) - before >= 8 << 20
    assert before < 100_000


async def test_a_driver_that_leaks_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the agent has grown, whoever keeps too much is replaced, and nobody else."""
    monkeypatch.setattr(driver_guard, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(driver_guard, "GROWTH", -1)
    bad, good = (bind(name, ("temperature",), driver=Sabotaged("leak")) for name in ("bad", "good"))
    kept = good.driver
    for each in (bad, good):
        each.renew = lambda: Sabotaged("leak")
    for _ in range(3):
        bad.driver.decode(say(""))
    task = asyncio.create_task(driver_guard.look_after({"bad": bad, "good": good}, 0))
    await until(lambda: not bad.driver.kept)  # type: ignore[attr-defined] # it is ours
    task.cancel()
    assert good.driver is kept
    assert sum("made anew" in record.getMessage() for record in caplog.records) == 1


class Poller(Sabotaged):
    """Asks over TCP, and does its deed in the middle of a round."""

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        await connection.write(b"?\r")
        answer = await connection.read_until(b"\r")
        if self.deed == "endless":
            while True:
                yield say("")
        if self.deed == "wait":
            await asyncio.sleep(3600)
        Sabotaged(self.deed).decode(say(""))
        yield Frame(answer)

    def decode(self, frame: Frame) -> Decoded:
        return Decoded((Row(LAYOUT, (20.0,)),))


class Splitter(Sabotaged):
    """Cuts frames out of a stream, and does its deed over it."""

    def split(self, buffer: bytearray) -> list[Frame]:
        if self.deed == "keep":
            return []
        if self.deed == "flood":
            return [say("")] * 100_000
        Sabotaged(self.deed).decode(say(""))
        taken, buffer[:] = bytes(buffer), b""
        return [Frame(taken)]

    def decode(self, frame: Frame) -> Decoded:
        return Decoded((Row(LAYOUT, (20.0,)),))


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Put a driver in the place of another that is there."""
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(driver_guard, "LONGEST_CALL_S", 0.05)

    def install(driver: Any) -> None:
        real = discover()

        class Entry:
            def __init__(self, entry: DriverEntry) -> None:
                self._entry = entry

            def __getattr__(self, name: str) -> object:
                return getattr(self._entry, name)

            def create(self, _settings: object) -> object:
                return driver

        chosen = "pjlink" if isinstance(driver, Poller) else "plantower"
        found = {name: Entry(entry) if name == chosen else entry for name, entry in real.items()}
        for module in (bindings, config_file):
            monkeypatch.setattr(module, "discover", lambda: found)

    return install


_TCP: Final = """
[[device]]
id = "bad"
room = "a-301"
role = "display"
driver = "pjlink"
cadence_s = 1
tcp = {{ host = "127.0.0.1", port = {port} }}
"""
_SERIAL: Final = """
[[device]]
id = "bad"
room = "a-301"
role = "room_sensor"
driver = "plantower"
model = "PMS5003"
serial = {{ port = "{port}" }}
"""


@pytest.mark.parametrize("deed", ["sleep", "loop", "raise", "endless"])
async def test_a_round_that_misbehaves(
    tmp_path: Path, install: Callable[[Any], None], deed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its device is unavailable, said once; messages of others go on being acknowledged; well again, it is back."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    driver = Poller(deed)
    install(driver)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r"):
            writer.write(b"20\r")

    async with serving(answer) as port, running(configure(tmp_path, LISTENER, SENSOR, _TCP.format(port=port))) as agent:
        bridge = Bridge(agent.agent)
        await until(lambda: agent.agent._unavailable() == 1)
        for _ in range(5):
            await until(bridge.publish().is_published, what="the others are held up")
        driver.deed = ""
        await until(lambda: agent.agent._unavailable() == 0, timeout=20)
        bridge.stop()
    said = [record.getMessage() for record in caplog.records if "device bad" in record.getMessage()]
    assert [("unavailable" in text, "is back" in text) for text in said] == [(True, False), (False, True)]


@pytest.mark.parametrize("deed", ["sleep", "loop", "raise", "keep", "flood"])
async def test_a_stream_that_is_cut_badly(
    tmp_path: Path, install: Callable[[Any], None], deed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same for a driver that cuts a serial line's bytes."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    driver = Splitter(deed)
    install(driver)
    ours, theirs = pty.openpty()
    for end in (ours, theirs):
        tty.setraw(end)
    os.set_blocking(ours, False)
    writing = True

    async def babble() -> None:
        while writing:
            with contextlib.suppress(BlockingIOError):
                os.write(ours, b"20" * 2000)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(babble())
    async with running(configure(tmp_path, LISTENER, SENSOR, _SERIAL.format(port=os.ttyname(theirs)))) as agent:
        bridge = Bridge(agent.agent)
        await until(lambda: agent.agent._unavailable() == 1, timeout=20)
        for _ in range(5):
            await until(bridge.publish().is_published, what="the others are held up")
        driver.deed = ""
        await until(lambda: agent.agent._unavailable() == 0, timeout=20)
        bridge.stop()
    writing = False
    await task
    os.close(ours)
    os.close(theirs)
    said = [record.getMessage() for record in caplog.records if "device bad" in record.getMessage()]
    assert [("unavailable" in text, "is back" in text) for text in said] == [(True, False), (False, True)]
