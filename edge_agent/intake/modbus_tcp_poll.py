"""Intake by asking Modbus devices at one TCP address: a device, a gateway or a converter with several behind it.

Gateways and converters take few connections, often one, and have one pair of wires: whatever is behind an address is
asked in turn, over one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from device_drivers.line_faults import LineLost
from device_drivers.modbus_tcp import Framing, open_modbus
from edge_agent.intake.polling import all_down, ask_in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.connections import StreamConnection
    from edge_agent.config import TcpTable
    from edge_agent.intake.availability import Availability
    from edge_agent.intake.polling import Polled
    from telemetry import Clock

ANSWER_TIMEOUT_S: Final = 3.0
"""Longer than a gateway usually waits for its own devices, which is a second, before it says that one is silent."""
LINGER_S: Final = 5.0
"""How long a connection is kept when nobody is due: others may want it, and gateways end those that are idle."""


class ModbusTcpIntake:
    """Asks the devices at one address, each when it is due; connects when one is."""

    def __init__(self, address: TcpTable, polled: Sequence[Polled], clock: Clock) -> None:
        self._address = address
        self._polled = polled
        self._clock = clock
        self._kept: StreamConnection | None = None
        self._ends: asyncio.TimerHandle | None = None

    @property
    def availabilities(self) -> Sequence[Availability]:
        """Of every device at the address."""
        return [polled.availability for polled in self._polled]

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                try:
                    await ask_in_turn(self._polled, self._clock, self._ask)
                except LineLost as error:
                    await all_down(self._polled, str(error))
        finally:
            self._hang_up()

    async def _ask(self, polled: Polled) -> float:
        """One round of one device; returns the seconds to leave it alone. Raises `LineLost` when nothing is there."""
        kept = self._take()
        if kept is not None:
            with contextlib.suppress(LineLost):  # as whoever is there may have ended it before the question came
                return await self._round(kept, polled)
        framing = self._address.framing or Framing.MODBUS_TCP
        connection = await open_modbus(self._address.host, self._address.port, framing, ANSWER_TIMEOUT_S)
        try:
            return await self._round(connection, polled)
        except LineLost as error:  # a gateway may hang up when it is asked for a device that it does not have
            return polled.availability.down(str(error))

    async def _round(self, connection: StreamConnection, polled: Polled) -> float:
        """Ask over the connection, and keep it unless something of an answer may still come. Raises `LineLost`."""
        try:
            wait_s = await polled.ask(connection)
            if connection.is_in_step:
                self._kept = connection
                self._ends = asyncio.get_running_loop().call_later(LINGER_S, self._hang_up)
            return wait_s
        finally:
            if self._kept is not connection:
                connection.close()

    def _take(self) -> StreamConnection | None:
        """The connection that was kept, if there is one; it is the caller's."""
        if self._ends is not None:
            self._ends.cancel()
        kept, self._kept = self._kept, None
        return kept

    def _hang_up(self) -> None:
        kept = self._take()
        if kept is not None:
            kept.close()
