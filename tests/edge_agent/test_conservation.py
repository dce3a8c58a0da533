"""Whatever happens, in whatever order: nothing is lost, nothing is told twice, and the balance closes."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.events import Arrival, Arrived, Batch, Undelivered
from edge_agent.timing import Timing
from telemetry.uplink_contract import REPORT_PATH
from tests.edge_agent.harness import DAY, HOUR, MINUTE, SECOND, Bench, delivered, forked, frame, lines_of, refused

if TYPE_CHECKING:
    from pathlib import Path

    from device_drivers.contract import Frame
    from edge_agent.events import Event
    from telemetry.uplink_contract import BatchId

SEEDS: Final = 40
STEPS: Final = 150
POISONED: Final = 0.02
"""Of readings, how many the centre will refuse: each costs it a batch for every halving until it stands alone."""
TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=400, batch_every_s=120, report_every_s=3600)


class Device:
    """Sends at QoS 1: again, with DUP, whatever was not acknowledged when the connection came back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: dict[int, Frame] = {}
        self.readings = 0
        self._packet = 0

    def new(self, content: Frame, readings: int) -> Arrival:
        self._packet = self._packet % 65_535 + 1
        self.sent[self._packet] = content
        self.readings += readings
        return Arrival(content, self._packet)

    def again(self) -> list[Arrival]:
        return [Arrival(content, packet, duplicate=True) for packet, content in self.sent.items()]

    def batch(self, arrivals: list[Arrival], now: int) -> Batch:
        token = self.name, [arrival.packet_id for arrival in arrivals]
        return Batch(arrivals, now, self.name, session=self.name, token=token)


class Centre:
    """Takes each batch once, refuses what holds a poisoned summary, and now and then an answer gets lost."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self._batches: dict[BatchId, bytes] = {}

    def has(self, batch: BatchId) -> bool:
        return batch in self._batches

    def take(self, batch: BatchId, lines: list[str], body: bytes) -> bool:
        if batch in self._batches:
            assert self._batches[batch] == body
            return True
        if any("channel=poison" in line for line in lines):
            return False
        self._batches[batch] = body
        for line in lines:
            series, _, rest = line.partition(" ")
            key = f"{series} {rest.rpartition(' ')[2]}"
            assert key not in self.stored, f"told twice: {line}"
            self.stored[key] = line
        return True


class Story:
    """One random life of an agent."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(folder, timing=TIMING, seed=seed)
        self.devices = [Device(binding.device) for binding in self.bench.devices]
        self.centre = Centre()
        self.jumps: deque[int] = deque()

    def run(self) -> None:
        actions = [self.arrive] * 8 + [self.pass_time] * 6 + [self.commit] * 8 + [self.answer] * 3
        actions += [self.crash, self.jump, self.resend]
        for _ in range(STEPS):
            self.random.choice(actions)()
            self.hear()

    def arrive(self) -> None:
        now = self.bench.clock.now()
        device = self.random.choice(self.devices)
        arrivals = [device.new(*self.content(device.name, now)) for _ in range(4)]
        self.bench.play(Arrived([device.batch(arrivals, now)]))

    def content(self, device: str, now: int) -> tuple[Frame, int]:
        rules = next(binding.rules for binding in self.bench.devices if binding.device == device)
        rows: list[list[object]] = []
        for name, rule in rules.items():
            bounds = rule.quantity.minimum, min(rule.quantity.maximum, 5000)
            is_poisoned = not rule.is_event and self.random.random() < POISONED
            channel = "poison" if is_poisoned else self.random.choice(["", "", "", "", "2"])
            stated = self.random.choice([None, now - self.random.randrange(20 * MINUTE), now, now + SECOND])
            rows.append([name, round(self.random.uniform(*bounds)), channel, stated])
        if self.random.random() < 0.2:
            return self.random.choice([(frame("refuse"), 1), (frame("raise"), 1), (frame(["ozone", 1e308]), 1)])
        return frame(*rows), len(rows)

    def pass_time(self) -> None:
        self.bench.pass_time(self.random.choice([50, 200, SECOND, MINUTE, 10 * MINUTE]))

    def commit(self) -> None:
        if self.bench.commits:
            self.bench.commit()

    def jump(self) -> None:
        if self.random.random() < 0.5:
            self.bench.clock.step(self.random.choice([-HOUR, -10 * MINUTE, -3 * SECOND, 3 * SECOND, 2 * HOUR]))

    def crash(self) -> None:
        """At any moment; what was under way got to the disk or did not."""
        if self.bench.commits and self.random.random() < 0.5:
            self.bench.store.commit(self.bench.commits[0])
        self.bench.restart()
        self.resend()

    def resend(self) -> None:
        for device in self.devices:
            again = device.again()
            if again:
                self.bench.play(Arrived([device.batch(again, self.bench.clock.now())]))

    def answer(self) -> None:
        if not self.bench.sends:
            return
        send = self.bench.sends.pop(0)
        chance = self.random.random()
        event: Event
        if chance < 0.1 and not self.centre.has(send.batch):
            event = forked(send.batch)
        elif chance < 0.3:
            event = Undelivered(send.batch, "no connection", self.random.choice([None, 5]))
        else:
            lines = [] if send.path == REPORT_PATH else lines_of(send)
            taken = self.centre.take(send.batch, lines, send.body)
            event = delivered(send.batch) if taken else refused(send.batch)
            if taken and chance < 0.4:
                event = Undelivered(send.batch, "the answer got lost")
        self.bench.play(event)
        if self.random.random() < 0.2:
            self.bench.play(event)

    def hear(self) -> None:
        """The devices take note of their acknowledgements."""
        for token in self.bench.acknowledged:
            assert isinstance(token, tuple)
            name, packets = token
            sent = next(device for device in self.devices if device.name == name).sent
            for packet in packets:
                sent.pop(packet, None)
        self.bench.acknowledged.clear()

    def end(self) -> None:
        """Everything that waits gets its time: commits, windows, answers."""
        self.resend()
        for _ in range(600):
            while self.bench.commits:
                self.bench.commit()
            self.hear()
            self.answer()
            self.bench.pass_time(5 * MINUTE if len(self.bench.sends) == 0 else 100)
            state = self.bench.core.state
            if not (state.waiting or state.open_readings() or state.unacknowledged or self.bench.commits):
                return
        raise AssertionError("summaries or readings are left for ever")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_and_nothing_told_twice(tmp_path: Path, seed: int) -> None:
    """Random arrivals, garbage, copies, crashes, time steps and answers: the three equations hold throughout."""
    story = Story(tmp_path, seed)
    try:
        story.run()
        assert story.bench.audit().faults == []
        story.end()
        found = story.bench.audit()
        assert found.faults == []
        assert found.balance["open"] == found.balance["waiting"] == 0
        assert not any(device.sent for device in story.devices), "a message was never acknowledged"
        once = found.balance["received"] - found.balance["duplicate"]
        assert once == sum(device.readings for device in story.devices)
        assert found.balance["acknowledged"] == len(story.centre.stored)
        assert found.balance["summaries"] == len(story.centre.stored) + found.balance["refused"]
        counts = {name: found.balance[name] for name in ("received", "summarised", "summaries")}
        assert all(counts.values()), f"the story was empty: {counts}"
    finally:
        story.bench.stop()


def test_a_day_passes_at_the_boundaries_of_days(tmp_path: Path) -> None:
    """A clock that is stepped over midnight and back: what is told again is a revision, and nothing is late."""
    bench = Bench(tmp_path, timing=TIMING)
    try:
        bench.read("board", ["display_power", 2])
        bench.clock.step(DAY)
        bench.until_closed(5 * MINUTE)
        bench.clock.step(-DAY)
        bench.read("board", ["display_power", 0])
        bench.clock.step(2 * DAY)
        bench.until_closed(5 * MINUTE)
        found = bench.audit()
        assert found.faults == []
        assert found.balance["late"] == 0
        first, second = bench.told()
        assert second.partition(" ")[0] == first.partition(" ")[0].replace(",room=", ",revision=2,room=")
        assert first.rpartition(" ")[2] == second.rpartition(" ")[2]
    finally:
        bench.stop()
