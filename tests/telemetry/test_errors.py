"""An error tells what, where, why and what to do."""

from __future__ import annotations

from telemetry import DeviceFault, EnvironmentFault


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
