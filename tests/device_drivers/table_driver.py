"""A driver made of a table that a test writes, and a line to ask it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from device_drivers.contract import Driver, Frame, FrameRefused, PollDriver, Settings
from device_drivers.manifest import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = """
sample = ""
[driver]
id = "acme"
version = "1.0.0"
contract = 1
transport = "{transport}"
name_zh = "例"
name_en = "example"
models = ["A", "B"]
[families]
acme = ""
"""


def driver(
    body: str, transport: str = "mqtt", model: str = "A", options: Mapping[str, str | int | float | bool] | None = None
) -> Driver:
    manifest = parse(HEAD.format(transport=transport) + body, "driver.toml")
    return manifest.from_table(Settings(model=model, options=options or {}))


def read(made: Driver, payload: bytes, **frame: Any) -> dict[str, float]:
    decoded = made.decode(Frame(payload, **frame))
    found = {f"{m.quantity}[{m.channel}]" if m.channel else m.quantity: m.value for m in decoded.measurements}
    assert len(found) == len(decoded.measurements)
    return found


def refused(made: Driver, payload: bytes, **frame: Any) -> str:
    with pytest.raises(FrameRefused) as error:
        made.decode(Frame(payload, **frame))
    return error.value.reason


class Line:
    """A device that gives these answers, one to each question."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[bytes] = []
        self._answers = list(answers)
        self._incoming = b""

    async def write(self, data: bytes) -> None:
        self.asked.append(data)
        self._incoming += self._answers.pop(0)

    async def read_exactly(self, count: int) -> bytes:
        assert len(self._incoming) >= count
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        return taken

    async def read_until(self, separator: bytes) -> bytes:
        at = self._incoming.index(separator) + len(separator)
        taken, self._incoming = self._incoming[:at], self._incoming[at:]
        return taken


async def ask(made: Driver, line: Line) -> list[Frame]:
    assert isinstance(made, PollDriver)
    return [frame async for frame in made.poll(line)]
