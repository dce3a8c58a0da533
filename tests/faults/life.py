"""One life of an agent, driven by one seed: what happens, in what state it happens, and what must hold throughout."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import apsw

from edge_agent.events import Arrived, Undelivered
from edge_agent.reporting import totals
from edge_agent.room import Room
from edge_agent.store import Store, ballast
from edge_agent.timing import Timing
from telemetry import Placement, Role
from telemetry.uplink_contract import GENESIS
from tests.edge_agent.harness import DAY, DEVICES, HOUR, MINUTE, MONDAY_9, SECOND, STANDARD, bind
from tests.faults.befalling import FAULTS
from tests.faults.devices import Device
from tests.faults.model_centre import ModelCentre
from tests.faults.watched import FullDisk, WatchedBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edge_agent.events import Arrival
    from edge_agent.transactions import Transaction
    from telemetry import Summary

TIMING: Final = Timing(
    lateness_ms=2 * MINUTE, checkpoint_s=400, batch_every_s=120, backlog_every_s=1, report_every_s=1800, retry_s=1
)
STATES: Final = ("quiet", "committing", "sending", "backlog", "untrusted", "holding")
"""In which state of the agent a fault may strike; the later of several that hold counts."""
_HOURS_AT_THE_END: Final = 4
"""With whatever an hour brings; from then on it goes from night to night."""
_REVISED_BY: Final = MONDAY_9 - 6 * HOUR
"""Three in the morning, when what came late has been told."""
_COUNTER: Final = bind("door", ("people_count", "people_in"), role=Role.PEOPLE_COUNTER, policy=STANDARD)
_DEVICES: Final = tuple(_COUNTER if each.device == "door" else each for each in DEVICES)
_MORE_DEVICES: Final = (*_DEVICES, bind("spare", ("temperature",)))
_STRICTER: Final = bind("mast", ("temperature", "wind_speed"), placement=Placement.INDOOR)


class BrokenPromise(Exception):
    """Something that must hold does not."""


class Trust:
    """Trust in the clock, as the run's world has it."""

    def __init__(self) -> None:
        self.is_kept = True
        self.offset_ms = 0

    def holds(self) -> bool:
        return self.is_kept

    def stepped(self) -> None:
        """The world decides."""

    def heard(self, offset_s: float) -> None:
        """Nobody tells."""


class Life:
    """An agent with its devices and its centre, and everything that befalls them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.devices_bound, self.more_devices, self.stricter = _DEVICES, _MORE_DEVICES, _STRICTER
        self.random = random.Random(seed)
        self.step = 0
        self.log: list[str] = []
        self.covered: Counter[tuple[str, str]] = Counter()
        self.totals: Counter[str] = Counter()
        self._starts = 1
        self._vfs = FullDisk(f"life-{seed}")
        self._free = 1 << 30
        self._trust = Trust()
        self._is_centre_up = True
        self._seed = seed
        self.centre = ModelCentre(_is_poisoned)
        self._backups: list[object] = [self.centre.copy()]
        self.bench = WatchedBench(
            folder / "state-0",
            devices=_DEVICES,
            policy=STANDARD,
            timing=TIMING,
            seed=seed,
            room=Room(None, lambda: self._free),
            clock_trust=self._trust,
            open_store=self._open,
        )
        self.devices = [Device(binding.device, self.random) for binding in _MORE_DEVICES]
        self._forgiven = 0
        """Readings that were durable once, on a disk that a backup has taken the place of."""

    def run(self, steps: int) -> None:
        """Live so many steps, then let everything come to its end. Raises `BrokenPromise`."""
        began = self.bench.clock.monotonic()
        try:
            for self.step in range(steps):
                self._live()
                if self.random.random() < 0.12:
                    self._strike(FAULTS.keys())
                self._hear()
                if self.step % 50 == 0:
                    self._check_now()
            self._end()
            self._check_end()
        except AssertionError as error:
            raise BrokenPromise(str(error) or "an assertion of the harness") from error
        finally:
            self.totals["days"] += round((self.bench.clock.monotonic() - began) / 86_400)

    def digest(self) -> str:
        """Of what befell it and of every batch that came of it: the same for a seed, wherever it is run."""
        batches = (f"{batch} {body.hex()}" for batch, body in self.centre.bodies.items())
        return hashlib.sha256("\n".join([*self.log, *batches]).encode()).hexdigest()[:16]

    def remove(self) -> None:
        """Close everything and leave nothing behind."""
        self.bench.stop()
        self._vfs.unregister()
        shutil.rmtree(self.folder)

    # what happens by itself

    def _live(self) -> None:
        actions = (
            self._arrive,
            self._arrive,
            self._arrive,
            self._pass,
            self._pass,
            self._commit,
            self._commit,
            self._answer,
        )
        self.random.choice(actions)()

    def _arrive(self) -> None:
        device = self.random.choice(self.devices)
        now = self.bench.clock.now()
        rules = next((each.rules for each in self.bench.devices if each.device == device.name), None)
        if rules is None:
            return
        self._bring(device, device.send(rules, now, self.random.randint(1, 4)))

    def _bring(self, device: Device, arrivals: list[Arrival]) -> None:
        if self.bench.is_holding:
            device.wait(arrivals)
        elif arrivals:
            self.bench.play(Arrived([device.batch(arrivals, self.bench.clock.now())]))

    def _pass(self) -> None:
        self.bench.pass_time(self.random.choice([60, 200, SECOND, 20 * SECOND, MINUTE, 5 * MINUTE]))

    def _commit(self) -> None:
        if self.bench.commits:
            self.bench.commit()

    def _answer(self) -> None:
        if not self.bench.sends:
            return
        send = self.bench.sends.pop(0)
        if not self._is_centre_up:
            self.bench.play(Undelivered(send.batch, "no connection"))
            return
        self.bench.play(self.centre.take(send))

    def _hear(self) -> None:
        """Devices take note of their acknowledgements; connections are made again where a batch was not taken."""
        for token in self.bench.acknowledged:
            assert isinstance(token, tuple)
            name, packets = token
            next(device for device in self.devices if device.name == name).acknowledged(packets)
        self.bench.acknowledged.clear()
        if self.bench.is_holding:
            return
        for device in self.devices:
            for arrivals in device.waited():
                self._bring(device, arrivals)

    # what befalls them

    def _strike(self, names: Iterable[str]) -> None:
        """One fault of these. Of agent and centre one alone is ever restored in a life: what both forget is gone."""
        spared = {"agent_restored"} if self._seed % 2 else {"centre_restored", "centre_of_another_past"}
        if not self._trust.is_kept:
            spared |= {"clock_unknown", "clock_far"}
        name = self.random.choice(sorted(set(names) - spared))
        self.covered[name, self._state()] += 1
        self._note(name)
        FAULTS[name](self)

    # the machinery

    def _open(self, folder: Path, new_epoch: Callable[[], str]) -> Store:
        self._vfs.steps.clear()
        for file in sorted(folder.glob("agent.db*")):
            if not file.name.endswith("-shm"):
                self._vfs.remember(file)
        with self._vfs.with_ballast():
            return Store(folder, new_epoch=new_epoch, vfs=self._vfs.name, bytes_written=lambda: 0)

    def _start_on(self, folder: Path) -> None:
        self._starts += 1
        old, self.bench.folder = self.bench.folder, folder
        if (old / ballast.NAME).exists():  # a disk keeps it
            (old / ballast.NAME).rename(folder / ballast.NAME)
        self.bench.commits.clear()
        self.bench.sends.clear()
        self.bench.is_holding = False
        self.bench.start()
        shutil.rmtree(old)
        self._reconnect()

    def _restart(self) -> None:
        self.bench.is_holding = False
        self.bench.restart()
        self._reconnect()

    def _reconnect(self) -> None:
        """Every session is carried on: what has no acknowledgement comes again."""
        for device in self.devices:
            self._bring(device, device.again())

    def _write_unheard(self, transaction: Transaction) -> None:
        """It gets to the disk, where there is room, and nobody lives to hear of it."""
        with contextlib.suppress(apsw.FullError):
            self.bench.store.commit(transaction)

    def _write(self) -> None:
        """Everything that is due for the disk at this moment."""
        for _ in range(1000):
            if not self.bench.commits:
                return
            self.bench.commit()
        raise BrokenPromise("it writes without an end")

    def _settle(self) -> None:
        for _ in range(50):
            self._write()
            if self.bench.sends or self.bench.core.is_idle:
                return
            self.bench.pass_time(50)

    def _state(self) -> str:
        core = self.bench.core
        holding = {
            "holding": self.bench.is_holding,
            "untrusted": not core.watch.is_trusted,
            "backlog": core.state.waiting > 20,
            "sending": bool(self.bench.sends),
            "committing": bool(self.bench.commits),
        }
        return next((state for state, holds in holding.items() if holds), "quiet")

    def _note(self, what: str) -> None:
        self.log.append(f"{self.step} {what} {self._state()} {self.bench.clock.now()}")

    def _end(self) -> None:
        """Everything that waits gets its time."""
        self._free, self._is_centre_up, self._trust.is_kept, self._vfs.fits = 1 << 30, True, True, None
        self._reconnect()
        self._check_in_time()
        waits = 0
        for _ in range(1000):
            self._write()
            self._hear()
            self._answer()
            state = self.bench.core.state
            sealed = any(batch.summaries for batch in state.unacknowledged.values())
            is_left = state.waiting or state.open_readings() or len(state.late) or sealed or state.ending is not None
            if not (is_left or self.bench.commits or any(device.sent for device in self.devices)):
                return
            if self.bench.sends or self.bench.commits:
                self.bench.pass_time(100)
            else:
                self.bench.pass_time(self._wait(waits))
                waits += 1
        raise BrokenPromise(f"it does not come to its end: {self.bench.core.report()}")

    def _check_in_time(self) -> None:
        """Whatever the clock has shown before: what is measured by the right one is not late."""
        self._rest()
        late = self._late()
        for device in self.devices:
            rules = next((each.rules for each in self.bench.devices if each.device == device.name), {})
            self._bring(device, device.send_now(rules))
        self._rest()
        if self._late() != late:
            raise BrokenPromise(f"{self._late() - late} readings of this moment are late")

    def _late(self) -> int:
        return totals(self.bench.core.state.counts).get("late", 0)

    def _rest(self) -> None:
        """Until everything that was sent is on disk."""
        for _ in range(100):
            self._write()
            self._hear()
            if self.bench.core.is_idle and not any(device.sent for device in self.devices):
                return
            self.bench.pass_time(100)

    def _wait(self, waited: int) -> int:
        """Hours, then nights, then twice as many nights each time: a window opened on a clock a month off stays."""
        nights = waited - _HOURS_AT_THE_END
        if nights < 0:
            return HOUR
        return (_REVISED_BY - self.bench.clock.now()) % DAY + (DAY << min(nights, 5)) - DAY

    def _check_now(self) -> Mapping[str, int]:
        """Raises `BrokenPromise` where the balance does not close; else that."""
        found = self.bench.audit()
        if found.faults:
            raise BrokenPromise("; ".join(found.faults))
        return found.balance

    def _check_people(self) -> None:
        """Of all copies of the store together: in no 24 hours of the world's time more than the budget has left."""
        plan = self.bench.core.people.plan
        assert plan is not None
        told = [int(start) for name, start in self.centre.stored if name.startswith("people_count,")]
        moments = sorted(self.bench.drawn[start] for start in told)
        self.totals["counts"] += len(told)
        for moment in moments:
            within = sum(moment - DAY / SECOND < each <= moment for each in moments)
            if within * plan.budget.charge_nano > plan.budget.rho_nano:
                raise BrokenPromise(f"{within} slots told within a day")

    def _check_end(self) -> None:
        balance = self._check_now()
        self._check_people()
        once = balance["received"] - balance["duplicate"] + self._forgiven
        sent = sum(device.readings for device in self.devices)
        told = balance["summaries"] - balance["refused"] - balance["merged"] - balance["fork"]
        self.totals["readings"] += once
        self.totals["summaries"] += len(self.centre.stored)
        self.totals["revised"] += totals(self.bench.core.state.counts).get("revised", 0)
        self.totals["doubled"] += len(self.centre.doubled)
        self.totals["lost"] += max(0, sent - once)
        promises = {
            f"{sent} readings sent, {once} taken in": once == sent,
            f"told twice: {self.centre.doubled[:3]}": not self.centre.doubled,
            f"changed: {self.centre.changed[:3]}": not self.centre.changed,
            f"behind another past: {self.centre.misplaced[:3]}": not self.centre.misplaced,
            "the centre's chain is another's": self._is_chain_ours(),
            f"{told} summaries told, {len(self.centre.stored)} stored": told <= len(self.centre.stored),
            "more was revised than came late": self.totals["revised"] <= balance["late"],
            "nothing happened": bool(balance["summarised"] and balance["summaries"]),
        }
        broken = [promise for promise, holds in promises.items() if not holds]
        if broken:
            raise BrokenPromise("; ".join(broken))

    def _is_chain_ours(self) -> bool:
        epoch = self.bench.core.state.epoch
        place = epoch, self.centre.applied_in(epoch)
        query = "SELECT head FROM batch WHERE epoch = ? AND sequence = ?"
        found = self.bench.store._connection.execute(query, place).fetchone()
        return self.centre.head_in(epoch) == (GENESIS if found is None else found[0])


def _is_poisoned(summary: Summary) -> bool:
    """What the centre refuses for good."""
    return summary.series.channel == "poison"
