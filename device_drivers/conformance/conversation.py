"""A round of questions and answers, put together from recorded frames, so that a driver can be asked to ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.recorded import outcome
from device_drivers.contract import Decoded, Frame
from telemetry import DeviceFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device_drivers.cases import Prepared
    from device_drivers.contract import Driver, PollDriver

MOST_TURNS: Final = 200
_ATTEMPTS: Final = 16
_LINE_ENDS: Final = b"\r\n"


@dataclass
class Conversation:
    """What was asked and answered in one round."""

    create: Callable[[], PollDriver] = field(repr=False)  # asyncio.run writes out what its task gives, manifest and all
    greeting: bytes = b""
    """What the device says before it is asked."""
    turns: list[tuple[bytes, bytes]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    unanswered: str = ""
    """Why there is no whole round."""

    @property
    def is_whole(self) -> bool:
        """Whether all was answered, and something was read."""
        return not self.unanswered and any(self.meanings)

    @property
    def meanings(self) -> list[frozenset[object]]:
        """What each frame of it says."""
        driver = self.create()
        return [meaning(driver, frame) for frame in self.frames]


class Rehearsal:
    """A line in memory: each question is answered by the recorded frame that fits it best."""

    def __init__(self, driver: Driver, recordings: Sequence[Prepared], attempt: int, unfit: set[bytes]) -> None:
        """`unfit` are answers that end too soon, and grow by those that this rehearsal finds."""
        self.turns: list[tuple[bytes, bytes]] = []
        self.greeting = next((each.frame.payload for each in recordings if _is_welcome(driver, each)), b"")
        self.unanswered = ""
        self._driver = driver
        self._recordings = recordings
        self._attempt = attempt
        self._unfit = unfit
        self._incoming = self.greeting

    async def write(self, data: bytes) -> None:
        """Answer a question."""
        if len(self.turns) >= MOST_TURNS:
            raise CheckFailed(f"more than {MOST_TURNS} questions in one round")
        answer = self._answer(data)
        if answer is None:
            self.unanswered = f"no frame in fixtures answers {data!r}"
            return
        self.turns.append((data, answer))
        self._incoming = answer

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes of the answer."""
        if len(self._incoming) < count:
            raise self._nothing_more()
        return self._take(count)

    async def read_until(self, separator: bytes) -> bytes:
        """The answer up to its end."""
        at = self._incoming.find(separator)
        if at < 0:
            raise self._nothing_more()
        return self._take(at + len(separator))

    def _take(self, count: int) -> bytes:
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        return taken

    def _nothing_more(self) -> DeviceFault:
        if self.turns:
            self._unfit.add(self.turns[-1][1])
        asked = f"the answer to {self.turns[-1][0]!r}" if self.turns else "the greeting"
        self.unanswered = self.unanswered or f"{asked} ends before the driver has read what it reads"
        return DeviceFault("nothing more is recorded")

    def _answer(self, question: bytes) -> bytes | None:
        fit = [each for each in self._recordings if each.frame.payload not in self._unfit and not each.greets]
        stated = [each.frame for each in fit if _asks(each.frame.request, question)]
        if stated:
            answers = sorted(stated, key=lambda frame: -self._worth(frame.payload, question))
        else:
            given = {answer for _, answer in self.turns}
            fitting = [each.frame for each in fit if not each.frame.request]
            answers = sorted(fitting, key=lambda frame: (-self._worth(frame.payload, question), frame.payload in given))
        if not answers:
            return None
        best = [frame for frame in answers if self._rank(frame, question) == self._rank(answers[0], question)]
        return best[self._attempt % len(best)].payload

    def _rank(self, frame: Frame, question: bytes) -> tuple[int, bool]:
        return self._worth(frame.payload, question), any(answer == frame.payload for _, answer in self.turns)

    def _worth(self, payload: bytes, question: bytes) -> int:
        found = outcome(self._driver, Frame(payload, request=question))
        return (2 if found.rows else 1) if isinstance(found, Decoded) else 0


def rehearse(create: Callable[[], PollDriver], recordings: Sequence[Prepared]) -> Conversation:
    """The longest whole round that the recordings have, or the first one that is not."""
    best = Conversation(create, unanswered="nothing is asked")
    unfit: set[bytes] = set()
    for attempt in range(_ATTEMPTS):
        found = asyncio.run(_round(create, recordings, attempt, unfit))
        if attempt == 0 or (found.is_whole, len(found.turns)) > (best.is_whole, len(best.turns)):
            best = found
    return best


async def _round(
    create: Callable[[], PollDriver], recordings: Sequence[Prepared], attempt: int, unfit: set[bytes]
) -> Conversation:
    driver = create()
    line = Rehearsal(driver, recordings, attempt, unfit)
    conversation = Conversation(create, line.greeting, line.turns)
    try:
        conversation.frames = [frame async for frame in driver.poll(line)]
    except DeviceFault as error:
        line.unanswered = line.unanswered or f"the driver gives up: {error}"
    conversation.unanswered = line.unanswered
    if line.turns and not line.unanswered and not any(conversation.meanings):
        conversation.unanswered = f"none to {line.turns[0][0]!r} gives a reading"
    return conversation


def meaning(driver: Driver, frame: Frame) -> frozenset[object]:
    """What a frame says, to be compared; nothing when it is refused."""
    found = outcome(driver, frame)
    return frozenset(found.measurements) if isinstance(found, Decoded) else frozenset()


def _asks(recorded: bytes, question: bytes) -> bool:
    """Whether a recorded question is the one that is asked, but for line ends and a digest in front of it."""
    return bool(recorded) and question.strip(_LINE_ENDS).lower().endswith(recorded.strip(_LINE_ENDS).lower())


def _is_welcome(driver: Driver, recording: Prepared) -> bool:
    return recording.greets and isinstance(outcome(driver, recording.frame), Decoded)
