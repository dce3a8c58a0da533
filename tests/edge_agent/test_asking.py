"""When devices are asked to say again what they are: seldom, few at once, and nothing but what the closed list has."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from device_drivers.contract import Decoded, Frame, Request, Settings
from device_drivers.registry import named
from edge_agent.admission import Admission, ClockTolerance
from edge_agent.asking import FIRST_WAIT_S, LONGEST_RETRY_S, MOST_AT_ONCE, RETRY_S, Asking
from edge_agent.driver_guard import DriverGuard
from edge_agent.events import Arrival
from telemetry import ManualClock
from tests.edge_agent.harness import MONDAY_9, bind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.contract import Driver

TOPIC: Final = "spBv1.0/school/{}/{}"
DATA: Final = b"\x18\x07"
"""A payload with a sequence number and no metric: enough to want a birth."""
BIRTH: Final = b"\x18\x00"


@dataclass
class Network:
    """A way that is there or not, and what went by it, when."""

    clock: ManualClock
    is_up: bool = True
    sent: list[tuple[float, str]] = field(default_factory=list)

    def publish(self, topic: str, payload: bytes, *, heard_at: str) -> bool:
        assert b"Node Control/Rebirth" in payload
        assert heard_at.rsplit("/", 1)[1] == topic.rsplit("/", 1)[1]
        if self.is_up:
            self.sent.append((self.clock.monotonic(), topic))
        return self.is_up


class Bench:
    """Sparkplug nodes by the real driver, on a clock that is moved."""

    def __init__(self, nodes: int = 1, drivers: Sequence[Driver] = (), seed: int = 1) -> None:
        self.clock = ManualClock(MONDAY_9)
        self.nodes = [f"plc-{number}" for number in range(nodes)]
        given = drivers or [named("sparkplug_b").create(Settings()) for _ in self.nodes]
        bound = [
            (bind(node, ("temperature",), driver=driver), f"spBv1.0/school/+/{node}/#")
            for node, driver in zip(self.nodes, given, strict=True)
        ]
        self.admission = Admission(bound, ClockTolerance(120_000, 120_000))
        self.network = Network(self.clock)
        self.asking = Asking(self.admission, self.clock, random.Random(seed), lambda: [self.network])

    def say(self, kind: str, payload: bytes, node: str = "plc-0") -> None:
        self.admission.admit(Arrival(Frame(payload, topic=TOPIC.format(kind, node))), "", self.clock.now())

    def live(self, seconds: float) -> None:
        """Look once a second."""
        for _ in range(int(seconds)):
            self.clock.advance(1000)
            self.asking.look()

    @property
    def moments(self) -> list[float]:
        return [moment for moment, _ in self.network.sent]


def test_a_node_that_owes_a_birth_is_asked_within_seconds_until_it_is_born() -> None:
    bench = Bench()
    bench.live(100)
    assert bench.network.sent == []
    bench.say("NDATA", DATA)
    bench.live(FIRST_WAIT_S[1] + 1)
    assert [topic for _, topic in bench.network.sent] == [TOPIC.format("NCMD", "plc-0")]
    assert (bench.asking.sent, bench.asking.awaited) == (1, 1)
    bench.say("NBIRTH", BIRTH)
    bench.live(2 * LONGEST_RETRY_S)
    assert (bench.asking.sent, bench.asking.awaited) == (1, 0)


def test_a_birth_that_comes_by_itself_makes_the_request_needless() -> None:
    """Somebody else asked, or messages were only out of order."""
    bench = Bench()
    bench.say("NDATA", DATA)
    bench.asking.look()
    bench.say("NBIRTH", BIRTH)
    bench.live(60)
    assert bench.network.sent == []


def test_a_node_that_does_not_answer_is_asked_ever_more_seldom_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.say("NDATA", DATA)
    with caplog.at_level(logging.INFO, "edge_agent.asking"):
        bench.live(6 * 3600)
        waits = [after - before for before, after in zip(bench.moments, bench.moments[1:], strict=False)]
        assert all(
            min(RETRY_S * 2**number, LONGEST_RETRY_S) <= wait <= 1.5 * min(RETRY_S * 2**number, LONGEST_RETRY_S) + 1
            for number, wait in enumerate(waits)
        )
        assert 8 <= len(bench.moments) <= 12
        assert [record.message.partition(":")[0] for record in caplog.records] == [
            "device plc-0 was asked 3 times to say again what it is"
        ]
        bench.say("NBIRTH", BIRTH)
        bench.live(1)
        assert caplog.records[-1].message == "device plc-0 said again what it is"


def test_a_node_whose_messages_are_lost_again_and_again_is_asked_as_seldom() -> None:
    """It answers each time: without that, a bad line would bring a birth every few seconds."""
    bench = Bench()
    for _ in range(3600 // 10):
        bench.say("NDATA", DATA)
        bench.live(5)
        bench.say("NBIRTH", BIRTH)
        bench.live(5)
        bench.say("NDATA", b"\x18\x09")
    assert 4 <= bench.asking.sent <= 7
    bench.say("NBIRTH", BIRTH)
    bench.live(LONGEST_RETRY_S + 2)
    before = bench.asking.sent
    bench.say("NDATA", b"\x18\x09")
    bench.live(FIRST_WAIT_S[1] + 1)
    assert bench.asking.sent == before + 1, "a quiet hour makes up for it"


def test_a_hundred_nodes_are_not_asked_at_once() -> None:
    bench = Bench(nodes=100)
    for node in bench.nodes:
        bench.say("NDATA", DATA, node)
    bench.live(30)
    assert len({topic for _, topic in bench.network.sent}) == len(bench.network.sent) == 100
    at_once = [bench.moments.count(moment) for moment in set(bench.moments)]
    assert max(at_once) <= MOST_AT_ONCE


def test_while_nobody_can_be_reached_nothing_counts_as_asked() -> None:
    bench = Bench()
    bench.network.is_up = False
    bench.say("NDATA", DATA)
    bench.live(7200)
    assert bench.asking.sent == 0
    bench.network.is_up = True
    bench.live(FIRST_WAIT_S[1] + 1)
    assert bench.asking.sent == 1


def test_one_seed_asks_at_the_same_moments() -> None:
    runs = [Bench(nodes=20, seed=seed) for seed in (5, 5, 6)]
    for bench in runs:
        for node in bench.nodes:
            bench.say("NDATA", DATA, node)
        bench.live(1000)
    assert runs[0].network.sent == runs[1].network.sent != runs[2].network.sent


GOOD: Final = Request(
    TOPIC.format("NCMD", "plc-0"),
    b"\x08\x01\x12\x1a\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01",
    TOPIC.format("NDATA", "plc-0"),
)


class Vendor:
    """A driver that wants what a test says, however often it is looked at."""

    def __init__(self, *wants: object, deed: str = "") -> None:
        self.wants, self.deed, self.looks = wants, deed, 0

    def decode(self, frame: Frame) -> Decoded:
        raise NotImplementedError

    def requests(self, now_ms: int) -> Sequence[Request]:
        self.looks += 1
        if self.deed == "sleep":
            time.sleep(60)
        if self.deed == "raise":
            raise RuntimeError(now_ms)
        return self.wants  # type: ignore[return-value] # a vendor's code is not checked


def test_a_vendors_driver_may_ask_too() -> None:
    bench = Bench(drivers=[Vendor(GOOD)])
    bench.live(FIRST_WAIT_S[1] + 1)
    assert bench.asking.sent == 1


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        (Vendor(GOOD, GOOD._replace(topic="spBv1.0/school/DCMD/plc-0/relay")), "would ask what no driver may ask"),
        (Vendor(GOOD._replace(payload=b"on")), "would ask what no driver may ask"),
        (
            Vendor(Request(TOPIC.format("NCMD", "other"), GOOD.payload, TOPIC.format("NDATA", "other"))),
            "would ask what no driver may ask",
        ),
        (Vendor(None), "fails with AttributeError"),
        (Vendor(deed="raise"), "fails with RuntimeError"),
        (Vendor(deed="sleep"), "blocks"),
    ],
    ids=["a command", "another payload", "another's node", "nonsense", "raises", "blocks"],
)
def test_a_driver_that_wants_anything_else_is_asked_for_nothing_more(
    vendor: Vendor, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and nothing of it is sent."""
    bench = Bench(drivers=[vendor])
    bench.admission.guard = DriverGuard()
    bench.admission.guard.begin()
    try:
        bench.live(100)
    finally:
        bench.admission.guard.end()
    assert bench.network.sent == []
    assert vendor.looks == 1
    assert [record.message for record in caplog.records] == [
        f"driver list {said}: device plc-0 is asked nothing any more"
    ]
