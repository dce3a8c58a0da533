"""Records what a real device says as masked cases, which replay as a driver's fixtures do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from broker.subscription import Login
from device_drivers.cases import run_line
from device_drivers.conformance.masking import masked
from device_drivers.conformance.masking_behind import masked_behind
from device_drivers.connections import hear, open_serial, open_tcp, reason
from device_drivers.contract import Frame, FrameRefused, PollDriver, Settings, StreamDriver
from device_drivers.line_faults import LineLost
from device_drivers.modbus_tcp import Framing, open_modbus
from device_drivers.serial_port import SerialPort
from edge_agent.intake.subscriber import SubscriberIntake, why_ended
from telemetry import ConfigurationError, DeviceFault, EnvironmentFault, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from device_drivers.connections import StreamConnection
    from device_drivers.contract import Driver
    from device_drivers.registry import DriverEntry
    from edge_agent.client_tls import ClientTls
    from edge_agent.events import Batch

ANSWER_TIMEOUT_S: Final = 5.0
LICENCE: Final = "CC0-1.0"
_BETWEEN_ROUNDS_S: Final = 1.0


class Source(Protocol):
    """Where frames come from."""

    async def record(self, driver: Driver, take: Callable[[Frame], None]) -> None:
        """Hand on every frame until cancelled. Raises `EnvironmentFault` and `ConfigurationError`."""
        ...


@dataclass(frozen=True)
class SerialSource:
    """A serial port: of a device that sends by itself, or that is asked."""

    port: str
    baud: int
    has_secret: bool = False

    async def record(self, driver: Driver, take: Callable[[Frame], None]) -> None:
        """Hand on every frame until cancelled. Raises `EnvironmentFault` and `ConfigurationError`."""
        try:
            if isinstance(driver, StreamDriver):
                await self._listen(driver, take)
            else:
                connection = await open_serial(self.port, self.baud, ANSWER_TIMEOUT_S)
                await _ask(driver, connection, take, once=False, has_secret=self.has_secret)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise EnvironmentFault(
                f"cannot be opened: {reason(error)}", where=self.port, fix="name the adapter's port"
            ) from None

    async def _listen(self, driver: StreamDriver, take: Callable[[Frame], None]) -> None:
        port = SerialPort(self.port, self.baud)
        buffer = bytearray()

        def split(data: bytes) -> None:
            buffer.extend(data)
            for frame in driver.split(buffer):
                take(frame)

        try:
            await hear(port, split)
        finally:
            port.close()
        raise EnvironmentFault("the line went away", where=self.port)


@dataclass(frozen=True)
class TcpSource:
    """A device that is asked over TCP."""

    host: str
    port: int
    has_secret: bool = False
    framing: Framing | None = None
    """Of a Modbus device."""

    async def record(self, driver: Driver, take: Callable[[Frame], None]) -> None:
        """Hand on every frame until cancelled. Raises as `Source`, and `DeviceFault`."""
        while True:
            connection = await self._open()
            await _ask(driver, connection, take, once=True, has_secret=self.has_secret)
            await asyncio.sleep(_BETWEEN_ROUNDS_S)

    async def _open(self) -> StreamConnection:
        try:
            if self.framing is None:
                return await open_tcp(self.host, self.port, ANSWER_TIMEOUT_S)
            return await open_modbus(self.host, self.port, self.framing, ANSWER_TIMEOUT_S)
        except LineLost as lost:
            raise EnvironmentFault(
                f"the device cannot be reached: {lost.what}",
                where=f"{self.host}:{self.port}",
                fix="is it on, and in this network? does it listen on this port?",
            ) from None


@dataclass(frozen=True)
class BrokerSource:
    """Topics of an MQTT broker."""

    host: str
    port: int
    topic: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ClientTls | None = None

    async def record(self, driver: Driver, take: Callable[[Frame], None]) -> None:  # noqa: ARG002 - nothing is asked
        """Hand on every message until cancelled. Raises `EnvironmentFault`, and `TrustUnusable`."""

        def deliver(batch: Batch) -> None:
            for arrival in batch.arrivals:
                take(arrival.frame)
            intake.acknowledge(batch)

        login = Login(
            client_id=f"bansui-capture-{secrets.token_hex(4)}",
            topics=(self.topic,),
            username=self.username,
            password=self.password,
            session_expiry_s=0,
        )
        intake = SubscriberIntake(
            (self.host, self.port), login, session="", clock=SystemClock(), deliver=deliver, tls=self.tls
        )
        try:
            try:
                await intake.serve()
            except ConnectionError:  # as of a broker without MQTT 5, which is asked in 3.1.1 then
                await intake.serve()
        except OSError as error:
            raise EnvironmentFault(
                f"the broker cannot be listened to: {why_ended(error)}",
                where=f"{self.host}:{self.port}",
                fix="see that it runs at this address and lets --username read --topic",
            ) from None


async def _ask(
    driver: Driver, connection: StreamConnection, take: Callable[[Frame], None], *, once: bool, has_secret: bool
) -> None:
    """Ask a device for everything, once or round after round, and close the line.

    What is asked behind a password may hold a digest of it: then only what the driver itself hands on is kept.
    Raises `ConfigurationError` for a driver that asks nothing, and `DeviceFault`.
    """
    if not isinstance(driver, PollDriver):
        raise ConfigurationError("this driver asks nothing", fix="name --broker and --topic")
    heard = _Heard(connection)
    try:
        while True:
            frames = [frame async for frame in driver.poll(heard)]
            for frame in (*frames, *(heard.unread(frames) if not has_secret else ())):
                take(frame)
            if once:
                return
            await asyncio.sleep(_BETWEEN_ROUNDS_S)
    finally:
        connection.close()


class _Heard:
    """A line that remembers what was asked and answered in a round."""

    def __init__(self, connection: StreamConnection) -> None:
        self._connection = connection
        self._turns: list[tuple[bytes, bytes]] = [(b"", b"")]

    async def read_until(self, separator: bytes) -> bytes:
        """As the contract has it."""
        return self._remember(await self._connection.read_until(separator))

    async def read_exactly(self, count: int) -> bytes:
        """As the contract has it."""
        return self._remember(await self._connection.read_exactly(count))

    async def write(self, data: bytes) -> None:
        """As the contract has it."""
        await self._connection.write(data)
        self._turns.append((data, b""))

    def unread(self, frames: list[Frame]) -> list[Frame]:
        """Answers that the driver left out of the round, and the greeting."""
        answered = {frame.payload for frame in frames}
        found = [Frame(answer, request=asked) for asked, answer in self._turns if answer and answer not in answered]
        self._turns = [(b"", b"")]
        return found

    def _remember(self, data: bytes) -> bytes:
        asked, answer = self._turns[-1]
        self._turns[-1] = (asked, answer + data)
        return data


@dataclass
class Recording:
    """The cases so far."""

    entry: DriverEntry
    settings: Settings
    most: int
    cases: list[dict[str, Any]] = field(default_factory=list)
    withheld: int = 0
    """Frames that were refused: they are not shown."""
    is_full: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, driver: Driver, frame: Frame) -> None:
        """Mask a frame and keep it, unless one like it is there."""
        fit = masked(driver, frame)
        if fit is None:
            self.withheld += 1
            return
        self._keep(fit)

    def finish(self) -> None:
        """Nothing more comes."""

    def _keep(self, frame: Frame, before: Sequence[Frame] = ()) -> None:
        case = self._case(frame, before)
        is_new = all({**case, "id": ""} != {**other, "id": ""} for other in self.cases)
        if is_new and len(self.cases) < self.most:  # a round of questions may bring more
            self.cases.append(case)
        if len(self.cases) >= self.most:
            self.is_full.set()

    def _case(self, frame: Frame, before: Sequence[Frame]) -> dict[str, Any]:
        manifest = self.entry.manifest
        earlier = [{"topic": each.topic, **_content(each, is_asked=False)} for each in before]
        family = next((name for name, model in manifest.families.items() if model == self.settings.model), None)
        case: dict[str, Any] = {
            "id": f"captured-{len(self.cases) + 1}",
            "family": family or next(iter(manifest.families)),
            **({"model": self.settings.model} if self.settings.model else {}),
            **({"before": earlier} if earlier else {}),
            **({"topic": frame.topic} if frame.topic else {}),
            **_content(frame, is_asked=manifest.driver.transport.is_polled),
            **({"unit_id": self.settings.options["address"]} if "address" in self.settings.options else {}),
        }
        found = run_line(json.dumps(case).encode(), {self.entry.id: self.entry})
        readings = {
            f"{each.quantity}[{each.channel}]" if each.channel else each.quantity: each.value for each in found.readings
        }
        expect: dict[str, Any] = {"readings": readings} if found.error is None else {"error": found.error[0]}
        if found.dropped:
            expect["dropped"] = list(found.dropped)
        return {**case, "expect": expect, "source": "captured by `bansui driver capture`, masked", "licence": LICENCE}


@dataclass
class LearningRecording(Recording):
    """Of a device whose messages are read by those before them: masked together, once all have come."""

    messages: list[Frame] = field(default_factory=list)
    telling: list[int] = field(default_factory=list)
    """Of the messages, those that hold readings."""

    def take(self, driver: Driver, frame: Frame) -> None:
        """Keep a frame in memory, unless it is refused as personal."""
        try:
            found = driver.decode(frame)
        except FrameRefused as refusal:
            self.withheld += 1
            if refusal.reason != "personal":
                self.messages.append(frame)
            return
        if found.measurements:
            self.telling.append(len(self.messages))
        self.messages.append(frame)
        if len(self.telling) >= self.most:
            self.is_full.set()

    def finish(self) -> None:
        """Mask what holds readings, with what it needs."""
        for place in self.telling[: self.most]:
            fit = masked_behind(lambda: self.entry.create(self.settings), self.messages[:place], self.messages[place])
            if fit is not None:
                self._keep(fit[1], fit[0])


def _content(frame: Frame, *, is_asked: bool) -> dict[str, Any]:
    """A frame as a case has it: text where it is text, else bytes."""
    try:
        text, asked = frame.payload.decode("ascii"), frame.request.decode("ascii")
    except UnicodeDecodeError:
        return {"bytes_hex": frame.payload.hex()}
    if not all(part.isprintable() for part in (text.strip("\r\n"), asked.strip("\r\n"))):
        return {"bytes_hex": frame.payload.hex()}
    if asked:
        return {"payload": {"request": asked, "response": text}}
    if is_asked:
        return {"payload": {"greeting": text}}
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    return {"payload": document if isinstance(document, dict) else text}


async def record(entry: DriverEntry, settings: Settings, source: Source, *, frames: int, seconds: float) -> Recording:
    """Record until there are so many different frames, or so long. Raises `ConfigurationError`, `EnvironmentFault`."""
    driver = entry.create(settings)
    kind = LearningRecording if "pure" in entry.manifest.exempt else Recording
    recording = kind(entry, settings, frames)
    task = asyncio.create_task(source.record(driver, lambda frame: recording.take(driver, frame)))
    full = asyncio.create_task(recording.is_full.wait())
    await asyncio.wait((task, full), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    failure = task.exception() if task.done() and not task.cancelled() else None
    for each in (task, full):
        each.cancel()
        with contextlib.suppress(asyncio.CancelledError, EnvironmentFault, DeviceFault):
            await each
    recording.finish()
    if failure is not None and not recording.cases:
        raise failure
    if not recording.cases:
        what = "every frame was refused" if recording.withheld else f"nothing came in {seconds:g} s"
        raise EnvironmentFault(what, fix="is it the right place, and the right driver?")
    return recording


def settings_of(entry: DriverEntry, model: str, stated: Sequence[str], password: str) -> Settings:
    """What a configuration would say of the device. Raises `ConfigurationError`."""
    options: dict[str, str | int | float | bool] = {}
    for text in stated:
        name, found, value = text.partition("=")
        if not found:
            raise ConfigurationError(f"--option is {text!r}", fix="write NAME=VALUE")
        options[name] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
    return Settings(entry.manifest.check_model(model), options, {"password": password} if password else {})


def source_of(stated: Mapping[str, Any], entry: DriverEntry) -> Source:
    """The one place that was named, for a driver. Raises `ConfigurationError`, also where its CA cannot be read."""
    named = [key for key in ("serial", "tcp", "broker") if stated[key]]
    if len(named) != 1:
        raise ConfigurationError("name exactly one of --serial, --tcp and --broker")
    if stated["tls"] is not None:
        if named != ["broker"]:
            raise ConfigurationError("--ca-file is for a broker", fix="leave it out")
        stated["tls"].context()
    if named == ["serial"]:
        return SerialSource(stated["serial"], stated["baud"], bool(stated["password"]))
    host, _, port = str(stated[named[0]]).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")  # an address of IPv6
    if not host or not port.isdigit():
        raise ConfigurationError(f"--{named[0]} is {stated[named[0]]!r}", fix="write HOST:PORT")
    if named == ["tcp"]:
        return TcpSource(host, int(port), bool(stated["password"]), _framing(stated["framing"], entry))
    if not stated["topic"]:
        raise ConfigurationError("--broker needs a --topic", fix="name the device's own, as `acme/co2-a-301`")
    return BrokerSource(host, int(port), stated["topic"], stated["username"], stated["password"], stated["tls"])


def _framing(stated: str, entry: DriverEntry) -> Framing | None:
    if not entry.manifest.speaks_modbus:
        if stated:
            raise ConfigurationError(
                f"driver {entry.id} speaks no Modbus", fix="leave framing out: it is for drivers of Modbus registers"
            )
        return None
    try:
        return Framing(stated or Framing.MODBUS_TCP)
    except ValueError:
        raise ConfigurationError(f"--framing is {stated!r}", fix=f"one of: {', '.join(Framing)}") from None
