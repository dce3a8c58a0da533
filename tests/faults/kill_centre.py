"""A real centre is killed under load, at random and at every boundary between the wire, the inbox and the store."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import apsw
import duckdb
import httpx

from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, SCHOOLS, Running, sealed, summary, write_config
from tests.faults.campaign import Campaign, Outcome
from tests.support.processes import BANSUI, Processes
from tests.support.waiting import wait_until
from tests.system.crashing_centre import BOUNDARIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry import Summary
    from tests.support.processes import Spawned

SEED: Final = 20261125
LINES: Final = 60
CLOCK: Final = f"{NOON_MS},0,0.000001"
LISTENS: Final = "listening on "
_LONGEST_S: Final = 30.0


class Row(NamedTuple):
    """What is told of one summary here."""

    school: str
    device: str
    start_ms: int
    mean: int

    @classmethod
    def of(cls, told: Summary) -> Row:
        """As the store has to have it."""
        return cls(told.series.school, told.series.device, told.start_ms, told.fields["mean"])


class Sender:
    """One agent: its batches in order, each until it is acknowledged."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.acknowledged = 0
        self.held = 0
        """How often it was told to come back."""
        self.refused: list[str] = []

    def send(self, centre: Running, deadline: float) -> None:
        """Send until the centre is gone, has no room, or refuses something, or until it is time."""
        with contextlib.suppress(httpx.TransportError):
            while time.monotonic() < deadline and self.send_one(centre):
                pass

    def send_one(self, centre: Running) -> bool:
        """Send the next batch; whether it is acknowledged. Raises `httpx.TransportError`."""
        following = self.acknowledged + 1
        answer = centre.post(sealed(*self.summaries(following)), following, self.agent)
        if answer.status_code == httpx.codes.NO_CONTENT:
            self.acknowledged = following
        elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" in answer.headers:
            self.held += 1
        else:
            self.refused.append(f"batch {following} of {self.agent}: HTTP {answer.status_code} {answer.text}")
        return self.acknowledged == following

    def summaries(self, sequence: int) -> list[Summary]:
        """What is inside a batch."""
        start_ms, school = NOON_MS + sequence * QUARTER_MS, SCHOOLS[self.agent]
        fields = {"mean": 400 + 50 * (sequence % 30), "n": 15, "expected": 15}
        devices = (f"co2-{self.agent}-{number}" for number in range(LINES))
        return [summary("carbon_dioxide", start_ms, fields, school=school, device=device) for device in devices]


def send_together(senders: list[Sender], centre: Running, seconds: float) -> None:
    """All of them at once, for at most so long."""
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=sender.send, args=(centre, deadline)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def acknowledged(senders: list[Sender]) -> set[Row]:
    """Every row that a store has to have."""
    return {
        Row.of(each)
        for sender in senders
        for sequence in range(1, sender.acknowledged + 1)
        for each in sender.summaries(sequence)
    }


def stored_rows(file: Path) -> list[Row]:
    """Every row that a store has."""
    with duckdb.connect(str(file)) as store:
        return [Row(*row) for row in store.execute("SELECT school, device, start_ms, mean FROM summary").fetchall()]


class KilledCentre:
    """A centre over one folder, started and killed again and again."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._config = write_config(folder)
        self._state = folder / "state"
        self.hits = folder / "hits"
        self._processes = processes
        self.senders = [Sender(agent) for agent in SCHOOLS]
        self.only_in_inbox = 0
        """Kills after which acknowledged batches stood in the inbox and not in the store."""

    def killed_at_random(self, rng: random.Random) -> None:
        """From outside, at any moment."""
        spawned = self._start(*BANSUI, "centre", "run")
        with client_of(spawned) as centre:
            killer = threading.Timer(rng.uniform(0.02, 0.6), spawned.kill)
            killer.start()
            self._load(centre)
            killer.join()
        self._note()

    def killed_at(self, boundary: str, nth: int) -> None:
        """By itself, the nth time that a batch comes to the boundary: under load, or while it starts."""
        options = ("--boundary", boundary, "--nth", str(nth), "--hits", str(self.hits))
        spawned = self._start(sys.executable, "-m", "tests.system.crashing_centre", *options)
        if spawned.is_running():
            with client_of(spawned) as centre:
                self._load(centre)
        spawned.kill()  # where it did not come to the boundary
        self._note()

    def stored(self) -> list[Row]:
        """Let a last centre take what is under way and project everything; the rows of its store."""
        spawned = self._start(*BANSUI, "centre", "run")
        with client_of(spawned) as centre:
            for sender in self.senders:
                following = sender.acknowledged + 1
                answer = centre.post(sealed(*sender.summaries(following)), following, sender.agent)
                assert answer.headers[APPLIED_HEADER] == f"{centre.epoch}-{following}", answer.text
                sender.acknowledged = following
            centre.settle()
            balances = centre.client.get("/api/v1/balance").json()
        assert all(each["summaries_received"] == each["summaries_stored"] for each in balances), balances
        spawned.terminate()
        return stored_rows(self._state / "summaries.duckdb")

    def _start(self, *command: str) -> Spawned:
        spawned = self._processes.start(*command, "--config", str(self._config), "--clock", CLOCK)
        wait_until(lambda: LISTENS in spawned.stdout or not spawned.is_running(), 20, "a centre that listens")
        return spawned

    def _load(self, centre: Running) -> None:
        send_together(self.senders, centre, _LONGEST_S)

    def _note(self) -> None:
        with duckdb.connect(str(self._state / "summaries.duckdb")) as store:
            (row,) = store.execute("SELECT position FROM mark").fetchall()
        inbox = apsw.Connection(str(self._state / "inbox.sqlite"))
        self.only_in_inbox += inbox.execute("SELECT count(*) FROM mark WHERE position > ?", row).get > 0
        inbox.close()


@contextlib.contextmanager
def client_of(spawned: Spawned) -> Iterator[Running]:
    """The centre that listens in this process."""
    assert LISTENS in spawned.stdout, spawned.stderr
    centre = Running(spawned.stdout.split()[-1], clock=None, end=spawned.terminate)
    with centre.client:
        yield centre


def run(count: int, folder: Path) -> Outcome:
    """Kill it `count` times, every other time at a boundary; then everything acknowledged is in the store, once."""
    rng = random.Random(SEED)
    processes = Processes(folder)
    centre = KilledCentre(folder, processes)
    try:
        for number in range(count):
            if number % 2:
                centre.killed_at_random(rng)
            else:
                centre.killed_at(BOUNDARIES[number // 2 % len(BOUNDARIES)], rng.randint(1, 30))
        found = Counter(centre.stored())
    finally:
        processes.end()
    expected = acknowledged(centre.senders)
    hits = centre.hits.read_text().split()
    broken = [refusal for sender in centre.senders for refusal in sender.refused]
    broken += [f"{len(found.keys() - expected)} summaries that nobody sent"] if found.keys() - expected else []
    broken += ["a boundary was not reached"] if len(hits) != (count + 1) // 2 else []
    broken += [] if centre.only_in_inbox else ["no kill fell between inbox and store"]
    seen = (
        f"{len(expected):,} summaries acknowledged; {len(hits)} kills at {' '.join(sorted(set(hits)))}; "
        f"{centre.only_in_inbox} left batches in the inbox alone"
    )
    return Outcome(count, len(expected - found.keys()), sum(found.values()) - len(found), seen, tuple(broken))


CAMPAIGNS: Final = [
    Campaign(
        name="kill-centre",
        fault="SIGKILL of the centre under load, at random and before and after inbox and store",
        short=5,
        long=100,
        run=run,
    )
]
