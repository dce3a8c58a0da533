"""The check of Modbus TCP: a table passes it, and code that mistakes what a gateway says does not."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Final

import pytest

from bansui.driver_scaffold import write
from device_drivers.conformance.findings import Finding, Result
from device_drivers.conformance.suite import check, rules, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE: Final = """
from pathlib import Path

from device_drivers.contract import Frame
from device_drivers.manifest import load
from telemetry import DeviceFault


def create(settings):
    return Driver(load(Path(__file__).parent).from_table(settings))


class Driver:
    def __init__(self, table):
        self.table = table
        self.faults = 0

    def decode(self, frame):
        return self.table.decode(frame)

    async def poll(self, connection):
{poll}
"""
AS_THE_TABLE: Final = """
        async for frame in self.table.poll(connection):
            yield frame
"""
SPOILED: Final = {
    "no fault": (
        """
        try:
            async for frame in self.table.poll(connection):
                yield frame
        except DeviceFault:
            return
""",
        "is no fault to it",
    ),
    "a gateway's word is a frame": (
        """
        question = bytes.fromhex("01030000000305cb")
        await connection.write(question)
        header = await connection.read_exactly(3)
        data = 0 if header[1] & 0x80 else header[2]
        yield Frame(header + await connection.read_exactly(data + 2), request=question)
""",
        "it makes a frame",
    ),
    "no question after five faults": (
        """
        if self.faults == 5:
            return
        try:
            async for frame in self.table.poll(connection):
                yield frame
        except DeviceFault:
            self.faults += 1
            raise
""",
        "it gives 0 frames",
    ),
}
_names: Final = (f"acme_air_{number}" for number in itertools.count())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = write(next(_names), "modbus", tmp_path)
    yield made
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]
    for name in [name for name in sys.modules if name.partition(".")[0] == made.name]:
        del sys.modules[name]


def found(folder: Path, poll: str = "") -> Finding:
    if poll:
        (folder / "driver.py").write_text(CODE.format(poll=poll))
    rule = next(rule for rule in rules() if rule.id == "modbus_tcp")
    return check(subject_of(str(folder)), rule)


@pytest.mark.parametrize("poll", ["", AS_THE_TABLE], ids=["table", "code"])
def test_a_driver_that_asks_by_rtu_passes_by_modbus_tcp(folder: Path, poll: str) -> None:
    finding = found(folder, poll)
    assert (finding.result, finding.figure) == (Result.PASSED, "1 questions, 7 ways to answer")


@pytest.mark.parametrize("how", SPOILED)
def test_a_driver_that_mistakes_what_comes_is_found_out(folder: Path, how: str) -> None:
    poll, what = SPOILED[how]
    finding = found(folder, poll)
    assert finding.result is Result.OPEN
    assert what in finding.figure
