"""Every error belongs to one of five branches and tells what, where, why and what to do."""

from __future__ import annotations

import importlib
import pkgutil
import re

import telemetry
from telemetry import (
    BansuiError,
    ConfigurationError,
    ContractViolation,
    DeliveryFault,
    DeviceFault,
    EnvironmentFault,
)

BRANCHES = (ConfigurationError, EnvironmentFault, DeviceFault, DeliveryFault, ContractViolation)


def test_an_error_as_text_and_as_json() -> None:
    """A person gets place and sentence, a program gets the closed set of keys."""
    error = EnvironmentFault("port 1883 is taken", where="agent.toml:12", why="another broker runs", fix="stop it")
    assert str(error) == "agent.toml:12: port 1883 is taken"
    assert error.as_dict() == {
        "code": "environment",
        "what": "port 1883 is taken",
        "where": "agent.toml:12",
        "why": "another broker runs",
        "fix": "stop it",
    }
    assert str(DeviceFault("no answer")) == "no answer"


def test_every_error_has_a_branch_and_a_code_of_its_own() -> None:
    """Whoever catches a branch catches all of it; a code in a log leads to one class."""
    for module in pkgutil.iter_modules(telemetry.__path__, "telemetry."):
        importlib.import_module(module.name)
    errors = [error for error in _descendants(BansuiError) if error.__module__.startswith("telemetry")]
    for error in errors:
        assert sum(issubclass(error, branch) for branch in BRANCHES) == 1
        assert re.fullmatch(r"[a-z][a-z0-9_]*", error.code)
    assert len({error.code for error in errors}) == len(errors)


def _descendants(kind: type[BansuiError]) -> list[type[BansuiError]]:
    return [error for child in kind.__subclasses__() for error in (child, *_descendants(child))]
