"""What a configuration comes to: each device bound to driver, place and rules; every secret read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from broker.clients import load_client, load_clients
from broker.tls import Certificate
from device_drivers.contract import PollDriver, Settings, StreamDriver
from device_drivers.field_rows import Transport
from device_drivers.registry import discover
from edge_agent.admission import Admission, Binding, ClockTolerance
from edge_agent.client_tls import context_of
from edge_agent.config_file import Findings
from edge_agent.privacy.classes import classify
from edge_agent.privacy.rules import Rule
from edge_agent.programs import program_of
from edge_agent.windows import Cadence
from telemetry import ConfigurationError, quantity
from telemetry.plain_words import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.credentials import Credentials
    from broker.tls import TlsFiles
    from device_drivers.registry import DriverEntry
    from edge_agent.client_tls import ClientTls
    from edge_agent.config import DeviceTable, RoomTable
    from edge_agent.config_file import LoadedConfiguration
    from telemetry import Placement, Role
    from telemetry.policy import Policy

CADENCES_A_VALUE_STANDS: Final = 3


class WrongTransport(ConfigurationError):
    """A driver that cannot speak over the line a device is bound to."""

    code = "wrong_transport"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a configuration comes to: everything that can be had without a connection."""

    admission: Admission
    token: str
    clients: Credentials
    """Who may connect to the listener."""
    broker_password: str
    broker_tls: ClientTls | None
    """Of the school's broker, where it speaks TLS; the files have been read."""
    tls: TlsFiles | None
    """Of the listener; they have been read, and belong together."""


def prepare(loaded: LoadedConfiguration) -> Prepared:
    """Make every driver and read every secret. Raises `ConfigurationMistakes` with all that is wrong."""
    tables = loaded.tables
    findings = Findings(loaded)
    admission = _bind(loaded, findings)
    token = broker_password = ""
    with findings.at("uplink", "token_file"):
        token = loaded.read_secret(tables.uplink.token_file)
    with findings.at("uplink", "ca_file"):
        context_of(tables.uplink.tls(loaded.folder))
    logins = tables.listener.client if tables.listener is not None else ()
    for index, login in enumerate(logins):
        with findings.at("listener", "client", index):
            load_client(login, loaded.folder)
    tls = None
    if tables.listener is not None and tables.listener.tls is not None:
        tls = tables.listener.tls.files(loaded.folder)
        with findings.at("listener", "tls"):
            Certificate(tls)
    if tables.subscriber is not None and tables.subscriber.password_file:
        with findings.at("subscriber", "password_file"):
            broker_password = loaded.read_secret(tables.subscriber.password_file)
    broker_tls = None
    if tables.subscriber is not None and tables.subscriber.tls is not None:
        broker_tls = tables.subscriber.tls.files(loaded.folder)
        with findings.at("subscriber", "tls"):
            broker_tls.context()
    findings.conclude()
    return Prepared(admission, token, load_clients(logins, loaded.folder), broker_password, broker_tls, tls)


def bind(loaded: LoadedConfiguration) -> Admission:
    """Make every device's driver, without the agent's own secrets. Raises `ConfigurationMistakes`."""
    findings = Findings(loaded)
    admission = _bind(loaded, findings)
    findings.conclude()
    return admission


def _bind(loaded: LoadedConfiguration, findings: Findings) -> Admission:
    tables = loaded.tables
    rooms = {room.code: room for room in tables.room}
    drivers = discover()
    tolerance = ClockTolerance(tables.windows.clock_ahead_s * 1000, tables.windows.clock_behind_s * 1000)
    bindings: list[tuple[Binding, str]] = []
    for index, device in enumerate(tables.device):
        with findings.at("device", index):
            binding = _binding(device, rooms[device.room], drivers[device.driver], loaded)
            bindings.append((binding, device.mqtt.topic if device.mqtt else ""))
    return Admission(bindings, tolerance)


def _binding(device: DeviceTable, room: RoomTable, entry: DriverEntry, loaded: LoadedConfiguration) -> Binding:
    secrets = {}
    if device.tcp is not None and device.tcp.password_file:
        secrets["password"] = loaded.read_secret(device.tcp.password_file)
    settings = Settings(model=device.model, options=device.options, secrets=secrets)
    driver = entry.create(settings)
    if device.serial is not None and not isinstance(driver, (StreamDriver, PollDriver)):
        raise WrongTransport(f"driver {entry.id} reads no serial line")
    if device.tcp is not None and not isinstance(driver, PollDriver):
        raise WrongTransport(f"driver {entry.id} asks nothing over TCP")
    if device.tcp is not None and device.tcp.framing is not None and not entry.manifest.speaks_modbus:
        raise WrongTransport(
            f"driver {entry.id} speaks no Modbus", fix="leave framing out: it is for drivers of Modbus registers"
        )
    if (device.exec is not None) != (entry.manifest.driver.transport is Transport.EXEC):
        raise WrongTransport(
            f"driver {entry.id} {'reads no program' if device.exec else 'reads a program'}",
            fix="set exec for a driver whose transport is exec, and for no other",
        )
    stale_after_s = device.stale_after_s or CADENCES_A_VALUE_STANDS * device.cadence_s
    return Binding(
        device=device.id,
        building=room.building,
        room=room.code,
        driver_id=entry.id,
        driver=driver,
        cadence=Cadence(device.cadence_s * 1000, stale_after_s * 1000),
        rules=_rules(_measured(device, entry), room.placement, device.role, loaded.policy),
        channels=entry.manifest.channels,
        renew=lambda: entry.create(settings),
        fitted="" if device.fitted is None else device.fitted.isoformat(),
        program=program_of(device, entry, loaded.folder),
    )


def _measured(device: DeviceTable, entry: DriverEntry) -> frozenset[str]:
    """What may come in of a device: all that its driver can read, or of it what the configuration names."""
    readable = entry.manifest.quantities
    if not device.quantities and not entry.manifest.field:
        raise ConfigurationError(
            f"driver {entry.id} could read anything: the device has to name its quantities",
            fix='write quantities = ["temperature"], with what it measures',
        )
    for name in device.quantities:
        if name not in readable:
            raise ConfigurationError(f"driver {entry.id} reads no {name!r}", fix=suggest(name, list(readable)))
    return frozenset(device.quantities) or readable


@lru_cache(maxsize=256)
def _rules(quantities: frozenset[str], placement: Placement, role: Role, policy: Policy) -> Mapping[str, Rule]:
    """The rule of each quantity; devices of one kind, in rooms of one kind, share them."""
    return {
        name: Rule(quantity(name), classify(quantity(name), placement, role), policy, placement) for name in quantities
    }
