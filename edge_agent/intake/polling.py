"""What all intakes that ask have in common: one round of one device, and whose turn it is on a line that is shared."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NoReturn

from device_drivers.contract import REASONS, FrameRefused, PollDriver
from device_drivers.line_faults import DeviceSilent, LineLost
from edge_agent.driver_guard import DriverBlocked, DriverStopped
from edge_agent.events import Arrival, Batch
from edge_agent.intake.availability import Availability
from telemetry import DeviceFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from device_drivers.contract import Connection
    from edge_agent.admission import Binding
    from edge_agent.driver_guard import DriverGuard
    from edge_agent.intake import Deliver
    from telemetry import Clock

ROUND_TIMEOUT_S: Final = 30.0
MOST_FRAMES: Final = 1_000


class Polled:
    """One device that is asked every cadence of the agent's time."""

    def __init__(self, binding: Binding, guard: DriverGuard, *, clock: Clock, deliver: Deliver) -> None:
        self._binding = binding
        self._guard = guard
        self._every_ms = binding.cadence.every_ms
        self._clock = clock
        self._deliver = deliver
        self.availability = Availability(binding.device)

    def next_due_ms(self) -> int:
        """The next moment at which it is to be asked: always the same within its cadence."""
        return (self._clock.now() // self._every_ms + 1) * self._every_ms

    async def ask(self, connection: Connection) -> float:
        """Ask for everything and hand it on; returns the seconds to leave the device alone. Raises `LineLost`."""
        try:
            async with asyncio.timeout(ROUND_TIMEOUT_S):
                arrivals = await self._round(connection)
        except LineLost:
            raise
        except DriverBlocked:
            return self.availability.down("its driver blocks")
        except (DeviceSilent, DriverStopped) as error:
            return self.availability.down(str(error))
        except TimeoutError:
            return self.availability.down("no answer in time")
        except DeviceFault as error:  # the driver's own words may hold what the device said
            word = error.reason if isinstance(error, FrameRefused) and error.reason in REASONS else "device_error"
            return self.availability.down(f"its driver gives up: {word}")
        except Exception as error:  # noqa: BLE001 - the boundary that keeps a vendor's mistake from the line's others
            return self.availability.down(f"its driver fails with {type(error).__name__}")
        self.availability.up()
        self._deliver(Batch(arrivals, self._clock.now(), self._binding.device))
        return 0.0

    async def _round(self, connection: Connection) -> list[Arrival]:
        """Every answer of one round. Raises what the driver raises, and `DriverStopped`."""
        driver = self._binding.driver
        assert isinstance(driver, PollDriver)
        if self._binding.suspension.holds(self._clock.now()):
            raise DriverStopped("its driver held the agent up, and is left alone")
        with self._guard.call():
            frames = driver.poll(connection)
        arrivals: list[Arrival] = []
        while len(arrivals) <= MOST_FRAMES:
            try:
                arrivals.append(Arrival(await self._guard.drive(anext(frames))))
            except StopAsyncIteration:
                return arrivals
        raise DriverStopped(f"its driver finds more than {MOST_FRAMES} answers in one round")


async def ask_in_turn(polled: Sequence[Polled], clock: Clock, ask: Callable[[Polled], Awaitable[float]]) -> NoReturn:
    """Ask whichever device is due next, one at a time; `ask` returns the seconds to leave it alone, and may raise.

    Of those that are due at once it is the one that was asked longest ago: a line on which a round takes longer than a
    cadence serves its last device as often as its first.
    """
    due = [each.next_due_ms() for each in polled]
    rest_until = [0.0] * len(due)
    turns = deque(range(len(due)))
    while True:
        # A clock that was set back makes nobody wait for what it showed before.
        due = [min(known, each.next_due_ms()) for known, each in zip(due, polled, strict=True)]
        index = min(turns, key=due.__getitem__)
        turns.remove(index)
        turns.append(index)
        await asyncio.sleep(clock.until(due[index]))
        if clock.monotonic() >= rest_until[index]:
            wait_s = await ask(polled[index])
            rest_until[index] = clock.monotonic() + wait_s
        due[index] = polled[index].next_due_ms()


async def all_down(polled: Sequence[Polled], what: str) -> None:
    """Say that the line is gone, and leave it alone for as long as its devices are to be."""
    await asyncio.sleep(max(each.availability.down(what) for each in polled))
