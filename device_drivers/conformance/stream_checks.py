"""Checks of devices that send by themselves: their frames, one behind the other, over a pseudo-terminal."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from device_drivers.conformance.conversation import meaning
from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.wire import streamed

if TYPE_CHECKING:
    from device_drivers.conformance.subject import Subject

_MOST_BYTES: Final = 600
_PAUSE_S: Final = 0.001


def heard(subject: Subject, *, chunk: int, cut: bool = False) -> str:
    """Every frame of a stream is found and means what it should; of a cut one nothing comes, and the rest does.

    `chunk` bytes come at a time; 0 is all of them.
    """
    settings, recordings = subject.stream()
    driver = subject.stream_driver(settings)
    whole = [each.frame.payload for each in recordings]
    known = [meaning(driver, each.frame) for each in recordings]
    found: list[frozenset[object]] = []
    buffer = bytearray()

    def hear(data: bytes) -> None:
        buffer.extend(data)
        found.extend(meaning(driver, frame) for frame in driver.split(buffer))

    if cut:
        for payload in whole[:2]:
            asyncio.run(streamed([payload[: len(payload) // 2]], _PAUSE_S, hear))
            buffer.clear()  # as the agent does with what is left of a line that ended
        if any(found):
            raise CheckFailed("of half a frame it makes a reading")
        found.clear()
    stream = b"".join(whole)[:_MOST_BYTES]
    chunks = [stream[at : at + chunk] for at in range(0, len(stream), chunk)] if chunk else [stream]
    sent = known[: _whole_in(whole, len(stream))]
    asyncio.run(streamed(chunks, _PAUSE_S, hear))
    got, wanted = Counter(each for each in found if each), Counter(sent)
    if got != wanted:
        raise CheckFailed(f"{sum(wanted.values())} frames are sent, {sum((got & wanted).values())} of them are read")
    return f"{len(sent)} frames, serial-stream"


def resumed(subject: Subject) -> int:
    """A frame that is cut, at each place in turn, costs one other at most; how many places were tried."""
    settings, recordings = subject.stream()
    driver = subject.stream_driver(settings)
    payload = recordings[0].frame.payload
    own = meaning(driver, recordings[0].frame)
    for end in range(1, len(payload)):
        buffer = bytearray(payload[:end] + payload + payload)
        found = [said for frame in driver.split(buffer) if (said := meaning(driver, frame))]
        if not found or found[-1] != own or len(buffer) >= len(payload):
            raise CheckFailed(f"after a frame that ends after {end} bytes it does not find the next ones")
        if any(said != own for said in found):
            raise CheckFailed(f"of a frame that ends after {end} bytes it makes readings that were not sent")
    return len(payload) - 1


def _whole_in(frames: list[bytes], size: int) -> int:
    count = 0
    for frame in frames:
        size -= len(frame)
        if size < 0:
            break
        count += 1
    return count
