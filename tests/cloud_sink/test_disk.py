"""What a centre does when the disk under its inbox or its store does not do what it should."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from cloud_sink.centre import Seams
from cloud_sink.store import StoreFull
from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.full_store import LINES
from tests.cloud_sink.support import EPOCH, NOON_MS, QUARTER_MS, Running, running_centre, sealed, summary
from tests.documents import ROOT
from tests.faults.failing_disk import FailingDisk
from tests.faults.small_disk import SmallDisk
from tests.faults.vfs import registered
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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
