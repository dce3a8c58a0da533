"""The wiring of a run: which device is reached where. Schema 1, one JSON object, for whoever configures an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators import vr, zigbee
from simulators.catalogue import CATALOGUE, topic_of
from simulators.devices import Devices, client_of, driver_of, model_of, transport_of
from simulators.kinds import Kind
from simulators.plantower import BAUD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulators.scenarios import DeviceModel
    from telemetry import ScaledClock

SCHEMA: Final = 1
HOST: Final = "127.0.0.1"


def wiring(
    devices: Devices,
    clock: ScaledClock,
    *,
    serial_ports: Mapping[str, str],
    tcp_ports: Mapping[str, int],
    relay_port: int | None,
) -> dict[str, object]:
    """The document; it holds passwords, so its file is its owner's alone."""
    scenario = devices.scenario
    return {
        "schema": SCHEMA,
        "clock": [clock.origin_ms, clock.started_ms, clock.speed],
        "district": scenario.district,
        "school": scenario.school,
        "timezone": scenario.timezone,
        "timetable": scenario.timetable.model_dump(mode="json"),
        "rooms": [room.model_dump(mode="json", include={"code", "building", "placement"}) for room in scenario.room],
        "devices": [_device(model, devices, serial_ports, tcp_ports) for model in scenario.device],
        "clients": _clients(devices),
        "relay": None if relay_port is None else {"host": HOST, "port": relay_port},
    }


def _device(
    model: DeviceModel, devices: Devices, serial_ports: Mapping[str, str], tcp_ports: Mapping[str, int]
) -> dict[str, object]:
    transport = transport_of(model)
    address: dict[str, object]
    if transport == "serial":
        address = {"port": serial_ports[model.id], "baud": BAUD}
    elif transport == "tcp":
        address = {"host": HOST, "port": tcp_ports[model.id], "password": devices.passwords[model.id]}
        if model.framing:
            address["framing"] = model.framing
    else:
        address = {"topic": _topic(model)}
    return {
        "id": model.id,
        "room": model.room,
        "role": model.stated_role,
        "driver": driver_of(model),
        "model": model_of(model),
        "cadence_s": model.cadence_s,
        "transport": transport,
        transport: address,
        **({"options": {"address": model.address}} if model.line or model.framing else {}),
    }


def _topic(model: DeviceModel) -> str:
    if model.kind in CATALOGUE:
        return topic_of(model)
    base = vr.BASE_TOPIC if model.kind is Kind.VR else zigbee.BASE_TOPIC
    return f"{base}/{model.id}"


def _clients(devices: Devices) -> list[dict[str, object]]:
    clients: dict[str, list[str]] = {}
    for model in devices.scenario.device:
        if transport_of(model) == "mqtt":
            client = client_of(model)
            if model.kind in CATALOGUE:
                clients[client] = [CATALOGUE[model.kind].publishes.format(id=model.id)]
                continue
            clients[client] = [_topic(model) if model.kind is Kind.VR else f"{zigbee.BASE_TOPIC}/#"]
    return [
        {"id": client, "password": devices.passwords[client], "publish": topics} for client, topics in clients.items()
    ]
