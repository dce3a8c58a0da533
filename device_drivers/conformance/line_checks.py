"""Checks over a real line: a device that answers as it was recorded, and then worse and worse."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from device_drivers.conformance.conversation import meaning
from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.recorded import outcome
from device_drivers.conformance.stream_checks import heard
from device_drivers.conformance.wire import Device, Manner, asked
from device_drivers.contract import Frame, FrameRefused, Settings
from device_drivers.field_rows import Transport
from device_drivers.tables.lines import ADDRESS, LinesFormat
from telemetry import DeviceFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from device_drivers.conformance.conversation import Conversation
    from device_drivers.conformance.subject import Subject
    from device_drivers.connections import StreamConnection
    from device_drivers.contract import PollDriver

ROUND_TIMEOUT_S: Final = 10.0
"""A round on a line of this machine that takes longer does not end."""
_SLOWEST_ROUND_S: Final = 1.0
_SLOWEST_BYTE_S: Final = 0.002
_STOPS_WITHIN_S: Final = 2.0
_SETTLES_S: Final = 0.02
_MOST_OTHERS: Final = 5
_ADDRESSES: Final = (1, 2, 3, 4)
_FDS: Final = Path("/proc/self/fd")

Round: TypeAlias = "tuple[list[Frame], DeviceFault | None]"
Change: TypeAlias = "Callable[[bytes], bytes]"


def wire(subject: Subject) -> str:
    """Over a real line the same frames come as in memory, twice."""
    if subject.has("stream"):
        return heard(subject, chunk=0)
    conversation = subject.conversation
    driver = conversation.create()
    for _ in range(2):
        frames, fault = _round(subject, driver, Manner())
        if fault is not None or frames != conversation.frames:
            raise CheckFailed(f"over a line it gives {len(frames)} frames, and {fault or 'others than recorded'}")
    return f"{len(conversation.turns)} questions, {len(conversation.frames)} frames, {subject.transport.value}"


def slow(subject: Subject) -> str:
    """A byte at a time, the same frames come."""
    if subject.has("stream"):
        return heard(subject, chunk=1)
    conversation = subject.conversation
    size = sum(len(answer) for _, answer in conversation.turns)
    pause_s = min(_SLOWEST_BYTE_S, _SLOWEST_ROUND_S / size)
    frames, fault = _round(subject, conversation.create(), Manner(pause_s=pause_s))
    if fault is not None or frames != conversation.frames:
        raise CheckFailed(f"of a slow device it gives {len(frames)} frames, and {fault or 'others than recorded'}")
    return f"{size} bytes, one by one"


def silent(subject: Subject) -> str:
    """A device that says nothing is asked once, and given up."""
    conversation = subject.conversation
    device = Device(conversation, Manner(cut=(0, 0)))
    frames, fault = _ask(subject, conversation.create(), device)
    if frames:
        raise CheckFailed("frames come of a device that says nothing")
    if fault is None:
        raise CheckFailed("poll ends as if all was well")
    if device.heard > 1:
        raise CheckFailed(f"it asks {device.heard} times: the agent does that")
    return "given up after 1 question"


def unplug(subject: Subject) -> str:
    """The line ends within an answer: nothing is made up, and the next line works."""
    if subject.has("stream"):
        return heard(subject, chunk=0, cut=True)
    driver = subject.conversation.create()
    tried = _cut_short(subject, driver, hangs_up=True)
    frames, fault = _round(subject, driver, Manner())
    if fault is not None or frames != subject.conversation.frames:
        raise CheckFailed(f"on the next line it gives {len(frames)} frames, and {fault or 'others than recorded'}")
    return f"{tried} places"


def cut_answers(subject: Subject) -> str:
    """The device falls silent within an answer."""
    driver = subject.conversation.create()
    return f"{_cut_short(subject, driver, hangs_up=False)} places"


def _cut_short(subject: Subject, driver: PollDriver, *, hangs_up: bool) -> int:
    conversation = subject.conversation
    places = {
        (index, after)
        for index in {0, len(conversation.turns) - 1}
        for size in [len(conversation.turns[index][1])]
        for after in {size // 2, size - 1}
        if 0 < after < size
    }
    for place in sorted(places):
        frames, fault = _round(subject, driver, Manner(cut=place, hangs_up=hangs_up))
        if frames != conversation.frames[: len(frames)]:
            raise CheckFailed(f"of an answer that ends after {place[1]} bytes it makes a frame")
        if fault is None:
            raise CheckFailed(f"an answer that ends after {place[1]} bytes is no fault to it")
    return len(places)


def duplicate_address(subject: Subject) -> str:
    """Two devices answer, or another one does: no reading comes of it that was not sent to it."""
    tried = []
    if _answers_name_an_address(subject):
        tried.append(_of_another(subject))
    if subject.transport is Transport.SERIAL_POLL:
        conversation = subject.conversation
        _says_nothing_else(subject, conversation, lambda answer: answer + answer, "answers that come twice")
        tried.append("twice")
        if has_check_sum(subject):
            changes: list[Change] = [functools.partial(_with, other) for other in _others(subject)]
            for change in (_with_itself, *changes):
                _says_nothing_else(subject, conversation, change, "answers that collide")
            tried.append("collided")
    return ", ".join(tried)


def has_check_sum(subject: Subject) -> bool:
    """Whether a recorded frame with one flipped bit is refused for its check sum."""
    return any(
        isinstance(found, FrameRefused) and found.reason == "checksum"
        for recording in subject.understood
        for place in range(len(recording.frame.payload))
        for found in [outcome(subject.driver(recording), _flipped(recording.frame, place))]
    )


def _flipped(frame: Frame, place: int) -> Frame:
    payload = frame.payload
    changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
    return Frame(changed, frame.topic, frame.request, frame.port)


def _of_another(subject: Subject) -> str:
    """Frames of one address, given to the drivers of devices with others: one may be the frame's own."""
    settings = subject.understood[0].settings
    frame = Frame(subject.understood[0].frame.payload)
    taken = 0
    for address in _ADDRESSES:
        other = Settings(settings.model, {**settings.options, "address": address}, settings.secrets)
        taken += bool(meaning(subject.create(other), frame))
    if taken > 1:
        raise CheckFailed("an answer of another address is taken for the device's own")
    return "another address"


def _answers_name_an_address(subject: Subject) -> bool:
    """Whether a device can be told by its answers; of a driver with code it is taken for granted."""
    table = subject.entry.manifest.format
    if isinstance(table, LinesFormat):
        return any(f"{{{ADDRESS}" in command.reply for command in table.command)
    return "address" in subject.entry.manifest.options


def _says_nothing_else(subject: Subject, conversation: Conversation, change: Change, what: str) -> None:
    driver = conversation.create()
    frames, _ = _round(subject, driver, Manner(change=change))
    known = conversation.meanings
    for frame in frames:
        said = meaning(driver, frame)
        if said and said not in known:
            raise CheckFailed(f"of {what} it makes readings that no device sent")


def _with_itself(answer: bytes) -> bytes:
    """What comes of an answer and the same one a byte later on one pair of wires: a low bit wins."""
    return _with(answer[1:] + answer[:1], answer)


def _with(other: bytes, answer: bytes) -> bytes:
    """What comes of two answers at once."""
    return bytes(mine & theirs for mine, theirs in zip(answer, other, strict=False)) + answer[len(other) :]


def _others(subject: Subject) -> list[bytes]:
    """Recorded answers that another device might give."""
    return list(dict.fromkeys(each.frame.payload for each in subject.understood))[:_MOST_OTHERS]


def cancel(subject: Subject) -> str:
    """A round that is cancelled while it waits ends at once, and leaves nothing open."""
    took_s = asyncio.run(_cancelled(subject, subject.conversation))
    return f"{1000 * took_s:.0f} ms"


async def _cancelled(subject: Subject, conversation: Conversation) -> float:
    """Seconds from the cancellation to the end. Raises `CheckFailed`."""
    before, tasks = _open_files(), asyncio.all_tasks()
    device = Device(conversation, Manner(cut=(0, 1)))
    async with asked(device, subject.transport) as connection:
        driver = conversation.create()

        async def once() -> None:
            async for _ in driver.poll(connection):
                pass

        task = asyncio.create_task(once())
        async with asyncio.timeout(ROUND_TIMEOUT_S):
            await device.is_asked.wait()
        await asyncio.sleep(_SETTLES_S)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait([task], timeout=_STOPS_WITHIN_S)
        took_s = time.monotonic() - began
        if not task.cancelled():
            raise CheckFailed(
                "it swallows that it was cancelled" if task.done() else "it goes on after it was cancelled"
            )
    await asyncio.sleep(_SETTLES_S)
    if not device.is_left.is_set():
        raise CheckFailed("the port is still open")
    if asyncio.all_tasks() - tasks:
        raise CheckFailed("it leaves a task behind")
    if _open_files() > before:
        raise CheckFailed("it leaves a file or a socket open")
    return took_s


def _open_files() -> int:
    return sum(1 for entry in os.scandir(_FDS) if entry.is_symlink()) if _FDS.is_dir() else 0


def _round(subject: Subject, driver: PollDriver, manner: Manner) -> Round:
    return _ask(subject, driver, Device(subject.conversation, manner))


def _ask(subject: Subject, driver: PollDriver, device: Device) -> Round:
    return asyncio.run(_asked_once(subject, driver, device))


async def _asked_once(subject: Subject, driver: PollDriver, device: Device) -> Round:
    return await asked_over(asked(device, subject.transport), driver)


async def asked_over(line: AbstractAsyncContextManager[StreamConnection], driver: PollDriver) -> Round:
    """One round over a line; the frames that came, and the fault it ended with, if it did. Raises `CheckFailed`."""
    frames: list[Frame] = []
    try:
        async with asyncio.timeout(ROUND_TIMEOUT_S):
            async with line as connection:
                async for frame in driver.poll(connection):
                    frames.append(frame)  # noqa: PERF401 - those before a fault are looked at too
    except DeviceFault as fault:
        return frames, fault
    except TimeoutError:
        raise CheckFailed("a round does not end") from None
    except Exception as error:
        raise CheckFailed(f"poll raises {type(error).__name__}: {error}") from error
    return frames, None
