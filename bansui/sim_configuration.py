"""The agent.toml and centre.toml of a simulated school: what an operator would write by hand, from its wiring."""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bansui.files import FileExists, make_folder, write_new

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bansui.sim_wiring import Client, Device, SchoolTables, Wiring

AGENT_FILE: Final = "agent.toml"
CENTRE_FILE: Final = "centre.toml"
_AGENT: Final = "edge-1"
_CREDENTIAL: Final = "uplink.token"
_SCHOOL_NAMES: Final = {"name_zh": "示范学校", "name_en": "Demonstration School"}
_DISTRICT_NAMES: Final = {"name_zh": "示范区", "name_en": "Demonstration District"}
START_WITHIN_S: Final = 30
"""Real seconds that windows wait for what is late: in them a person starts the agent of a school that runs already."""
_SHORTEST_LATENESS_S: Final = 120
_LONGEST_LATENESS_S: Final = 86_400
_LONGEST_WINDOW_S: Final = 3600
"""But for the whole day's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often an agent does what it does, in real seconds, and how long its windows wait, in the school's."""

    interval_s: float
    report_s: float
    retry_s: float
    checkpoint_s: float
    lateness_s: int

    @classmethod
    def at(cls, speed: float) -> Timing:
        """An agent's own timing, as often in a school's day that passes `speed` times as fast."""
        often = max(1.0, speed)
        return cls(
            interval_s=max(0.5, 60 / often),
            report_s=max(5.0, 300 / often),
            retry_s=max(0.2, 2 / often),
            checkpoint_s=max(5.0, 60 / often),
            lateness_s=min(max(round(START_WITHIN_S * speed), _SHORTEST_LATENESS_S), _LONGEST_LATENESS_S),
        )

    def settled_s(self, speed: float) -> int:
        """Real seconds from the end of a day until its windows are at the centre."""
        return math.ceil((self.lateness_s + _LONGEST_WINDOW_S) / speed + 2 * self.interval_s)


@dataclass(slots=True)
class Files:
    """Files to be written into one folder, by name; secrets for their owner alone."""

    texts: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def add(self, others: Files) -> None:
        """These as well."""
        self.texts.update(others.texts)
        self.secrets.update(others.secrets)

    def write(self, folder: Path) -> list[Path]:
        """Write them all, or none where one is there already. Raises `FileExists`, `EnvironmentFault`."""
        make_folder(folder)
        for name in (*self.texts, *self.secrets):
            if (folder / name).exists():
                fix = "name another folder, or remove this file"
                raise FileExists("is there already", where=str(folder / name), fix=fix)
        for name, secret in self.secrets.items():
            write_new(folder / name, f"{secret}\n", mode=0o600)
        for name, text in self.texts.items():
            write_new(folder / name, text)
        return [folder / name for name in (*self.texts, *self.secrets)]


def centre_files(school: SchoolTables, port: int) -> Files:
    """The centre's file and the token that it shares with the agent."""
    tables = [
        _table("[centre]", {"port": port, "state": "centre-state", "timezone": school.timezone}),
        _table("[centre.district]", {"code": school.district, **_DISTRICT_NAMES}),
        _table("[[school]]", {"code": school.school, **_SCHOOL_NAMES}),
        _table("[school.timetable]", school.timetable),
        _table("[[agent]]", {"id": _AGENT, "school": school.school, "token_file": _CREDENTIAL}),
    ]
    return Files({CENTRE_FILE: "".join(tables)}, {_CREDENTIAL: secrets.token_urlsafe(32)})


def agent_files(wiring: Wiring, timing: Timing, *, listener_port: int, health_port: int, centre_port: int) -> Files:
    """The agent's file and its devices' passwords; its uplink goes through the school's relay, where there is one."""
    files, relay = Files(), wiring.relay
    uplink = {
        "url": f"http://127.0.0.1:{centre_port}" if relay is None else f"http://{relay.host}:{relay.port}",
        "token_file": _CREDENTIAL,
        "interval_s": timing.interval_s,
        "report_s": timing.report_s,
        "retry_s": timing.retry_s,
    }
    head = {"district": wiring.district, "school": wiring.school, "timezone": wiring.timezone}
    tables = [
        _table("[agent]", {"id": _AGENT, **head}),
        _table("[health]", {"port": health_port}),
        _table("[uplink]", uplink),
        _table("[windows]", {"lateness_s": timing.lateness_s}),
        _table("[store]", {"checkpoint_s": timing.checkpoint_s}),
        _table("[timetable]", wiring.timetable),
        _table("[listener]", {"host": "127.0.0.1", "port": listener_port}),
        *(_client(files, client) for client in wiring.clients),
        *(_table("[[room]]", room.model_dump()) for room in wiring.rooms),
        *(_device(files, device) for device in wiring.devices),
    ]
    files.texts[AGENT_FILE] = "".join(tables)
    return files


def _client(files: Files, client: Client) -> str:
    name = f"mqtt-{client.id}.password"
    files.secrets[name] = client.password
    return _table("[[listener.client]]", {"id": client.id, "password_file": name, "publish": client.publish})


def _device(files: Files, device: Device) -> str:
    address = dict(device.address)
    if password := address.pop("password", ""):
        address["password_file"] = f"{device.id}.password"
        files.secrets[f"{device.id}.password"] = str(password)
    names = ("id", "room", "role", "driver", "model", "cadence_s")
    head = _table("[[device]]", {name: getattr(device, name) for name in names})
    options = _table("[device.options]", device.options) if device.options else ""
    return head + _table(f"[device.{device.transport}]", address) + options


def _table(header: str, values: Mapping[str, Any]) -> str:
    # a JSON string, number, boolean, array of these or empty object is written the same in TOML
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items()]
    return f"{header}\n{''.join(lines)}\n"
