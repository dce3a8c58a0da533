"""A centre's disk is filled by somebody else, under load; it may be killed meanwhile; then there is room again."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.cloud_sink.support import SCHOOLS, write_config
from tests.faults.campaign import Campaign, Outcome
from tests.faults.kill_centre import CLOCK, LISTENS, Sender, acknowledged, client_of, send_together, stored_rows
from tests.faults.small_disk import SmallDisk
from tests.support.processes import BANSUI, Processes
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Spawned

SIZE: Final = "96m"
LOAD_S: Final = 0.2
_LONGEST_S: Final = 60.0
_MOST_FILLINGS: Final = 100


class Crowded:
    """A centre on a disk that others fill, and two agents."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._processes = processes
        self._config = write_config(folder)
        self.disk = SmallDisk(folder / "state", SIZE, processes)
        self.senders = [Sender(agent) for agent in SCHOOLS]
        self.starts_that_waited = 0
        self.was_full = 0
        """How often its health said that the store had no room."""
        self._spawned = self._start()

    def fill(self) -> None:
        """Batches go on until both agents are told to come back; the centre answers on."""
        with client_of(self._spawned) as centre:
            send_together(self.senders, centre, LOAD_S)
            before = [sender.held for sender in self.senders]
            for _ in range(_MOST_FILLINGS):
                self.disk.fill()
                send_together(self.senders, centre, LOAD_S)
                if all(sender.held > held for sender, held in zip(self.senders, before, strict=True)):
                    break
            else:
                raise AssertionError("the disk is full, and everything is taken")
            self.was_full += centre.get("/api/v1/health")["status"] == "full"

    def kill(self) -> None:
        """Kill it, and start it again while there is no room: it comes up, or says why not."""
        self._spawned.kill()
        self._spawned = self._start()
        self.starts_that_waited += not self._spawned.is_running()

    def make_room(self) -> None:
        """As whoever supervises it does, start it again where it has ended; then all goes on."""
        self.disk.empty()
        if not self._spawned.is_running():
            self._spawned = self._start()
        with client_of(self._spawned) as centre:
            for sender in self.senders:
                wait_until(partial(sender.send_one, centre), _LONGEST_S, "a batch is taken again")
            wait_until(lambda: not centre.get("/api/v1/health")["batches_waiting"], _LONGEST_S, "everything stored")

    def end(self) -> None:
        """A planned stop."""
        self._spawned.terminate()
        self.disk.copy_out()

    def _start(self) -> Spawned:
        command = (*self.disk.prefix, *BANSUI, "centre", "run", "--config", str(self._config), "--clock", CLOCK)
        spawned = self._processes.start(*command)
        wait_until(lambda: LISTENS in spawned.stdout or not spawned.is_running(), _LONGEST_S, "a centre that listens")
        assert "Traceback" not in spawned.stderr, spawned.stderr
        return spawned


def run(count: int, folder: Path) -> Outcome:
    """Fill the disk so often, and kill the centre every other time."""
    processes = Processes(folder / "processes")
    try:
        crowded = Crowded(folder, processes)
        for number in range(count):
            crowded.fill()
            if number % 2:
                crowded.kill()
            crowded.make_room()
        crowded.end()
    finally:
        processes.end()
    found, expected = Counter(stored_rows(folder / "state" / "summaries.duckdb")), acknowledged(crowded.senders)
    broken = [refusal for sender in crowded.senders for refusal in sender.refused]
    held = sum(sender.held for sender in crowded.senders)
    seen = (
        f"{len(expected):,} summaries acknowledged; {held} batches held back, {crowded.was_full} times the store was "
        f"behind, {crowded.starts_that_waited} starts that had to wait for room"
    )
    return Outcome(count, len(expected - found.keys()), sum(found.values()) - len(found), seen, tuple(broken))


CAMPAIGNS: Final = [
    Campaign(
        name="centre-disk-full",
        fault="the centre's disk, a tmpfs, filled under load, then with room again; every other time SIGKILL meanwhile",
        short=2,
        long=60,
        run=run,
        needs="small_disk",
    )
]
