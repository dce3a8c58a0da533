"""An agent's core and store without a network: events are played, effects are kept, time stands until it is moved."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import apsw

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement
from edge_agent.admission import Admission, Binding, ClockTolerance
from edge_agent.clock_trust import Always
from edge_agent.core import Core
from edge_agent.events import (
    Acknowledge,
    Applied,
    Arrival,
    Arrived,
    Batch,
    Commit,
    Committed,
    Delivered,
    Event,
    Forked,
    Hold,
    Refused,
    Resume,
    Send,
    Tick,
    Uncommitted,
    Undelivered,
)
from edge_agent.privacy.classes import classify
from edge_agent.privacy.release import people_counts
from edge_agent.privacy.rules import Rule
from edge_agent.reporting import Surroundings
from edge_agent.room import Room
from edge_agent.state import State
from edge_agent.store import Store, summaries
from edge_agent.store.audit import Audit, audit
from edge_agent.timetable import Timetable
from edge_agent.timing import Timing
from edge_agent.transactions import Span
from edge_agent.windows import Cadence
from telemetry import ManualClock, Placement, Role, quantity
from telemetry.policy import Policy, load_policy
from telemetry.uplink_contract import BatchId, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_agent.clock_trust import ClockTrust
    from edge_agent.privacy.budget import Budget
    from edge_agent.privacy.noise import Noise
    from edge_agent.transactions import Transaction

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
MONDAY_9: Final = 1_760_317_200_000
"""2025-10-13 09:00 in Shanghai: a Monday, in lesson time."""
SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
TIMETABLE: Final = Timetable(
    SHANGHAI, frozenset(range(5)), ((dt.time(8), dt.time(11, 45)), (dt.time(13), dt.time(16, 30)))
)


class ListDriver:
    """Reads frames that are JSON lists of [quantity, value, channel, event_ms]; raises where it is told to."""

    def decode(self, frame: Frame) -> Decoded:
        document = json.loads(frame.payload)
        if document == "refuse":
            raise FrameRefused("malformed", "told to")
        if document == "raise":
            raise RuntimeError("told to")
        return Decoded.of(Measurement(*row) for row in document)


def frame(*rows: Sequence[object] | str) -> Frame:
    """A frame of such rows, or the one word that makes the driver refuse or raise."""
    return Frame(json.dumps(rows[0] if rows and isinstance(rows[0], str) else rows).encode())


STRICT: Final = load_policy("strict", Path())
STANDARD: Final = load_policy("standard", Path())
"""Tells one count of people for the campus."""


def bind(device: str, quantities: Iterable[str], **settings: Any) -> Binding:
    """A device as the configuration would bind it."""
    placement, role = settings.get("placement", Placement.INDOOR), settings.get("role", Role.ROOM_SENSOR)
    policy = settings.get("policy", STRICT)
    return Binding(
        device=device,
        building="a",
        room=settings.get("room", "a-301"),
        driver_id="list",
        driver=settings.get("driver", ListDriver()),
        channels=frozenset({"poison"}),
        cadence=settings.get("cadence", Cadence(MINUTE, 3 * MINUTE)),
        rules={
            name: Rule(quantity(name), classify(quantity(name), placement, role), policy, placement)
            for name in quantities
        },
    )


DEVICES: Final = (
    bind("air", ("carbon_dioxide", "temperature", "battery")),
    bind("meter", ("power", "energy"), role=Role.ROOM_METER),
    bind("mast", ("temperature", "wind_speed"), placement=Placement.OUTDOOR),
    bind("board", ("display_power", "lamp_hours"), role=Role.DISPLAY),
    bind("door", ("people_count", "people_in"), role=Role.PEOPLE_COUNTER),
    bind("alarm", ("smoke", "water_leak"), role=Role.SAFETY),
)
TIMING: Final = Timing(lateness_ms=2 * MINUTE)
ROOM: Final = Room(limit_bytes=None, free_bytes=lambda: 1 << 30)


class Bench:
    """One agent without its network; its store is real. Time, commits and the centre's answers come by call."""

    def __init__(
        self,
        folder: Path,
        *,
        devices: Sequence[Binding] = DEVICES,
        timing: Timing = TIMING,
        timetable: Timetable = TIMETABLE,
        seed: int = 0,
        at_ms: int = MONDAY_9,
        room: Room = ROOM,
        clock_trust: ClockTrust | None = None,
        policy: Policy = STRICT,
        make_noise: Callable[[Budget], Noise] | None = None,
        waits_at_first: bool = False,
        open_store: Callable[[Path, Callable[[], str]], Store] = lambda folder, epoch: Store(folder, new_epoch=epoch),
    ) -> None:
        self.folder = folder
        self.devices = devices
        self.timing = timing
        self.timetable = timetable
        self.room = room
        self.clock_trust = clock_trust or Always()
        self.policy = policy
        self.make_noise = make_noise or self._seeded_noise
        self.waits_at_first = waits_at_first
        self.clock = ManualClock(at_ms, 1000.0)
        self.rng = random.Random(seed)
        self.commits: list[Transaction] = []
        self.sends: list[Send] = []
        self.is_holding = False
        self.acknowledged: list[object] = []
        self.bodies: dict[BatchId, bytes] = {}
        self._open_store = open_store
        self.start()

    def start(self) -> None:
        """Open the store and rebuild the core, as an agent does."""
        self.store = self._open_store(self.folder, lambda: f"{self.rng.getrandbits(64):016x}")
        begin_ms = self.clock.now() - self.timing.lateness_ms
        admission = Admission([(binding, "") for binding in self.devices], ClockTolerance(2 * MINUTE, DAY))
        state = State.rebuild(self.store.load(begin_ms), self.timetable, admission.bindings)
        self.core = Core(
            school="cn-002",
            admission=admission,
            state=state,
            clock=self.clock,
            rng=self.rng,
            timing=self.timing,
            surroundings=Surroundings(100, 1, self.room, self.clock_trust),
            new_epoch=lambda: f"{self.rng.getrandbits(64):016x}",
            people=people_counts(
                self.policy.tables.P2,
                self.timetable,
                state=state,
                bindings=admission.bindings,
                school="cn-002",
                clock=self.clock,
                waits_at_first=self.waits_at_first,
                make_noise=self.make_noise,
            ),
        )

    def _seeded_noise(self, budget: Budget) -> Noise:
        """What a seed can replay, in place of OpenDP: as wide, and not as exact."""
        sigma = budget.sigma_milli / 1000
        return lambda exact: exact + round(self.rng.gauss(0, sigma))

    def stop(self) -> None:
        """As a crash: what is not on disk is gone."""
        self.store.close()
        self.commits.clear()
        self.sends.clear()

    def restart(self) -> None:
        """A crash, and a start on what it left."""
        self.stop()
        self.start()

    def play(self, event: Event) -> None:
        """One event; its effects are kept, and checked against what was promised before."""
        for effect in self.core.handle(event):
            match effect:
                case Commit(transaction):
                    assert not self.commits, "two transactions under way"
                    self.commits.append(transaction)
                case Acknowledge(batches):
                    self.acknowledged += [batch.token for batch in batches]
                case Send(batch, _, body):
                    assert self.bodies.setdefault(batch, body) == body, f"batch {batch} has changed"
                    self.sends.append(effect)
                case Hold() | Resume():
                    self.is_holding = isinstance(effect, Hold)

    def arrive(
        self,
        device: str,
        *frames: Frame,
        session: str = "",
        packet_id: int = 0,
        duplicate: bool = False,
        token: object = None,
    ) -> None:
        """Frames of one device come in, each by itself, with its token or itself as its token."""
        for each in frames:
            arrival = Arrival(each, packet_id, duplicate)
            now, own = self.clock.now(), each if token is None else token
            self.play(Arrived([Batch([arrival], now, device, session=session, token=own)]))

    def commit(self) -> None:
        """Write the transaction that is under way, and say so; or that there is no room for it."""
        transaction = self.commits.pop()
        try:
            written = self.store.commit(transaction)
        except apsw.FullError:
            self.play(Uncommitted(transaction))
        else:
            self.play(Committed(transaction, written))

    def settle(self) -> None:
        """Let time pass until nothing waits for the disk but windows and summaries."""
        for _ in range(200):
            while self.commits:
                self.commit()
            if self.core.is_idle:
                return
            self.pass_time(50)
        raise AssertionError("the core does not come to rest")

    def pass_time(self, milliseconds: int) -> None:
        """Both clocks move on, and the core is told."""
        self.clock.advance(milliseconds)
        self.play(Tick())

    def checkpoint(self) -> None:
        """As a planned stop does before the end."""
        self.core.flush()
        self.play(Tick())
        self.settle()

    def read(self, device: str, *rows: Sequence[object]) -> None:
        """One frame, all the way to the disk."""
        self.arrive(device, frame(*rows))
        self.settle()

    def until_closed(self, milliseconds: int) -> None:
        """Time passes in steps of ten seconds, with everything written that becomes due."""
        for _ in range(0, milliseconds, 10 * SECOND):
            self.pass_time(10 * SECOND)
            self.settle()

    def answer(self, kind: Callable[[BatchId], Event]) -> Send:
        """The centre's answer to the batch under way, written down."""
        send = self.sends.pop(0)
        self.play(kind(send.batch))
        self.settle()
        return send

    def audit(self) -> Audit:
        """The balance as it stands on disk."""
        bindings: Mapping[str, Binding] = {binding.device: binding for binding in self.devices}
        return audit(self.folder, self.timetable, bindings)

    def told(self) -> list[str]:
        """Every summary in the outbox, sealed or not, oldest window first."""
        connection = self.store._connection
        waiting = [each.line for each in summaries.read_all(connection)]
        sealed = connection.execute("SELECT body FROM batch WHERE state = 'sealed' AND kind = 'summaries'")
        lines = [*(line for (body,) in sealed for line in unseal(body).decode().splitlines()), *waiting]
        return sorted(lines, key=lambda line: int(line.rpartition(" ")[2]))


def lines_of(send: Send) -> list[str]:
    """The summaries inside a batch."""
    return unseal(send.body).decode().splitlines()


def refused(batch: BatchId) -> Event:
    """The centre's 422, marked."""
    return Refused(batch, 422, Applied(batch.sequence, b""))


def undelivered(batch: BatchId) -> Event:
    """No answer."""
    return Undelivered(batch, "no connection")


def delivered(batch: BatchId) -> Event:
    """The centre's 204, where it has the next batch too, and so states the head behind that."""
    return Delivered(batch, Applied(batch.sequence + 1, b""))


def forked(batch: BatchId) -> Event:
    """The centre's 409: it has other bytes by that number, and nothing of ours is told by them."""
    return Forked(batch, Applied(batch.sequence, b""), Span(0, 0))
