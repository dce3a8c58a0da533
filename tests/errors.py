"""Every error that a person may read, in every room."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Final

from telemetry import (
    BansuiError,
    ConfigurationError,
    ContractViolation,
    DeliveryFault,
    DeviceFault,
    EnvironmentFault,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS: Final = ("telemetry", "device_drivers", "broker", "simulators", "edge_agent", "cloud_sink", "bansui")
BRANCHES: Final = (ConfigurationError, EnvironmentFault, DeviceFault, DeliveryFault, ContractViolation)


def every_error() -> list[type[BansuiError]]:
    """All error classes of ours, sorted by their codes."""
    for room in ROOMS:
        for module in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}."):
            if not module.name.endswith((".__main__", ".test_driver")):
                importlib.import_module(module.name)
    ours = {error for error in _descendants(BansuiError) if error.__module__.partition(".")[0] in ROOMS}
    return sorted(ours, key=lambda error: (error.code, error.__module__, error.__qualname__))


def branch_of(error: type[BansuiError]) -> type[BansuiError]:
    """The branch of the tree that says who has to act."""
    [branch] = [branch for branch in BRANCHES if issubclass(error, branch)]
    return branch


def _descendants(kind: type[BansuiError]) -> Iterator[type[BansuiError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
