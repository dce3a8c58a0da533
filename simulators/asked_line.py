"""A serial line whose devices speak when they are asked: pseudo-terminal, questions in, answers out.

MODBUS over Serial Line V1.02, section 2.4.1: one master asks, and only the device that is meant answers.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from simulators.serial_line import SerialLine

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_QUESTION: Final = 256


class Answer(NamedTuple):
    """What a device says, and the vocabulary measurements that its format's document says are in it."""

    content: bytes
    readings: tuple[tuple[str, float], ...] = ()


class Asked(Protocol):
    """A device that is asked over a serial line or TCP."""

    id: str

    def answer(self, question: bytes) -> Answer | None:
        """What it says; None when it is not meant, or has nothing to say to that."""
        ...


class AskedLine:
    """One line and the devices on it. `on_answer` is told as a projector's is: before, and once it is sent."""

    def __init__(
        self,
        on_answer: Callable[[str, int, bool], None],
        perceive: Callable[[str], bool] = lambda _device: True,
    ) -> None:
        """`perceive` is called before a device measures, and says whether it can speak at all."""
        self.devices: list[Asked] = []
        self._on_answer, self._perceive = on_answer, perceive
        self._line = SerialLine()
        self.port = self._line.port
        asyncio.get_running_loop().add_reader(self._line.near, self._listen)

    def plug(self) -> bool:
        """Put the line back under the name it had; whether that name was free."""
        if self._line.near < 0 and self._line.plug():
            asyncio.get_running_loop().add_reader(self._line.near, self._listen)
        return self._line.near >= 0

    def pull_out(self) -> None:
        """Take the line away; its name stays ours. Harmless when that is done."""
        if self._line.near >= 0:
            asyncio.get_running_loop().remove_reader(self._line.near)
        self._line.pull_out()

    def close(self) -> None:
        """Give the line back; harmless when that is done."""
        self.pull_out()
        self._line.close()

    def _listen(self) -> None:
        question = os.read(self._line.near, _LONGEST_QUESTION)
        for device in self.devices:
            answer = device.answer(question) if self._perceive(device.id) else None
            if answer is not None:
                self._on_answer(device.id, len(answer.readings), False)
                if self._line.write(answer.content):
                    self._on_answer(device.id, len(answer.readings), True)
                return
