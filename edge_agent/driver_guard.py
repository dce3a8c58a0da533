"""Keeps one driver's code from holding up all others: a call that does not end is broken off, a leak is thrown away.

Drivers run in the agent's own thread, a call at a time. A second thread looks whether the call of before is still
going on, and interrupts it with a signal, whose handler raises in the driver's code: that ends a sleep, a wait and an
endless loop. Code in C that never comes back is not reached: `lookout` ends the agent then.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from telemetry import DeviceFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterator, Mapping

    from edge_agent.admission import Binding

_log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_CALL_S: Final = 0.5
LOOK_EVERY_S: Final = 30.0
GROWTH: Final = 64 << 20
"""Bytes by which the agent may grow before anybody looks for who keeps them."""
LARGEST_DRIVER: Final = 16 << 20
"""Bytes that one device's driver may keep between calls."""
_MOST_OBJECTS: Final = 200_000
_NOBODYS_OWN: Final = (type, types.ModuleType, types.FunctionType)
_SIGNAL: Final = signal.SIGUSR2
_PAGE: Final = resource.getpagesize()


class DriverBlocked(BaseException):
    """Raised in the middle of a driver's call that took too long; no `except Exception` of the driver's swallows it."""


class DriverGuard:
    """Watches the calls into drivers, which the code that makes them marks with `calling`.

    `begin` and `end` are called on the main thread; elsewhere nothing is watched.
    """

    def __init__(self) -> None:
        self.calling = False
        """Whether a driver's code is running at this moment."""
        self.calls = 0
        """How many calls there were: a call that goes on has the same number."""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._main = threading.main_thread().ident or 0

    def begin(self) -> None:
        """Watch, until `end`."""
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(_SIGNAL, self._interrupt)
        self._over.clear()
        self._thread = threading.Thread(target=self._watch, name="driver guard", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Watch no more."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            signal.signal(_SIGNAL, signal.SIG_DFL)
            self._thread = None

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """One call into a driver, where it is not made for every message."""
        self.calls += 1
        self.calling = True
        try:
            yield
        finally:
            self.calling = False

    @types.coroutine
    def drive(self, awaited: Awaitable[T]) -> Generator[Any, Any, T]:
        """Await what a driver does; each stretch of it that does not wait is a call."""
        steps = awaited.__await__()
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                self.calls += 1
                self.calling = True
                try:
                    yielded = steps.send(value) if error is None else steps.throw(error)
                finally:
                    self.calling = False
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return] # of the awaitable's type
            value, error = None, None
            try:
                value = yield yielded
            except BaseException as thrown:  # noqa: BLE001 - cancellation too goes on to the driver
                error = thrown

    def _watch(self) -> None:
        """Two looks at one call are half a second of it at least."""
        seen = -1
        while not self._over.wait(LONGEST_CALL_S):
            calling, calls = self.calling, self.calls
            if calling and calls == seen:
                signal.pthread_kill(self._main, _SIGNAL)
            seen = calls if calling else -1

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self.calling:
            raise DriverBlocked


class DriverStopped(DeviceFault):
    """A driver whose call was broken off, or that gives or keeps more than any device has."""

    code = "driver_stopped"


class Suspension:
    """For how long a driver that had to be broken off is left alone: longer each time, until a call ends well."""

    FIRST_MS: Final = 1_000
    LONGEST_MS: Final = 60_000

    def __init__(self) -> None:
        self.failures = 0
        self._since_ms = self._until_ms = 0

    def holds(self, now_ms: int) -> bool:
        """Whether the driver is to be left alone; a clock that was set back ends it too."""
        return self.failures > 0 and self._since_ms <= now_ms < self._until_ms

    def extend(self, now_ms: int) -> int:
        """It had to be broken off: leave it alone; returns for how many milliseconds."""
        wait_ms = int(min(self.LONGEST_MS, self.FIRST_MS * 2**self.failures))
        self.rest(now_ms, wait_ms)
        return wait_ms

    def rest(self, now_ms: int, wait_ms: int) -> None:
        """It did worse: leave it alone for so long."""
        self.failures += 1
        self._since_ms, self._until_ms = now_ms, now_ms + wait_ms

    def lift(self) -> None:
        """A call ended well."""
        self.failures = 0


class Sizes:
    """How much drivers keep; what those of one kind have in common counts for the first of them alone.

    Common is, above all, the table that they read by: a thousand drivers would be a thousand walks through it.
    """

    def __init__(self) -> None:
        self._common: dict[str, set[int]] = {}

    def of(self, driver_id: str, driver: object) -> int:
        """Bytes of everything that a driver refers to, as far as a bounded look goes."""
        common = self._common.get(driver_id, set())
        seen, pending, size = {id(driver)}, [driver], 0
        while pending and len(seen) < _MOST_OBJECTS:
            found = pending.pop()
            size += sys.getsizeof(found)
            for referred in gc.get_referents(found):
                number = id(referred)
                if number not in seen and number not in common and not isinstance(referred, _NOBODYS_OWN):
                    seen.add(number)
                    pending.append(referred)
        self._common.setdefault(driver_id, seen)
        return size


def resident_bytes() -> int:
    """Memory of this process that is in RAM, as Linux counts it (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def look_after(bindings: Mapping[str, Binding], resident_at_start: int) -> None:
    """Make drivers anew that keep more and more, once the agent has grown; what they had learned is learned again.

    A look takes its time: the next one waits until the agent has grown again.
    """
    looked_at = resident_at_start
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if resident_bytes() - looked_at < GROWTH:
            continue
        sizes = Sizes()
        for binding in bindings.values():
            if binding.renew is None:
                continue
            if (size := sizes.of(binding.driver_id, binding.driver)) > LARGEST_DRIVER:
                binding.driver = binding.renew()
                _log.error(
                    "driver %s keeps %d MiB for device %s: made anew", binding.driver_id, size >> 20, binding.device
                )
            await asyncio.sleep(0)  # others have their turn between two looks
        looked_at = resident_bytes()
