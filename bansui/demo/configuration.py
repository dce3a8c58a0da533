"""Writes the demo's agent.toml and centre.toml: what an operator would write by hand, from the simulator's wiring."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from bansui.demo.plan import AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bansui.demo.plan import Plan

_CREDENTIAL: Final = "uplink.token"
_SCHOOL_NAMES: Final = {"name_zh": "示范学校", "name_en": "Demonstration School"}
_DISTRICT_NAMES: Final = {"name_zh": "示范区", "name_en": "Demonstration District"}


def write_centre(folder: Path, plan: Plan) -> Path:
    """The centre's file and the token it shares with the agent."""
    scenario = plan.scenario
    _write_secret(folder / _CREDENTIAL, secrets.token_urlsafe(32))
    tables = [
        _table("[centre]", {"port": plan.port, "state": "centre-state", "timezone": scenario.timezone}),
        _table("[centre.district]", {"code": scenario.district, **_DISTRICT_NAMES}),
        _table("[[school]]", {"code": scenario.school, **_SCHOOL_NAMES}),
        _table("[school.timetable]", scenario.timetable.model_dump(mode="json")),
        _table("[[agent]]", {"id": AGENT, "school": scenario.school, "token_file": _CREDENTIAL}),
    ]
    return _write(folder / "centre.toml", tables)


def write_agent(folder: Path, plan: Plan, wiring: Mapping[str, Any], listener_port: int, health_port: int) -> Path:
    """The agent's file, for the devices of `wiring`; its uplink goes through the simulator's relay."""
    relay = wiring["relay"]
    uplink = {
        "url": f"http://{relay['host']}:{relay['port']}",
        "token_file": _CREDENTIAL,
        "interval_s": 0.5,
        "report_s": 5,
        "retry_s": 0.2,
    }
    tables = [
        _table("[agent]", {"id": AGENT, **{name: wiring[name] for name in ("district", "school", "timezone")}}),
        _table("[health]", {"port": health_port}),
        _table("[uplink]", uplink),
        _table("[windows]", {"lateness_s": plan.lateness_s}),
        _table("[store]", {"checkpoint_s": 5}),
        _table("[timetable]", wiring["timetable"]),
        _table("[listener]", {"host": "127.0.0.1", "port": listener_port}),
        *(_client(folder, client) for client in wiring["clients"]),
        *(_table("[[room]]", room) for room in wiring["rooms"]),
        *(_device(folder, device) for device in wiring["devices"]),
    ]
    return _write(folder / "agent.toml", tables)


def _client(folder: Path, client: Mapping[str, Any]) -> str:
    file = f"mqtt-{client['id']}.password"
    _write_secret(folder / file, client["password"])
    return _table("[[listener.client]]", {"id": client["id"], "password_file": file, "publish": client["publish"]})


def _device(folder: Path, device: Mapping[str, Any]) -> str:
    address = dict(device[device["transport"]])
    if password := address.pop("password", ""):
        address["password_file"] = f"{device['id']}.password"
        _write_secret(folder / address["password_file"], password)
    names = ("id", "room", "role", "driver", "model", "cadence_s")
    head = _table("[[device]]", {name: device[name] for name in names})
    options = _table("[device.options]", device["options"]) if device.get("options") else ""
    return head + _table(f"[device.{device['transport']}]", address) + options


def _table(header: str, values: Mapping[str, Any]) -> str:
    # a JSON string, number, boolean, array of these or empty object is written the same in TOML
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items()]
    return f"{header}\n{''.join(lines)}\n"


def _write(path: Path, tables: list[str]) -> Path:
    path.write_text("".join(tables), encoding="utf-8")
    return path


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")
