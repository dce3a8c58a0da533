"""The score of a run: reads the truth, asks the centre, prints how they compare."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import BaseModel, Field, field_validator
from rich.console import Console
from rich.table import Table

from bansui import sim_files
from bansui.sim_words import words
from simulators.score import Score, score
from simulators.truth import SCHEMA
from telemetry import (
    ContractViolation,
    EnvironmentFault,
    UnknownQuantity,
    decode_all,
    quantity,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WITHIN_S: Final = 120.0
_DAY_MS: Final = 86_400_000


class _Window(BaseModel):
    device: str
    quantity: str
    start_ms: int = Field(ge=0, lt=10**14)
    sum_ticks: int
    physics_sum_ticks: int | None
    n: int = Field(ge=1)
    faults: list[str]

    @field_validator("quantity")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            return quantity(name).id
        except UnknownQuantity as error:
            raise ValueError(error.what) from None


class _Fault(BaseModel):
    name: str
    device: str | None
    at_ms: int
    until_ms: int


class _Truth(BaseModel):
    """What of a ground truth is compared."""

    school: str
    devices: dict[str, dict[str, Any]]
    windows: list[_Window]
    faults: list[_Fault]


class CentreUnreachable(EnvironmentFault):
    """A centre that does not answer as a centre does."""

    code = "centre_unreachable"


def read(path: Path) -> dict[str, Any]:
    """The truth in a file. Raises `RunFileUnreadable`."""
    return sim_files.read(path, _Truth, schema=SCHEMA, option="--truth").model_dump()


def judge(truth: Mapping[str, Any], url: str) -> Score:
    """Ask the centre for what it has of the truth's school and time, and compare. Raises `CentreUnreachable`."""
    starts = [window["start_ms"] for window in truth["windows"]]
    query: dict[str, str | int] = {
        "school": truth["school"],
        "from": max(0, min(starts, default=0) - _DAY_MS),
        "to": max(starts, default=0) + _DAY_MS,
    }
    try:
        answer = httpx.get(f"{url.rstrip('/')}/api/v1/export", params=query, timeout=_WITHIN_S).raise_for_status()
    except httpx.HTTPStatusError as error:
        why = f"it answers {error.response.status_code}: {_message(error.response)}"
        raise CentreUnreachable(
            why, where=url, fix="give the centre's address, and a truth of one of its schools"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CentreUnreachable(
            str(error), where=url, fix="see that a centre runs there; it is written as http://127.0.0.1:8086"
        ) from None
    try:
        return score(truth, decode_all(answer.content))
    except ContractViolation as error:
        why = f"what it answers is no export of a centre: {error.what}"
        raise CentreUnreachable(why, where=url, fix="give the centre's address") from None


def _message(response: httpx.Response) -> str:
    """What an answer says for a person: a centre says it as `message`."""
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]


def as_dict(found: Score) -> dict[str, Any]:
    """For programs."""
    tallies = {name: dataclasses.asdict(tally) for name, tally in found.tallies.items()}
    return {"completeness": found.completeness, "tallies": tallies, **dataclasses.asdict(found)}


def show(found: Score) -> None:
    """For a person."""
    console, say = Console(highlight=False), words()
    table = Table()
    for name in ("quantity", "windows", "arrived", "values", "off.sent", "off.physics"):
        table.add_column(say[name], justify="left" if name == "quantity" else "right")
    for name, each in found.quantities.items():
        sent, physics = each.sent, each.physics
        table.add_row(
            f"{name} ({each.unit})" if each.unit else name,
            f"{each.windows:,}",
            f"{each.arrived:,}",
            say["values.of"].format(arrived=each.slots_arrived, all=each.slots),
            f"{sent.mean_absolute:.3g}, {sent.worst:.3g}" if sent.windows else "",
            f"{physics.mean_absolute:.3g}, {physics.worst:.3g}" if physics.windows else "",
        )
    console.print(table)
    console.print(say["complete" if found.quantities else "no.windows"].format(share=found.completeness))
    for fault in found.detections:
        sentence = say["not.found" if fault.found_ms is None else "found"]
        by = "" if fault.found_ms is None else _time(fault.found_ms)
        console.print(sentence.format(device=fault.device, fault=fault.fault, since=_time(fault.at_ms), by=by))
    for name, tally in found.tallies.items():
        console.print(say["detected"].format(fault=name, found=tally.found, all=tally.struck, false=tally.false))
    for device, what in found.false_alarms:
        console.print(say["false"].format(device=device, what=what))
    for device in found.unknown_devices:
        console.print(say["unknown"].format(device=device))


def _time(at_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC):%Y-%m-%d %H:%M} UTC"
