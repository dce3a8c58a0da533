"""Three drivers misbehave at a time, one that decodes, one that asks and one that cuts a stream; good devices go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import random
import tty
from collections import Counter
from typing import TYPE_CHECKING, Final
from unittest import mock

from bansui.free_port import free_port
from edge_agent import driver_guard
from edge_agent.intake import availability, polling, tcp_poll
from tests.broker.device import Device, connect, publish
from tests.edge_agent.running import LISTENER, configure, running
from tests.edge_agent.sabotage import Poller, Sabotaged, Splitter
from tests.edge_agent.servers import serving
from tests.faults.box import LONGEST_SETTLING_S, account, devices, settle
from tests.faults.campaign import Campaign, Outcome
from tests.faults.hostile_centre import HostileCentre
from tests.faults.said import listening
from tests.faults.sender import READINGS_A_MESSAGE, Sender, sending
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator
    from pathlib import Path

    from edge_agent.admission import Binding
    from tests.edge_agent.running import Running
    from tests.faults.said import Said
    from tests.faults.sender import Load

SEED: Final = 7
SPEED: Final = 20.0
_DEVICES: Final = 5
DEEDS: Final = {
    "decoder": ("sleep", "loop", "million", "endless", "raise", "nonsense", "leak"),
    "asker": ("sleep", "loop", "raise", "endless", "wait"),
    "cutter": ("sleep", "loop", "raise", "keep", "flood"),
}
"""What each of the three may do."""
_SAID: Final = {"million": 0, "leak": 1}
"""How often a deed and its end are said, where that is not once each: a refused frame is no fault of the driver's."""
_BAD: Final = """
[[device]]
id = "asker"
room = "a-301"
role = "display"
driver = "pjlink"
cadence_s = 1
tcp = {{ host = "127.0.0.1", port = {port} }}
[[device]]
id = "cutter"
room = "a-301"
role = "room_sensor"
driver = "plantower"
model = "PMS5003"
serial = {{ port = "{line}" }}
"""


class Bad:
    """The three devices of an agent, with drivers of our own in the place of theirs."""

    def __init__(self, agent: Running) -> None:
        self._agent = agent
        self.bindings = {name: agent.agent._admission.bindings[name] for name in DEEDS}
        for name, kind in (("decoder", Sabotaged), ("asker", Poller), ("cutter", Splitter)):
            self.bindings[name].driver = kind()
            self.bindings[name].renew = kind
        self._before = self._counts()
        self._leaky: object = None

    def turn(self, deeds: dict[str, str]) -> None:
        """Do so from here on; an empty word is what is asked of a driver."""
        self._before = self._counts()
        self._leaky = self.bindings["decoder"].driver
        for name, deed in deeds.items():
            _driver(self.bindings[name]).deed = deed

    def is_struck(self, deed: str) -> bool:
        """Whether the agent has noticed all three."""
        asked = [each for _, intake in self._agent.agent._polled for each in intake.availabilities]
        if deed == "leak":
            noticed = self.bindings["decoder"].driver is not self._leaky
        else:
            noticed = self._counts()["rejected"] > self._before["rejected"]
        return noticed and not any(each.is_available for each in asked)

    def is_well(self) -> bool:
        """Whether all three are available, and the one that decodes is listened to."""
        return not self._agent.agent._unavailable() and self._counts()["admitted"] > self._before["admitted"]

    def _counts(self) -> Counter[str]:
        counts = Counter[str]()
        for key, number in self._agent.agent.core.state.counts.items():
            if key.device == "decoder":
                counts[key.stage] += number
        return counts


def _driver(binding: Binding) -> Sabotaged:
    assert isinstance(binding.driver, Sabotaged)
    return binding.driver


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A device that is asked over TCP."""
    try:
        while await reader.readuntil(b"\r"):
            writer.write(b"20\r")
    finally:
        writer.close()


async def _talk(port: int) -> None:
    """A device that publishes at QoS 0, well or not."""
    device = await Device.dial(port)
    try:
        await device.send(connect("decoder", username="bridge"))
        while True:
            await device.send(publish("zigbee2mqtt/decoder", b'""'))
            await asyncio.sleep(0.03)
    finally:
        await device.close()


async def _babble(line: int) -> None:
    """A device on a serial line."""
    while True:
        with contextlib.suppress(BlockingIOError):
            os.write(line, b"20" * 2000)
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _background(*works: Coroutine[object, object, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


async def _one_round(deeds: dict[str, str], bad: Bad, load: Load, said: Said) -> list[str]:
    """All three misbehave until that is noticed, and do well until that is; what was not as promised."""
    said.lines.clear()
    before = [sender.acknowledged for sender in load.senders]
    bad.turn(deeds)
    await until(lambda: bad.is_struck(deeds["decoder"]), LONGEST_SETTLING_S, f"{deeds} are noticed")
    for sender, acknowledged in zip(load.senders, before, strict=True):
        await until(lambda: sender.acknowledged > acknowledged, LONGEST_SETTLING_S, "others are heard")  # noqa: B023 - at once
    bad.turn(dict.fromkeys(deeds, ""))
    await until(bad.is_well, LONGEST_SETTLING_S, f"all are well after {deeds}")
    wrong = []
    for name, deed in deeds.items():
        lines = [line for line in said.lines if f"device {name}" in line]
        if len(lines) != _SAID.get(deed, 2):
            wrong.append(f"{name}, {deed}: it said {lines}")
    return wrong


def _least_tried(name: str, tried: Counter[str], rng: random.Random) -> str:
    return min(rng.sample(DEEDS[name], len(DEEDS[name])), key=lambda deed: tried[f"{name} {deed}"])


async def _live(count: int, folder: Path, said: Said, line: int, name: str) -> Outcome:
    rng, centre, port = random.Random(SEED), HostileCentre(), free_port()
    senders = [Sender(port, f"sensor-{number}", qos=1 + number % 2) for number in range(_DEVICES)]
    good = LISTENER.replace("port = 0", f"port = {port}"), devices([*(sender.name for sender in senders), "decoder"])
    tried = Counter[str]()
    broken: list[str] = []
    async with serving(centre.answer) as at, serving(_answer) as asked:
        bad_ones = _BAD.format(port=asked, line=name)
        path = configure(folder / "agent", *good, bad_ones, centre=f"http://127.0.0.1:{at}")
        async with running(path, speed=SPEED) as agent, sending(senders, agent.clock, 0.06) as load:
            bad = Bad(agent)
            async with _background(_talk(port), _babble(line)):
                while sum(tried.values()) < count:
                    deeds = {each: _least_tried(each, tried, rng) for each in DEEDS}
                    tried.update(f"{each} {deed}" for each, deed in deeds.items())
                    broken += await _one_round(deeds, bad, load, said)
            load.stop()
            late = await settle(load, centre.model)
            await agent.stop()
    found = account(agent.audit(), load, centre.model)
    seen = (
        f"{', '.join(f'{deed} {number}' for deed, number in sorted(tried.items()))}; meanwhile "
        f"{load.acknowledged * READINGS_A_MESSAGE:,} readings of good devices acknowledged"
    )
    broken += [sentence for sentence in (late, *found.faults) if sentence]
    return Outcome(sum(tried.values()), found.lost, found.doubled, seen, tuple(broken))


@contextlib.contextmanager
def _impatience() -> Iterator[None]:
    """Waits of a person's patience, cut down to a test's; no good call takes as long as a bad one may."""
    with contextlib.ExitStack() as stack:
        for module, attribute, value in (
            (availability, "FIRST_WAIT_S", 0.02),
            (availability, "LONGEST_WAIT_S", 0.1),
            (polling, "ROUND_TIMEOUT_S", 1.0),
            (tcp_poll, "ANSWER_TIMEOUT_S", 1.0),
            (driver_guard, "LONGEST_CALL_S", 0.15),
            (driver_guard, "LOOK_EVERY_S", 0.2),
            (driver_guard, "GROWTH", -1),
        ):
            stack.enter_context(mock.patch.object(module, attribute, value))
        yield


def run(count: int, folder: Path) -> Outcome:
    """So many deeds, three at a time, those that were tried least first."""
    ours, theirs = pty.openpty()
    for end in (ours, theirs):
        tty.setraw(end)
    os.set_blocking(ours, False)
    try:
        with _impatience(), listening("edge_agent") as said:
            return asyncio.run(_live(count, folder, said, ours, os.ttyname(theirs)))
    finally:
        os.close(ours)
        os.close(theirs)


CAMPAIGNS: Final = [
    Campaign(
        name="drivers",
        fault="drivers that hang, loop, raise, leak, flood or return nonsense, three at a time",
        short=21,
        long=600,
        run=run,
    )
]
