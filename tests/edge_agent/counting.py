"""An agent with people counters, and a centre that says where it stands: what tests of people counts share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_agent.counts import CountKey
from edge_agent.events import Applied, Delivered
from edge_agent.timing import Timing
from edge_agent.windows import Cadence
from telemetry import Placement, decode_all
from telemetry.policy import Policy
from telemetry.uplink_contract import unseal
from tests.edge_agent.harness import HOUR, MINUTE, MONDAY_9, SECOND, STANDARD, Bench, bind, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.admission import Binding
    from edge_agent.events import Event
    from edge_agent.privacy.budget import Budget
    from edge_agent.privacy.noise import Noise
    from edge_agent.transactions import Transaction
    from telemetry import Summary
    from telemetry.uplink_contract import BatchId

MONDAY_8 = MONDAY_9 - HOUR
TIMING = Timing(lateness_ms=2 * MINUTE, batch_every_s=60, report_every_s=3600)
ROOM_POLICY = Policy(
    replace(STANDARD).tables.model_copy(update={"P2": STANDARD.tables.P2.model_copy(update={"export": "room"})}),
    b"",
)


def counter(device: str, room: str = "a-301", policy: Policy = STANDARD) -> Binding:
    return bind(device, ("people_count",), room=room, policy=policy, cadence=Cadence(5 * MINUTE, 15 * MINUTE))


DEVICES = (
    counter("door"),
    counter("hall", "a-302"),
    bind("mast", ("temperature",), policy=STANDARD, placement=Placement.OUTDOOR),
)


def none(budget: Budget) -> Noise:
    """No noise at all: what is told is what was counted."""
    return lambda exact: exact


def numbered(budget: Budget) -> Noise:
    """Another number at every draw."""
    drawn = iter(range(1000, 9999))
    return lambda exact: next(drawn)


class School(Bench):
    """An agent with people counters, and a centre that says where it stands."""

    def __init__(self, folder: Path, make_noise: Callable[[Budget], Noise] = none, **settings: Any) -> None:
        self.answers: Callable[[BatchId], Event] = self.confirmed
        usual: dict[str, Any] = {"devices": DEVICES, "timing": TIMING, "policy": STANDARD, "at_ms": MONDAY_8 - MINUTE}
        super().__init__(folder, make_noise=make_noise, **(usual | settings))

    def confirmed(self, batch: BatchId) -> Delivered:
        """The centre's 204: it has everything up to this batch, as this store does."""
        return Delivered(batch, Applied(batch.sequence, self.core.state.unacknowledged[batch].head))

    def work(self, milliseconds: int, people: int = 30, step: int = 5 * MINUTE) -> None:
        """Time passes; the counters and the mast report, the centre answers."""
        for _ in range(0, milliseconds, step):
            now = self.clock.now()
            self.arrive("door", frame(["people_count", people, "", now]))
            self.arrive("hall", frame(["people_count", 2 * people, "", now]))
            self.read("mast", ["temperature", 20])
            for _ in range(step // MINUTE):
                self.pass_time(MINUTE)
                self.settle()
                while self.sends:
                    self.answer(self.answers)

    def watch(self, milliseconds: int, look: Callable[[Transaction], object]) -> None:
        """Time passes, and each transaction is looked at before it is written; not, where `look` took it away."""
        for _ in range(0, milliseconds, SECOND):
            self.pass_time(SECOND)
            while self.commits:
                if not look(self.commits[0]):
                    self.commit()

    def rest(self, milliseconds: int) -> None:
        """Time passes with nothing measured, and the centre answers."""
        for _ in range(0, milliseconds, 10 * MINUTE):
            self.pass_time(10 * MINUTE)
            self.settle()
            while self.sends:
                self.answer(self.answers)

    def counts(self) -> list[Summary]:
        """What was told of people, sealed or not, acknowledged or not, oldest first."""
        bodies = [
            body
            for (body,) in self.store._connection.execute(
                "SELECT body FROM batch WHERE kind = 'summaries' AND body NOT NULL"
            )
        ]
        lines = [line for body in bodies for line in unseal(body).decode().splitlines()] + self.told()
        found = decode_all("".join(f"{line}\n" for line in dict.fromkeys(lines)).encode())
        return sorted(
            (each for each in found if each.series.quantity == "people_count"), key=lambda each: each.start_ms
        )

    def slots(self, reason: str) -> int:
        """How many slots came to this."""
        return self.core.state.counts.get(CountKey("slots", reason=reason), 0)
