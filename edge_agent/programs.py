"""Which program reads a device over `exec`: the one that its configuration names, or the one that its driver brings."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from device_drivers.tables.readings import ReadingsFormat
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from device_drivers.registry import DriverEntry
    from edge_agent.config import DeviceTable

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where a program named without a folder is looked for, by the agent and by the program itself."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is started for a device."""

    command: tuple[str, ...]
    """The program's file, in full, and its arguments."""
    folder: str
    """Where it runs: its relative names are of this folder."""
    environment: dict[str, str]
    """All of it."""


def program_of(device: DeviceTable, entry: DriverEntry, folder: Path) -> Program | None:
    """The program of a device that has one; `folder` is the configuration's. Raises `ConfigurationError`."""
    if device.exec is None:
        return None
    command, where = device.exec.command, folder
    if not command and isinstance(entry.manifest.format, ReadingsFormat):
        command, where = entry.manifest.format.command, entry.folder
    if not command:
        raise ConfigurationError(
            f"driver {entry.id} brings no program: exec.command is missing", fix='write exec = { command = ["./NAME"] }'
        )
    return Program((_found(command[0], where), *command[1:]), str(where), _environment(device))


def _found(name: str, folder: Path) -> str:
    """The program's file in full. Raises `ConfigurationError`."""
    path = str(folder / name) if "/" in name else shutil.which(name, path=PATH)
    if path is None:
        raise ConfigurationError(
            f"there is no program {name!r} in {PATH}", fix="install it, or write its path, as ./NAME or /FOLDER/NAME"
        )
    if not os.path.exists(path):  # noqa: PTH110 - text from here on, as it is executed
        raise ConfigurationError(f"there is no {path}", fix="write the path of the program that is to run")
    if not os.path.isfile(path) or not os.access(path, os.X_OK):  # noqa: PTH113 - text from here on, as it is executed
        raise ConfigurationError(f"{path} is no program that can be started", fix=f"chmod +x {path}")
    return path


def _environment(device: DeviceTable) -> dict[str, str]:
    """What a program is told: nothing of the agent's own environment."""
    told = {"PATH": PATH, "LANG": "C.UTF-8", "BANSUI_CADENCE_S": str(device.cadence_s)}
    if device.model:
        told["BANSUI_MODEL"] = device.model
    return told | {f"BANSUI_OPTION_{name.upper()}": _text(value) for name, value in device.options.items()}


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
