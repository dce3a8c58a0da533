"""Intake from a serial line whose device sends by itself: bytes in, frames as the driver cuts them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from device_drivers.connections import hear, reason
from device_drivers.contract import StreamDriver
from device_drivers.serial_port import SerialPort
from edge_agent.driver_guard import DriverBlocked, DriverStopped
from edge_agent.events import Arrival, Batch
from edge_agent.intake.availability import Availability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.contract import Frame
    from edge_agent.admission import Binding
    from edge_agent.config import SerialTable
    from edge_agent.driver_guard import DriverGuard
    from edge_agent.intake import Deliver
    from telemetry import Clock

LARGEST_BUFFER: Final = 65_536
MOST_FRAMES: Final = 10_000


class SerialIntake:
    """Reads one line; opens it again when it goes away. The descriptor is closed when the task is cancelled."""

    def __init__(
        self, binding: Binding, line: SerialTable, guard: DriverGuard, *, clock: Clock, deliver: Deliver
    ) -> None:
        self._binding = binding
        self._line = line
        self._guard = guard
        self._clock = clock
        self._deliver = deliver
        self._buffer = bytearray()
        self._driver_failed = False
        """Whether the driver has understood nothing since it failed: an open port alone is no sign of life then."""
        self.availability = Availability(binding.device)

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of its one device."""
        return (self.availability,)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                port = SerialPort(self._line.port, self._line.baud)
            except (OSError, ValueError) as error:  # SerialException is an OSError
                await asyncio.sleep(self.availability.down(reason(error)))
                continue
            if not self._driver_failed:
                self.availability.up()
            try:
                await self._read(port)
            except Exception:
                self._driver_failed = True
                raise
            finally:
                port.close()
            await asyncio.sleep(self.availability.down("the line went away"))

    async def _read(self, port: SerialPort) -> None:
        """Hand on what arrives, until the line ends. Raises what the driver raises."""
        self._buffer.clear()
        await hear(port, self._take)

    def _take(self, data: bytes) -> None:
        self._buffer += data
        now = self._clock.now()
        frames = self._split()
        if frames:
            self._driver_failed = False
            self.availability.up()
            self._deliver(Batch([Arrival(frame) for frame in frames], now, self._binding.device))

    def _split(self) -> list[Frame]:
        """What the driver finds. Raises what it raises, and `DriverStopped`."""
        driver = self._binding.driver
        assert isinstance(driver, StreamDriver)
        if self._binding.suspension.holds(self._clock.now()):
            raise DriverStopped("its driver held the agent up, and is left alone")
        try:
            with self._guard.call():
                frames = driver.split(self._buffer)
        except DriverBlocked:
            raise DriverStopped("its driver blocks") from None
        if len(self._buffer) > LARGEST_BUFFER or len(frames) > MOST_FRAMES:
            raise DriverStopped("its driver keeps more bytes, or finds more frames in them, than a line brings")
        return frames
