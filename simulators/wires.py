"""Every wire of a simulated school: serial lines, TCP ports, MQTT connections; opened, pulled out, put back, closed."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from paho.mqtt.enums import MQTTProtocolVersion

from simulators.asked_line import AskedLine
from simulators.asked_server import AskedServer
from simulators.devices import Devices, client_of, is_asked, line_of, transport_of
from simulators.modbus_gateway import ModbusGateway
from simulators.mqtt_client import DeviceClient
from simulators.pjlink_server import ProjectorServer
from simulators.serial_line import SerialLine

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Container

    from simulators.broker_watch import BrokerWatch
    from telemetry import Clock

    Counted = Callable[[str, int, bool], None]

_LONGEST_REPLUG_S: Final = 15.0
_RETRY_S: Final = 0.05


class Wires:
    """The wires of one run. `open` first, `close` whatever happened."""

    def __init__(
        self,
        devices: Devices,
        clock: Clock,
        *,
        answered: Counted,
        perceive: Callable[[str], bool],
        faults: Callable[[str], Container[str]],
        commanded: Callable[[str, bytes], None],
    ) -> None:
        """`answered` is told of every answer: the device, its readings, and whether it has been sent yet; `commanded`
        of every command: the device, and the payload."""
        self._devices, self._clock, self._faults = devices, clock, faults
        self._answered, self._perceive, self._commanded = answered, perceive, commanded
        self._models = {model.id: model for model in devices.scenario.device}
        self._lines: dict[str, SerialLine] = {}
        self._asked: dict[str, AskedLine] = {}
        self._servers: dict[str, ProjectorServer | AskedServer] = {}
        self._clients: dict[str, DeviceClient] = {}
        self._connecting: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Open serial lines and TCP ports. Raises `NoPseudoTerminal`."""
        for model in self._models.values():
            if transport_of(model) == "serial" and not is_asked(model):
                self._lines[model.id] = SerialLine()
        framings = {line_of(model): model.framing for model in self._models.values() if is_asked(model)}
        for name, devices in self._devices.asked.items():
            if framing := framings[name]:
                self._servers[name] = ModbusGateway(framing, devices, self._answered, self._perceive, self._faults)
                continue
            self._asked[name] = AskedLine(self._answered, self._perceive)
            self._asked[name].devices += devices
        for projector in self._devices.projectors:
            server = ProjectorServer(
                projector,
                self._clock,
                password=self._devices.passwords[projector.id],
                on_answer=self._counter(projector.id),
            )
            self._servers[projector.id] = server
        for device in self._devices.asked_by_tcp:
            self._servers[device.id] = AskedServer([device], self._answered, self._perceive)
        for each in self._servers.values():
            await each.open()

    def connect(self, broker: tuple[str, int], watch: BrokerWatch, tls: ssl.SSLContext | None) -> None:
        """Begin to connect every MQTT client, by TLS where it is given; `watch` hears whether they reach the broker."""
        for model in self._models.values():
            if transport_of(model) != "mqtt" or (name := client_of(model)) in self._clients:
                continue
            is_old = model.mqtt_version == "3.1.1"
            protocol = MQTTProtocolVersion.MQTTv311 if is_old else MQTTProtocolVersion.MQTTv5
            self._clients[name] = DeviceClient(
                name, self._devices.passwords[name], broker, protocol=protocol, watch=watch, tls=tls
            )
        for name in self._models:
            if (device := self._devices.commanded(name)) is not None:
                self.client(name).listen(device.command_topic, partial(self._commanded, name))
        for name in self._clients:
            self._run(name)

    @property
    def serial_ports(self) -> dict[str, str]:
        """The serial port of each device that has one."""
        ports = {name: line.port for name, line in self._lines.items()}
        asked = [model for model in self._models.values() if is_asked(model) and line_of(model) in self._asked]
        return ports | {model.id: self._asked[line_of(model)].port for model in asked}

    @property
    def tcp_ports(self) -> dict[str, int]:
        """The TCP port of each device that has one."""
        by_tcp = [model for model in self._models.values() if transport_of(model) == "tcp"]
        return {model.id: self._servers[line_of(model)].port for model in by_tcp}

    @property
    def unconfirmed(self) -> int:
        """Messages without a PUBACK."""
        return sum(client.waiting for client in self._clients.values())

    @property
    def refused(self) -> int:
        """Messages that the broker answered with an error."""
        return sum(client.refused for client in self._clients.values())

    def client(self, device: str) -> DeviceClient:
        """Who publishes for a device."""
        return self._clients[client_of(self._models[device])]

    def write(self, device: str, frame: bytes) -> bool:
        """Put a frame on the device's serial line; whether the line took it."""
        return self._lines[device].write(frame)

    async def pull_out(self, device: str) -> None:
        """Take the device's own wire away; what others share with it stays."""
        model = self._models[device]
        if device in self._servers:
            await self._servers[device].close()
        elif device in self._lines:
            self._lines[device].pull_out()
        elif is_asked(model) and not model.line:
            self._asked[line_of(model)].pull_out()
        elif self.is_own(device):
            await self._halt(device)
            self._clients[device].power_off()

    async def put_back(self, device: str) -> bool:
        """Give the device its wire again, under the name it had; whether that could be done."""
        model = self._models[device]
        if device in self._servers:
            await self._servers[device].open(port=self._servers[device].port)
        elif transport_of(model) == "mqtt":
            if self.is_own(device):
                self._run(device)
        elif device in self._lines or not model.line:
            return await self._plugged(self._lines.get(device) or self._asked[line_of(model)])
        return True

    def is_own(self, device: str) -> bool:
        """Whether the device is an MQTT client of its own, whose messages are lost with its power."""
        return transport_of(self._models[device]) == "mqtt" and client_of(self._models[device]) == device

    async def power_off(self) -> None:
        """Take the power from every MQTT client and every port: what was not acknowledged is forgotten."""
        for name, client in self._clients.items():
            await self._halt(name)
            client.power_off()
        for server in self._servers.values():
            await server.close()

    async def power_on(self) -> None:
        """Give the power back: every client connects anew, every port listens again."""
        for name in self._clients:
            self._run(name)
        for server in self._servers.values():
            await server.open(port=server.port)

    async def fall_silent(self) -> None:
        """Answer nobody any more."""
        for server in self._servers.values():
            await server.close()
        for asked in self._asked.values():
            asked.close()

    async def close(self) -> None:
        """Close every wire."""
        for name in self._clients:
            await self._halt(name)
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        await self.fall_silent()
        for line in self._lines.values():
            line.close()

    def _run(self, name: str) -> None:
        self._connecting[name] = asyncio.create_task(self._clients[name].run(), name=f"mqtt/{name}")

    async def _halt(self, name: str) -> None:
        task = self._connecting[name]
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _counter(self, device: str) -> Callable[[int, bool], None]:
        return lambda readings, is_sent: self._answered(device, readings, is_sent)

    async def _plugged(self, line: SerialLine | AskedLine) -> bool:
        """The name is free only when whoever had the line open has noticed that it is gone."""
        deadline = asyncio.get_running_loop().time() + _LONGEST_REPLUG_S
        while not line.plug():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_RETRY_S)
        return True
