"""Checks of what a driver costs: how long it holds up all others, and what it keeps."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import resource
import sys
import time
import tracemalloc
import types
from typing import TYPE_CHECKING, Any, Final

from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.frame_checks import sample_of, with_payload
from device_drivers.conformance.recorded import outcome
from device_drivers.registry import forget_layouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

    from device_drivers.cases import Prepared
    from device_drivers.conformance.conversation import Conversation
    from device_drivers.conformance.subject import Subject
    from device_drivers.contract import Frame, PollDriver

LONGEST_CALL_S: Final = 0.05
LARGEST_FRAME: Final = 65_536
_LEAK: Final = 4.0
"""Bytes a time: what one number in a list takes is eight."""
_STRETCH: Final = 100
_MOST_HEARD: Final = 10_000
"""Half of them before what is kept is counted, half meanwhile."""
TIME_S: Final = 0.5
"""Of the processor, for either half; of a slow driver one stretch is enough."""
_DOUBLINGS: Final = 2
_REPEATS: Final = 5
_MANY_KEYS: Final = b",".join(b'"k%d":%d' % (number, number) for number in range(LARGEST_FRAME // 16))
_MOST_RECORDINGS: Final = 20
_VARIANTS: Final = 12
_SPREAD: Final = 13
_SEED: Final = 20_260_301
_NUMBER: Final = re.compile(rb"[:\[,]\s*(\d{1,15})(?=[,}\]\s])")


class Player:
    """A line in memory on which a conversation is repeated, with no time lost."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.hang_up()

    def hang_up(self) -> None:
        """Begin again from the greeting."""
        self._turn = 0
        self._incoming = self._conversation.greeting

    async def write(self, _data: bytes) -> None:
        """Answer."""
        self._incoming = self._conversation.turns[self._turn][1]
        self._turn += 1

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes of the answer."""
        taken, self._incoming = self._incoming[:count], self._incoming[count:]
        return taken

    async def read_until(self, separator: bytes) -> bytes:
        """The answer up to its end."""
        head, found, self._incoming = self._incoming.partition(separator)
        return head + found


def blocking(subject: Subject) -> str:
    """No call lasts longer than the agent can wait, and a large or a nested frame is no exception."""
    longest = 0.0
    for recording in subject.recordings:
        driver = subject.driver(recording)
        for frame in (recording.frame, *_large(recording)):
            longest = max(longest, _shortest(lambda driver=driver, frame=frame: outcome(driver, frame)))  # type: ignore[misc]
    if subject.has("stream"):
        settings, recordings = subject.stream()
        stream = (b"".join(each.frame.payload for each in recordings) * LARGEST_FRAME)[:LARGEST_FRAME]
        splitter = subject.stream_driver(settings)
        for data in (stream[:1024], bytes(1024), stream[:1] * 1024):
            longest = max(longest, _shortest(lambda data=data: splitter.split(bytearray(data))))  # type: ignore[misc]
    if subject.has("poll"):
        longest = max(longest, min(_longest_stretch(subject.conversation) for _ in range(_REPEATS)))
    if longest > LONGEST_CALL_S:
        raise CheckFailed(f"a call takes {1000 * longest:.0f} ms")
    return f"{1000 * longest:.1f} ms at most"


def _large(recording: Prepared) -> Iterator[Frame]:
    payload = recording.frame.payload
    many = payload * (LARGEST_FRAME // max(1, len(payload)))
    yield with_payload(recording.frame, many)
    yield with_payload(recording.frame, b'{"a":' * (LARGEST_FRAME // 5))
    if payload.startswith(b"{") and payload.endswith(b"}"):
        yield with_payload(recording.frame, payload[:-1] + b"," * (len(payload) > 2) + _MANY_KEYS + b"}")


def _shortest(call: Callable[[], object]) -> float:
    """Seconds that a call takes; the least of a few, if it is long."""
    took = float("inf")
    for _ in range(_REPEATS):
        watch = _Watch()
        call()
        took = min(took, watch.seconds())
        if took <= LONGEST_CALL_S:
            break
    return took


class _Watch:
    """How long this thread has waited or worked; what others had the processor for meanwhile is not its fault."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._worked = time.thread_time()
        self._waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    def seconds(self) -> float:
        """Since it was made."""
        if resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw > self._waits:
            return time.perf_counter() - self._began
        return time.thread_time() - self._worked


def _longest_stretch(conversation: Conversation) -> float:
    """Of a round in memory, the longest time that the driver keeps the loop for itself."""
    stretches = [0.0]

    async def once() -> None:
        frames = conversation.create().poll(Player(conversation))
        while True:
            try:
                await _timed(anext(frames), stretches)
            except StopAsyncIteration:
                return

    asyncio.run(once())
    return max(stretches)


@types.coroutine
def _timed(awaited: Awaitable[Frame], stretches: list[float]) -> Generator[Any, Any, Frame]:
    """Await, and note how long each stretch took that did not wait."""
    steps = awaited.__await__()
    value: Any = None
    while True:
        watch = _Watch()
        try:
            yielded = steps.send(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return] # of the awaitable's type
        finally:
            stretches.append(watch.seconds())
        value = yield yielded


def memory(subject: Subject) -> str:
    """What is kept does not grow with what is heard: not by a number a time.

    A leak grows for as long as the device is heard. What a driver, its libraries or the interpreter learn once grows
    once: so growth counts only when it is there again while the device is heard as often again, and again.
    """
    hear = _listener(subject)
    heard = _heard(hear)
    gc.freeze()  # what others have made so far is not looked through again and again
    tracemalloc.start()
    try:
        hear(_STRETCH)  # what takes the place of something older has been made under watch from here on
        kept = _kept()
        watched = _heard(hear)
        growth = (_kept() - kept) / watched
        heard += _STRETCH + watched
        for _ in range(_DOUBLINGS):
            if growth <= _LEAK:
                break
            kept = _kept()
            hear(heard)
            growth = (_kept() - kept) / heard
            heard *= 2
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    if growth > _LEAK:
        raise CheckFailed(f"it keeps {growth:.0f} bytes more each time, over {heard} times")
    return f"{max(0.0, growth):.1f} bytes a time, over {heard}"


def _heard(hear: Callable[[int], None]) -> int:
    """Hear half of the times, or for as long as there is; how many times it was."""
    began, heard = time.thread_time(), 0
    while heard < _MOST_HEARD // 2 and (not heard or time.thread_time() - began < TIME_S):
        hear(_STRETCH)
        heard += _STRETCH
    return heard


def _kept() -> int:
    """Bytes made under watch that are still there, but for what the interpreter has only looked up."""
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # noqa: SLF001 - 3.13 renames it
    clear()  # of attributes that C code asks for, the interpreter keeps every name anew
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _listener(subject: Subject) -> Callable[[int], None]:
    """What lets a driver hear its device so many times more."""
    chance = random.Random(_SEED)  # noqa: S311 - the same bytes in every run
    if subject.has("poll"):
        conversation = subject.conversation
        driver = conversation.create()

        def ask(times: int) -> None:
            asyncio.run(_polls(driver, Player(conversation), times))
            forget_layouts([driver])

        return ask
    recordings = sample_of(subject.understood, _MOST_RECORDINGS)
    drivers = [each.driver() for each in recordings]
    texts = [_numbers(each.frame.payload) for each in recordings]
    splitter = subject.stream_driver(recordings[0].settings) if subject.has("stream") else None
    buffer = bytearray()

    def hear(times: int) -> None:
        for number in range(times):
            index = number % len(recordings)
            frame = recordings[index].frame
            changed = _varied(frame.payload, texts[index], chance)
            outcome(drivers[index], with_payload(frame, changed))
            if splitter is not None:
                buffer.extend(changed)
                for found in splitter.split(buffer):
                    outcome(splitter, found)
        forget_layouts(drivers)

    return hear


async def _polls(driver: PollDriver, line: Player, times: int) -> None:
    for _ in range(times):
        async for frame in driver.poll(line):
            outcome(driver, frame)
        line.hang_up()


def _numbers(payload: bytes) -> list[tuple[int, int]]:
    """Where the numbers of a JSON text stand that may be others; none in other bytes."""
    return [match.span(1) for match in _NUMBER.finditer(payload)] if payload[:1] == b"{" else []


def _varied(payload: bytes, numbers: list[tuple[int, int]], chance: random.Random) -> bytes:
    """The same frame with another number in it, or another bit."""
    if payload[:1] == b"{":
        if not numbers:
            return payload
        begin, end = chance.choice(numbers)
        return payload[:begin] + b"%d" % chance.randrange(1, 10 ** (end - begin)) + payload[end:]
    changed = bytearray(payload)
    bit = chance.randrange(_VARIANTS) * _SPREAD % (8 * len(changed))  # not any: there is so much that may be learned
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
