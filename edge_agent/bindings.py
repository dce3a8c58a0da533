"""Binds each configured device to its driver, its place and the rules of its quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.contract import PollDriver, Settings, StreamDriver
from device_drivers.registry import discover
from edge_agent.admission import Admission, Binding, ClockTolerance
from edge_agent.privacy.classes import classify
from edge_agent.privacy.rules import Rule
from edge_agent.windows import Cadence
from telemetry import ConfigurationError, quantity

if TYPE_CHECKING:
    from device_drivers.registry import DriverEntry
    from edge_agent.config import DeviceTable, RoomTable
    from edge_agent.config_file import LoadedConfiguration

CADENCES_A_VALUE_STANDS: Final = 3


class WrongTransport(ConfigurationError):
    """A driver that cannot speak over the line a device is bound to."""

    code = "wrong_transport"


def bind(loaded: LoadedConfiguration) -> Admission:
    """Make every device's driver. Raises `ConfigurationError` naming the device."""
    tables = loaded.tables
    rooms = {room.code: room for room in tables.room}
    drivers = discover()
    tolerance = ClockTolerance(tables.windows.clock_ahead_s * 1000, tables.windows.clock_behind_s * 1000)
    bindings = [
        (_binding(device, rooms[device.room], drivers[device.driver], loaded), device.mqtt.topic if device.mqtt else "")
        for device in tables.device
    ]
    return Admission(bindings, tolerance)


def _binding(device: DeviceTable, room: RoomTable, entry: DriverEntry, loaded: LoadedConfiguration) -> Binding:
    secrets = {}
    if device.tcp is not None and device.tcp.password_file:
        key = f"device {device.id}: tcp.password_file"
        secrets["password"] = loaded.read_secret(device.tcp.password_file, key)
    try:
        driver = entry.create(Settings(model=device.model, options=device.options, secrets=secrets))
    except ConfigurationError as error:
        error.where = f"device {device.id}"
        raise
    if device.serial is not None and not isinstance(driver, (StreamDriver, PollDriver)):
        raise WrongTransport(f"driver {entry.id} reads no serial line", where=f"device {device.id}")
    if device.tcp is not None and not isinstance(driver, PollDriver):
        raise WrongTransport(f"driver {entry.id} asks nothing over TCP", where=f"device {device.id}")
    stale_after_s = device.stale_after_s or CADENCES_A_VALUE_STANDS * device.cadence_s
    return Binding(
        device=device.id,
        building=room.building,
        room=room.code,
        driver_id=entry.id,
        driver=driver,
        cadence=Cadence(device.cadence_s * 1000, stale_after_s * 1000),
        rules={
            name: Rule(quantity(name), classify(quantity(name), room.placement, device.role))
            for name in entry.manifest.quantities
        },
    )
