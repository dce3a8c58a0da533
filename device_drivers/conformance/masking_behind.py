"""Makes a frame of a learning device fit to be shown, with the messages before it that it needs.

What a device said of itself decides what its later values mean. So of all that came before, what the frame can do
without is left out; a name in a topic is replaced wherever it stands, in every topic and payload at once; and each
message is masked as one alone is, for as long as the frame behind it means the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.conformance.masking import masked_payload, written_anew
from device_drivers.contract import Frame, FrameRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from device_drivers.contract import Driver

MOST_BEFORE: Final = 100
"""Messages among which those are sought that a frame needs."""


def masked_behind(
    create: Callable[[], Driver], before: Sequence[Frame], frame: Frame
) -> tuple[list[Frame], Frame] | None:
    """What has to come before, and the frame, both masked; None for a frame that gives no reading even so."""
    messages = _needed(create, [*before[-MOST_BEFORE:], frame])
    meaning = _meaning(create, messages)
    if not meaning:
        return None

    def says_the_same(changed: list[Frame]) -> bool:
        return _meaning(create, changed) == meaning

    messages = _without_names([written_anew(each) for each in messages], says_the_same)
    for place, message in enumerate(messages):

        def alone(changed: Frame, place: int = place) -> bool:
            return says_the_same([*messages[:place], changed, *messages[place + 1 :]])

        messages[place] = masked_payload(message, alone)
    return messages[:-1], messages[-1]


def _meaning(create: Callable[[], Driver], messages: Sequence[Frame]) -> object:
    """What the last message says to a driver that has heard the others; None where it is refused."""
    driver, found = create(), None
    for message in messages:
        try:
            found = driver.decode(message)
        except FrameRefused:
            found = None
    return None if found is None else found.measurements


def _needed(create: Callable[[], Driver], messages: list[Frame]) -> list[Frame]:
    """The last message, and those of the others without which it says something else."""
    meaning = _meaning(create, messages)
    for message in messages[:-1]:
        rest = [each for each in messages if each is not message]
        if _meaning(create, rest) == meaning:
            messages = rest
    return messages


def _without_names(messages: list[Frame], says_the_same: Callable[[list[Frame]], bool]) -> list[Frame]:
    """Every level of a topic that is a name and no word of the format, replaced by one as long wherever it stands."""
    levels = dict.fromkeys(level for message in messages for level in message.topic.split("/") if level)
    for number, level in enumerate(levels):
        size = len(level.encode())
        mask = f"m{number}{'x' * size}"[:size]
        changed = [_renamed(message, level, mask) for message in messages]
        if says_the_same(changed):
            messages = changed
    return messages


def _renamed(message: Frame, level: str, mask: str) -> Frame:
    topic = "/".join(mask if each == level else each for each in message.topic.split("/"))
    payload = message.payload.replace(level.encode(), mask.encode())
    return Frame(payload, topic, message.request, message.port)
