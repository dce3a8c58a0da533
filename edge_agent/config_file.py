"""Reads agent.toml: every mistake at once, each with its line, what stands there, and what would do."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from device_drivers.modbus_tcp import Framing
from device_drivers.registry import discover
from edge_agent.config import Configuration, SerialTable
from edge_agent.privacy.people import CAMPUS_DEVICE, CAMPUS_PLACE
from telemetry import ConfigurationError
from telemetry.plain_words import suggest
from telemetry.policy import policy_named_in
from telemetry.table_file import ConfigurationMistakes, Mistake, dotted, read_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from device_drivers.registry import DriverEntry
    from telemetry.policy import Policy
    from telemetry.table_file import Location


CHECK: Final = "bansui agent validate"
_EVERY_ADDRESS: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A configuration that is whole, and where it came from."""

    tables: Configuration
    path: Path
    digest: bytes
    """SHA-256 of the file and of its policy, by which the centre sees that one of them changed."""
    line_of: Callable[[Location], int]
    policy: Policy

    @property
    def folder(self) -> Path:
        """What the file's own paths are relative to."""
        return self.path.resolve().parent

    @property
    def state_folder(self) -> Path:
        """Where an agent of this configuration keeps its store."""
        return self.folder / self.tables.agent.state

    def read_secret(self, name: str) -> str:
        """The first line of a secret's file. Raises `ConfigurationError`."""
        return first_line(self.folder / name)


class Findings:
    """Gathers what is wrong with a configuration beyond its text: drivers that cannot be made, secrets not there."""

    def __init__(self, loaded: LoadedConfiguration) -> None:
        self._loaded = loaded
        self._mistakes: list[Mistake] = []

    @contextmanager
    def at(self, *location: str | int) -> Iterator[None]:
        """Note a `ConfigurationError` of the block as a mistake at this place, and go on behind it."""
        try:
            yield
        except ConfigurationError as error:
            line = self._loaded.line_of(location)
            self._mistakes.append(Mistake(line, dotted(location), "", error.what, error.fix))

    def conclude(self) -> None:
        """Raise `ConfigurationMistakes` with all of them, if there are any."""
        if self._mistakes:
            raise ConfigurationMistakes(self._loaded.path, self._mistakes, CHECK)


def load(path: Path) -> LoadedConfiguration:
    """Read and check a configuration file. Raises `ConfigurationError`, or `ConfigurationMistakes` with them all."""
    file = read_tables(path, Configuration, CHECK, _cross_checks)
    policy = policy_named_in(file, file.tables.privacy.policy, path, CHECK)
    digest = hashlib.sha256(file.data + policy.digest).digest()
    loaded = LoadedConfiguration(file.tables, path, digest, file.line_of, policy)
    _keep_names_free(loaded)
    _keep_ports_apart(loaded)
    return loaded


def _keep_names_free(loaded: LoadedConfiguration) -> None:
    """Refuse names under which people counts are told. Raises `ConfigurationMistakes`."""
    export, tables, findings = loaded.policy.tables.P2.export, loaded.tables, Findings(loaded)
    rooms = {room.code for room in tables.room}
    taken = {"none": frozenset[str](), "campus": frozenset({CAMPUS_DEVICE}), "room": frozenset(rooms)}[export]
    for index, device in enumerate(tables.device):
        if device.id in taken:
            with findings.at("device", index, "id"):
                what = f"people counts are told under the name {device.id!r}: no device may have it"
                raise ConfigurationError(what, fix="give the device another id")
    for index, room in enumerate(tables.room):
        if export == "campus" and room.code == CAMPUS_PLACE:
            with findings.at("room", index, "code"):
                what = f"the count of the whole campus is told under the name {CAMPUS_PLACE!r}: no room may have it"
                raise ConfigurationError(what, fix="give the room another code")
    findings.conclude()


def _keep_ports_apart(loaded: LoadedConfiguration) -> None:
    """Refuse one port for two purposes: the second could not be opened. Raises `ConfigurationMistakes`."""
    ports, findings = loaded.tables.own_ports, Findings(loaded)
    clashes = {
        key: other
        for number, (key, host, port) in enumerate(ports)
        for other, elsewhere, taken in ports[:number]
        if port and port == taken and key != other and (host == elsewhere or {host, elsewhere} & _EVERY_ADDRESS)
    }
    for key, other in clashes.items():
        with findings.at(*key.split(".")):
            raise ConfigurationError(f"this is {other} already", fix="choose another port")
    findings.conclude()


def _cross_checks(document: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """What no single table can know: references, and names that have to be unique."""
    rooms = [room.get("code") for room in _tables(document, "room")]
    yield from _repeated(document, "room", "code")
    yield from _repeated(document, "device", "id")
    drivers = discover()
    for index, device in enumerate(_tables(document, "device")):
        room, driver = device.get("room"), device.get("driver")
        if isinstance(room, str) and room not in rooms:
            yield ("device", index, "room"), "no [[room]] has this code", suggest(room, [str(r) for r in rooms])
        if isinstance(driver, str) and driver not in drivers:
            yield ("device", index, "driver"), "no driver has this id", suggest(driver, list(drivers))
        if "mqtt" in device and not {"listener", "subscriber"} & document.keys():
            yield ("device", index, "mqtt"), "needs [listener] or [subscriber]", "add one of the two tables"
    yield from _shared_topics(document)
    yield from _shared_lines(document, drivers)
    yield from _shared_addresses(document, drivers)


def _repeated(document: dict[str, Any], table: str, key: str) -> Iterator[tuple[Location, str, str]]:
    seen: set[object] = set()
    for index, entry in enumerate(_tables(document, table)):
        value = entry.get(key)
        if isinstance(value, str):
            if value in seen:
                yield (table, index, key), f"another [[{table}]] has this {key}", "give each its own"
            seen.add(value)


def _shared_topics(document: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Two devices on one topic: one of them would never be heard."""
    seen: set[str] = set()
    for index, device in enumerate(_tables(document, "device")):
        inner = device.get("mqtt")
        topic = inner.get("topic") if isinstance(inner, dict) else None
        if isinstance(topic, str):
            if topic in seen:
                yield ("device", index, "mqtt", "topic"), "another [[device]] has this topic", "give each its own"
            seen.add(topic)


def _shared_lines(document: dict[str, Any], drivers: Mapping[str, DriverEntry]) -> Iterator[tuple[Location, str, str]]:
    """Devices on one serial line: all must wait until they are asked, and at one speed."""
    first: dict[str, tuple[object, bool]] = {}
    usual = SerialTable.model_fields["baud"].default
    for index, device in enumerate(_tables(document, "device")):
        line = device.get("serial")
        port = line.get("port") if isinstance(line, dict) else None
        if not isinstance(line, dict) or not isinstance(port, str):
            continue
        entry = drivers.get(str(device.get("driver")))
        waits = entry is not None and entry.found is not None and entry.found.driver.transport.is_polled
        if port not in first:
            first[port] = line.get("baud", usual), waits
            continue
        baud, other_waits = first[port]
        if not (waits and other_waits):
            what = "another [[device]] has this port, and one of the two sends without being asked"
            yield ("device", index, "serial", "port"), what, "give each a line of its own"
        elif line.get("baud", usual) != baud:
            yield (
                ("device", index, "serial"),
                "another [[device]] has this port at another speed",
                "set one baud for all",
            )


def _shared_addresses(
    document: dict[str, Any], drivers: Mapping[str, DriverEntry]
) -> Iterator[tuple[Location, str, str]]:
    """Modbus devices at one TCP address: what is there, a gateway or a converter, understands one framing."""
    first: dict[tuple[str, object], object] = {}
    for index, device in enumerate(_tables(document, "device")):
        address = device.get("tcp")
        host = address.get("host") if isinstance(address, dict) else None
        entry = drivers.get(str(device.get("driver")))
        if not isinstance(address, dict) or not isinstance(host, str) or entry is None or entry.found is None:
            continue
        if not entry.found.speaks_modbus:
            continue
        framing = address.get("framing", Framing.MODBUS_TCP)
        if first.setdefault((host.casefold(), address.get("port")), framing) != framing:
            what = "another [[device]] has this address with another framing"
            yield ("device", index, "tcp"), what, "set one framing for all"


def _tables(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = document.get(name)
    if not isinstance(tables, list):
        return []
    return [table if isinstance(table, dict) else {} for table in tables]


def first_line(path: Path) -> str:
    """The first line of a secret's file. Raises `ConfigurationError`."""
    fix = f"write the secret into {path}, mode 600"
    try:
        secret = path.read_text(encoding="ascii").partition("\n")[0].strip()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", fix=fix) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not ASCII text", fix=fix) from None
    if not secret:
        raise ConfigurationError(f"the first line of {path} is empty", fix=fix)
    return secret
