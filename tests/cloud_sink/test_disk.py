"""What a centre answers when the disk under its inbox does not do what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from cloud_sink.centre import Seams
from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.support import EPOCH, NOON_MS, QUARTER_MS, Running, running_centre, sealed, summary
from tests.faults.failing_disk import FailingDisk
from tests.faults.vfs import registered
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
