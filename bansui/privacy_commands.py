"""`bansui privacy`: what leaves the school, shown, proven and counted for those who answer for it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bansui import failures
from bansui.clock_option import ClockOption
from bansui.failures import UsageError
from bansui.json_option import AsJson
from telemetry import parse_clock

if TYPE_CHECKING:
    import zoneinfo
    from collections.abc import Callable

app = typer.Typer(help="What leaves the school: shown, proven, counted.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]


@app.command()
def ledger(
    config: Config,
    *,
    today: Annotated[bool, typer.Option("--today", help="Of today alone, by quantity and privacy class.")] = False,
    day: Annotated[str, typer.Option("--day", help="Of one day, YYYY-MM-DD in the school's time zone.")] = "",
    clock: ClockOption = "",
    as_json: AsJson = False,
) -> None:
    """What left this school: batches, summaries and bytes of each day, or all of one day."""
    from bansui import access_log
    from bansui.egress_text import days, one_day
    from edge_agent.agent import state_folder
    from edge_agent.config_file import load
    from edge_agent.privacy.egress import Totals, tally
    from edge_agent.store import batches

    loaded = load(config)
    folder, zone, now_ms = state_folder(loaded), loaded.tables.zone, parse_clock(clock).now()
    asked = _day(day, today=today, now_ms=now_ms, zone=zone)
    access_log.note(folder, f"privacy ledger{f' --day {asked}' if asked else ''}", now_ms, zone)
    from_ms, to_ms = (_midnight(asked, zone), _midnight(asked + dt.timedelta(1), zone)) if asked else (0, 1 << 62)
    entries = batches.read(folder, from_ms, to_ms, with_bodies=asked is not None)
    totals = tally(entries, _classes(config), lambda ms: f"{_date(ms, zone)}")
    if asked:
        totals.setdefault(str(asked), Totals())
    if as_json:
        print(json.dumps({"days": [{"day": name, **of.as_dict()} for name, of in totals.items()]}))
    elif asked:
        print(one_day(str(asked), totals[str(asked)], failures.language()))
    else:
        print(days(totals, failures.language()))


@app.command()
def verify(config: Config, clock: ClockOption = "", as_json: AsJson = False) -> None:
    """Check that every byte that left is as it was sealed, and the chain of batches whole; exit 1 if not."""
    from bansui import access_log
    from bansui.egress_text import verified
    from edge_agent.agent import state_folder
    from edge_agent.config_file import load
    from edge_agent.store import batches

    loaded = load(config)
    folder = state_folder(loaded)
    access_log.note(folder, "privacy verify", parse_clock(clock).now(), loaded.tables.zone)
    found = batches.verify(folder)
    if as_json:
        print(json.dumps({"whole": not found.faults, **dataclasses.asdict(found)}))
    else:
        print(verified(found, failures.language()))
    if found.faults:
        raise typer.Exit(1)


@app.command()
def explain(
    config: Config,
    device: Annotated[str, typer.Option("--device", help="This device alone, by its id.")] = "",
    as_json: AsJson = False,
) -> None:
    """What becomes of each field of each device under the policy in force, and why."""
    from bansui.policy_text import explained, heading, rest
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.privacy.treatment import treatments

    loaded = load(config)
    bindings, policy, language = bind(loaded).bindings, loaded.policy, failures.language()
    devices = [each for each in loaded.tables.device if device in ("", each.id)]
    if not devices:
        known = ", ".join(each.id for each in loaded.tables.device) or "none"
        raise UsageError(f"no device is called {device!r}", where="--device", fix=f"take one of: {known}")
    placements = {room.code: room.placement for room in loaded.tables.room}
    found = {each.id: treatments(bindings[each.id].rules, each.role, policy) for each in devices}
    if as_json:
        listed = {
            name: [{**dataclasses.asdict(each), "quantities": names} for each, names in of.items()]
            for name, of in found.items()
        }
        print(json.dumps({"policy": policy.name, "devices": listed}, ensure_ascii=False, indent=2))
        return
    paragraphs = [heading(policy, language)]
    for each in devices:
        words = {
            "device": each.id,
            "room": each.room,
            "placement": str(placements[each.room]),
            "role": str(each.role),
            "driver": each.driver,
        }
        paragraphs.append(explained(words, found[each.id], policy, language))
    print("\n\n".join([*paragraphs, rest(language)]))


def _classes(config: Path) -> Callable[[str, str], str]:
    """The privacy class of a device's quantity, by the configuration in force."""
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.privacy.egress import UNKNOWN_CLASS

    bindings = bind(load(config)).bindings

    def class_of(device: str, quantity: str) -> str:
        binding = bindings.get(device)
        rule = None if binding is None else binding.rules.get(quantity)
        return UNKNOWN_CLASS if rule is None else rule.privacy_class.value

    return class_of


def _day(text: str, *, today: bool, now_ms: int, zone: zoneinfo.ZoneInfo) -> dt.date | None:
    if today:
        return _date(now_ms, zone)
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day", where="--day", fix="write it YYYY-MM-DD, as in 2026-03-02") from None


def _date(time_ms: int, zone: zoneinfo.ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(time_ms / 1000, zone).date()


def _midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> int:
    return int(dt.datetime.combine(day, dt.time.min, zone).timestamp() * 1000)
