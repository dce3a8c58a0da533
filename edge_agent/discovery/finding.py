"""Looks for devices that nobody has placed, everywhere at once: what the agent heard, this box's ports, the network."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from device_drivers.registry import discover
from edge_agent.discovery.pjlink_search import Answers, projectors, search
from edge_agent.discovery.proposals import Source
from edge_agent.discovery.serial_ports import free_ports
from edge_agent.discovery.telling import ask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from device_drivers.registry import DriverEntry
    from edge_agent.config_file import LoadedConfiguration
    from edge_agent.discovery.proposals import Proposal


@dataclass(frozen=True, slots=True)
class Found:
    """What could be placed."""

    proposals: Sequence[Proposal]
    is_running: bool
    """Whether an agent was there to say what it heard."""
    forgotten: int = 0
    unread: int = 0
    search_failure: str = ""
    """Why nobody could be asked for projectors, if that is so."""


async def find(loaded: LoadedConfiguration, folder: Path, address: str) -> Found:
    """Ask the agent of the state folder, and at `address` for projectors, if it is not empty.

    Raises `EnvironmentFault` when the agent cannot be asked.
    """
    devices = loaded.tables.device
    told, answers = await asyncio.gather(ask(folder), search(address) if address else _nobody())
    ports = free_ports(device.serial.port for device in devices if device.serial is not None)
    asked = projectors(answers.hosts, {device.tcp.host for device in devices if device.tcp is not None})
    if told is None:
        return Found([*ports, *asked], is_running=False, search_failure=answers.failure)
    heard = [_with_driver(each) if each.source is Source.CHIRPSTACK else each for each in told.proposals]
    return Found([*heard, *ports, *asked], True, told.forgotten, told.unread, answers.failure)


def _with_driver(sensor: Proposal) -> Proposal:
    """A LoRaWAN sensor with the drivers that list the model its make names; else with all that it could be."""
    words = frozenset(re.split(r"[^a-z0-9]+", sensor.make.casefold()))
    named: dict[str, str] = {}
    lorawan = {name: entry.manifest for name, entry in discover().items() if _is_lorawan(entry)}
    for name, manifest in lorawan.items():
        model = next((each for each in manifest.driver.models if each.casefold() in words), "")
        if model:
            named[name] = model
    return replace(sensor, drivers=tuple(named or lorawan), model=next(iter(named.values()), ""))


def _is_lorawan(entry: DriverEntry) -> bool:
    """Whether devices of a driver are bound to a network server's topics, as its sample shows."""
    return entry.found is not None and "/event/#" in entry.found.sample


async def _nobody() -> Answers:
    return Answers()
