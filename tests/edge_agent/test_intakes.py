"""Intakes from lines and sockets: real pseudo-terminals and real TCP, with devices that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pty
import struct
import tty
from typing import TYPE_CHECKING, Final

import pytest

from bansui.free_port import free_port
from device_drivers.contract import Frame, Settings
from device_drivers.registry import named
from device_drivers.tables.frames import StreamedFrames
from edge_agent.intake import availability
from edge_agent.intake import tcp_poll as polling
from tests.edge_agent.running import configure, running
from tests.edge_agent.servers import serving
from tests.support.descriptors import crowded
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SERIAL: Final = """
[[device]]
id = "pm"
room = "a-301"
role = "room_sensor"
driver = "plantower"
model = "PMS5003"
serial = {{ port = "{port}" }}
"""
_TCP: Final = """
[[device]]
id = "projector"
room = "a-301"
role = "display"
driver = "pjlink"
tcp = {{ host = "127.0.0.1", port = {port} }}
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a person's patience, cut down to a test's."""
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(polling, "ANSWER_TIMEOUT_S", 0.3, raising=False)


def pms5003(pm25: int) -> bytes:
    """A frame as the manual has it: 42 4d, length 28, thirteen words, the sum of all bytes before."""
    words = [1, pm25, 3, 1, pm25, 3, 100, 50, 20, 10, 5, 2, 0x9700]
    frame = b"BM" + struct.pack(">H13H", 28, *words)
    return frame + struct.pack(">H", sum(frame))


class Line:
    """A serial line whose device end is ours; its name stays when the device is plugged in again."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.plug()

    def plug(self) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.master)
        with contextlib.suppress(OSError):
            os.close(self._slave)
        self.name.unlink(missing_ok=True)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "ttyUSB0")
    yield made
    made.unplug()


async def test_half_frames_and_garbage_on_a_line(tmp_path: Path, line: Line) -> None:
    """Cut anywhere, with noise and flipped bytes between: every whole frame counts, once."""
    good = pms5003(35)
    broken = bytes([*good[:10], good[10] ^ 1, *good[11:]])
    async with running(configure(tmp_path / "agent", _SERIAL.format(port=line.name))) as agent:
        await until(lambda: agent.agent.health.port)
        stream = b"noise BM" + good + broken + b"\x00" * 7 + good + good
        for position in range(0, len(stream), 5):
            line.send(stream[position : position + 5])
            await asyncio.sleep(0.002)
        each = per_frame()
        await until(lambda: agent.balance["admitted"] >= 3 * each)
        await agent.stop()
        assert agent.audit().balance["admitted"] == 3 * each
        assert agent.audit().faults == []


def per_frame() -> int:
    """How many readings one frame of this model holds."""
    return len(named("plantower").create(Settings(model="PMS5003")).decode(Frame(pms5003(35))).measurements)


async def test_a_line_among_a_thousand_connections(tmp_path: Path, line: Line) -> None:
    """Its descriptor is one that select(2) does not know."""
    with crowded():
        async with running(configure(tmp_path / "agent", _SERIAL.format(port=line.name))) as agent:
            await until(lambda: agent.agent.health.port)
            line.send(pms5003(35))
            await until(lambda: agent.balance["admitted"] == per_frame())
            await agent.stop()


async def test_a_line_that_goes_away_and_comes_back(
    tmp_path: Path, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Unplugged and plugged in again: said once each, shown meanwhile, and the readings go on."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    async with running(configure(tmp_path / "agent", _SERIAL.format(port=line.name))) as agent:
        line.send(pms5003(35))
        await until(lambda: agent.balance["admitted"] == per_frame())
        line.unplug()
        await until(lambda: agent.agent._unavailable() == 1)
        await asyncio.sleep(0.2)
        line.plug()
        await until(lambda: agent.agent._unavailable() == 0)
        line.send(pms5003(36))
        await until(lambda: agent.balance["admitted"] == 2 * per_frame())
        await agent.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_port_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The agent runs without it, says so once, and takes it when it comes."""
    name = tmp_path / "ttyUSB0"
    async with running(configure(tmp_path / "agent", _SERIAL.format(port=name))) as agent:
        await until(lambda: agent.agent._unavailable() == 1)
        await asyncio.sleep(0.2)
        late = Line(name)
        try:
            await until(lambda: agent.agent._unavailable() == 0)
            await agent.stop()
        finally:
            late.unplug()
    assert len([record for record in caplog.records if "unavailable" in record.getMessage()]) == 1


async def test_a_driver_that_fails_on_a_stream(
    tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A vendor's mistake marks its device unavailable; the agent and everything else go on."""

    def fails(_driver: object, _buffer: bytearray) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(StreamedFrames, "split", fails)
    async with running(configure(tmp_path / "agent", _SERIAL.format(port=line.name))) as agent:
        line.send(b"x")
        await until(lambda: "ZeroDivisionError" in caplog.text)
        await asyncio.sleep(0.1)
        assert not agent.task.done()
        await agent.stop()


class Projector:
    """PJLink over TCP, well or ill."""

    def __init__(self) -> None:
        self.mood = "well"
        self.rounds = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.rounds += 1
        if self.mood == "hangs up":
            writer.close()
            return
        if self.mood == "silent":
            await reader.read()
            return
        writer.write(b"PJLINK 0\r")
        while line := await reader.readuntil(b"\r"):
            if self.mood == "endless":
                while not writer.is_closing():
                    writer.write(b"=" * 65_536)
                    await writer.drain()
            reply = b"%1POWR=1\r" if line.startswith(b"%1POWR") else line[:6] + b"=ERR1\r"
            writer.write(reply)


@pytest.mark.parametrize("mood", ["silent", "hangs up", "endless"])
async def test_a_device_that_is_asked(tmp_path: Path, mood: str, caplog: pytest.LogCaptureFixture) -> None:
    """It answers; then it is silent, hangs up or does not stop talking; then it is well again: said once each."""
    caplog.set_level(logging.INFO, "edge_agent.intake.availability")
    projector = Projector()
    async with serving(projector.answer) as port, running(configure(tmp_path, _TCP.format(port=port))) as agent:
        await until(lambda: agent.balance["admitted"] > 2)
        projector.mood = mood
        await until(lambda: agent.agent._unavailable() == 1, timeout=20)
        rounds = projector.rounds
        await until(lambda: projector.rounds >= rounds + 2, timeout=20)
        projector.mood = "well"
        await until(lambda: agent.agent._unavailable() == 0, timeout=20)
        before = agent.balance["admitted"]
        await until(lambda: agent.balance["admitted"] > before)
        await agent.stop()
        assert agent.audit().faults == []
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_device_may_be_away_for_years(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait doubles up to its longest, and stays there; it is said once."""
    monkeypatch.setattr(availability, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(availability, "LONGEST_WAIT_S", 60.0)
    away = availability.Availability("projector")
    waits = [away.down("no answer") for _ in range(2_000)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(waits[6:]) == {60}
    assert len(caplog.records) == 1
    assert not away.is_available
    away.up()
    assert away.down("no answer") == 1


async def test_nobody_at_the_address(tmp_path: Path) -> None:
    """A refused connection is a device that is not there, no more."""
    async with running(configure(tmp_path, _TCP.format(port=free_port()))) as agent:
        await until(lambda: agent.agent._unavailable() == 1)
        await agent.stop()
