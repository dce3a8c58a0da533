"""What a centre does when the disk under its inbox or its store does not do what it should."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, cast

import apsw
import httpx
import pytest

from cloud_sink.catalogue import Catalogue
from cloud_sink.centre import Seams
from cloud_sink.inbox import KEPT_MS
from cloud_sink.inbox.file import FILE_NAME
from cloud_sink.store import StoreFull
from telemetry import ManualClock
from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.full_store import LINES
from tests.cloud_sink.support import CONFIG, EPOCH, NOON_MS, QUARTER_MS, Running, running_centre, sealed, summary
from tests.documents import ROOT
from tests.faults.failing_disk import FailingDisk
from tests.faults.small_disk import SmallDisk
from tests.faults.vfs import registered
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cloud_sink.catalogue import Seen
    from cloud_sink.store import Projected, Store
    from tests.support.processes import Processes

FIRST, SECOND = sealed(summary()), sealed(summary(start_ms=NOON_MS + QUARTER_MS))


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    with registered(FailingDisk("centre-disk")) as failing:
        yield failing


def let_fail(disk: FailingDisk, fault: str, operation: str) -> None:
    disk.befall(fault, disk.operations[operation] + 1, is_lasting=True)


def is_gone(centre: Running) -> bool:
    try:
        centre.client.get("/api/v1/health")
    except httpx.TransportError:
        return True
    return False


@pytest.mark.parametrize("fault", ["ENOSPC at a write", "a short write"])
def test_no_room_is_503_until_there_is_some(tmp_path: Path, disk: FailingDisk, fault: str) -> None:
    with running_centre(tmp_path, seams=Seams(vfs=disk.name)) as centre:
        assert centre.post(FIRST).status_code == 204
        let_fail(disk, fault, "write")
        refused = centre.post(SECOND, 2)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        disk.mend()
        taken = centre.post(SECOND, 2)
        assert (taken.status_code, taken.headers[APPLIED_HEADER]) == (204, f"{EPOCH}-2")
        centre.settle()
        assert centre.export().count("\n") == 2


@pytest.mark.parametrize(("fault", "operation"), [("EIO at a sync", "sync"), ("EIO at a write", "write")])
def test_an_error_of_the_disk_is_503_and_ends_the_centre(
    tmp_path: Path, disk: FailingDisk, fault: str, operation: str
) -> None:
    """What a failed fsync covered is unknown: whoever supervises the centre starts it again; the agent tries again."""
    with running_centre(tmp_path, seams=Seams(vfs=disk.name)) as centre:
        assert centre.post(FIRST).status_code == 204
        centre.settle()
        let_fail(disk, fault, operation)
        refused = centre.post(SECOND, 2)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        wait_until(lambda: is_gone(centre), what="the centre's end")
    with running_centre(tmp_path) as centre:
        taken = centre.post(SECOND, 2)
        assert (taken.status_code, taken.headers[APPLIED_HEADER]) == (204, f"{EPOCH}-2")
        centre.settle()
        assert centre.export().count("\n") == 2
        assert centre.get("/api/v1/health")["status"] == "ok"


@pytest.mark.small_disk
def test_a_store_without_room_stores_nothing_of_a_batch_and_goes_on_when_there_is_some(
    tmp_path: Path, processes: Processes
) -> None:
    disk = SmallDisk(tmp_path / "disk", "16m", processes)
    command = (*disk.prefix, sys.executable, "-m", "tests.cloud_sink.full_store", str(tmp_path / "disk"))
    spawned = processes.start(*command, env={"PYTHONPATH": str(ROOT)})  # the disk's namespace begins in its root
    assert spawned.wait(60) == 0, spawned.stderr
    told = json.loads(spawned.stdout)
    assert told["rows"] == told["distinct"] == told["batches"] * LINES


class FullStore:
    """The real store, which has no room where it is told so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_full = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def append(self, position: int, batches: Sequence[Projected]) -> None:
        if self.is_full:
            raise StoreFull("told to")
        await self._store.append(position, batches)


def test_while_the_store_has_no_room_batches_are_taken_and_wait_in_the_inbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_sink.projector.ROOM_EVERY_S", 0.05)
    stores: list[FullStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FullStore(store))
        return cast("Store", stores[0])

    with running_centre(tmp_path, seams=Seams(wrap_store=wrap)) as centre:
        assert centre.post(FIRST).status_code == 204
        centre.settle()
        stores[0].is_full = True
        assert centre.post(SECOND, 2).status_code == 204
        wait_until(lambda: centre.get("/api/v1/health")["status"] == "full")
        assert centre.get("/api/v1/health")["batches_waiting"] == 1
        assert centre.export().count("\n") == 1
        stores[0].is_full = False
        centre.settle()
        assert centre.get("/api/v1/health")["status"] == "ok"
        assert centre.export().count("\n") == 2


def test_while_the_catalogue_has_no_room_nothing_is_stored_without_an_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_sink.projector.ROOM_EVERY_S", 0.05)
    register = Catalogue.register

    async def full(_self: Catalogue, _seen: Sequence[Seen]) -> None:
        raise StoreFull("told to")

    with running_centre(tmp_path) as centre:
        monkeypatch.setattr(Catalogue, "register", full)
        assert centre.post(FIRST).status_code == 204
        wait_until(lambda: centre.get("/api/v1/health")["status"] == "full")
        assert centre.export() == ""
        monkeypatch.setattr(Catalogue, "register", register)
        centre.settle()
        assert centre.export().count("\n") == 1


@pytest.mark.parametrize("follower", ["", '[victoria_metrics]\nurl = "http://127.0.0.1:1"\n'])
def test_the_inbox_keeps_the_bytes_that_any_store_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follower: str
) -> None:
    """A day old and stored, they go; but not while the store that follows is away."""
    monkeypatch.setattr("cloud_sink.projector.PRUNE_EVERY_S", 0.01)
    clock = ManualClock(NOON_MS + QUARTER_MS)
    with running_centre(tmp_path, clock, config=CONFIG + follower) as centre:
        centre.write(summary())
        clock.step(KEPT_MS + 1)
        centre.write(summary(start_ms=NOON_MS + KEPT_MS), sequence=2)
        with closing(apsw.Connection(str(tmp_path / "state" / FILE_NAME))) as inbox:
            bodies = partial(inbox.execute, "SELECT position FROM body")
            if not follower:
                wait_until(lambda: bodies().fetchall() == [(2,)])
            centre.write(summary(start_ms=NOON_MS + KEPT_MS + QUARTER_MS), sequence=3)
            assert len(bodies().fetchall()) == (3 if follower else 2)
