"""`bansui privacy`: what leaves the school, shown, proven and counted for those who answer for it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bansui import failures
from bansui.clock_option import ClockOption
from bansui.failures import UsageError
from bansui.json_option import AsJson
from telemetry import parse_clock

if TYPE_CHECKING:
    import zoneinfo

app = typer.Typer(help="What leaves the school: shown, proven, counted.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]
_LABELS_WRITTEN: Final = {"en": "{n} labels for A5 paper: {path}", "zh": "{n} 张 A5 隐私牌：{path}"}


class Language(enum.StrEnum):
    """What a label may be written in."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"


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
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.privacy.egress import Totals, class_of, tally
    from edge_agent.store import batches

    loaded = load(config)
    folder, zone, now_ms = loaded.state_folder, loaded.tables.zone, parse_clock(clock).now()
    asked = _day(day, today=today, now_ms=now_ms, zone=zone)
    access_log.note(folder, f"privacy ledger{f' --day {asked}' if asked else ''}", now_ms, zone)
    from_ms, to_ms = (_midnight(asked, zone), _midnight(asked + dt.timedelta(1), zone)) if asked else (0, 1 << 62)
    entries = batches.read(folder, from_ms, to_ms, with_bodies=asked is not None)
    totals = tally(entries, class_of(bind(loaded).bindings), lambda ms: f"{_date(ms, zone)}")
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
    from edge_agent.config_file import load
    from edge_agent.store import batches

    loaded = load(config)
    folder = loaded.state_folder
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
    from bansui.counts_text import counts_told
    from bansui.policy_text import by_night, explained, heading, no_device, rest
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.privacy.plan import plan_counts
    from edge_agent.privacy.treatment import told_at_night, treatments
    from telemetry import Placement

    loaded = load(config)
    bindings, policy, language = bind(loaded).bindings, loaded.policy, failures.language()
    devices = [each for each in loaded.tables.device if device in ("", each.id)]
    if device and not devices:
        known = ", ".join(each.id for each in loaded.tables.device) or "none"
        raise UsageError(f"no device is called {device!r}", where="--device", fix=f"take one of: {known}")
    plan = plan_counts(policy.tables.P2, bindings.values(), loaded.tables.school_hours)
    placements = {room.code: room.placement for room in loaded.tables.room}
    found = {each.id: treatments(bindings[each.id].rules, each.role, policy) for each in devices}
    if as_json:
        listed = {
            name: [{**dataclasses.asdict(each), "quantities": names} for each, names in of.items()]
            for name, of in found.items()
        }
        print(
            json.dumps(
                {
                    "policy": policy.name,
                    "version": policy.tables.version,
                    "people_counts": None if plan is None else dataclasses.asdict(plan),
                    "devices": listed,
                },
                ensure_ascii=False,
                indent=2,
            )
        )
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
    paragraphs += [] if devices else [no_device(language)]
    at_night = told_at_night(bindings[each.id] for each in devices if placements[each.room] is Placement.INDOOR)
    paragraphs += [by_night(at_night, language)] if at_night else []
    paragraphs += [] if plan is None else [counts_told(plan, language)]
    print("\n\n".join([*paragraphs, rest(language)]))


@app.command()
def label(
    config: Config,
    *,
    room: Annotated[list[str] | None, typer.Option("--room", help="A room's code; all rooms unless stated.")] = None,
    language: Annotated[Language, typer.Option("--lang", help="The language of the label.")] = Language.BOTH,
    output: Annotated[Path | None, typer.Option("--output", help="An HTML file to write, for A5 paper.")] = None,
    clock: ClockOption = "",
    as_json: AsJson = False,
) -> None:
    """A room's label: what is sensed there, for what, how coarsely it leaves, to whom, for how long; to be printed."""
    from bansui.files import write_whole
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.local.secret import load_or_make
    from edge_agent.local.site import Site

    loaded = load(config)
    site = Site(loaded, bind(loaded).bindings)
    rooms = room or list(site.rooms)
    for code in rooms:
        if code not in site.rooms:
            raise UsageError(f"no room is called {code!r}", where="--room", fix=f"take one of: {', '.join(site.rooms)}")
    key = load_or_make(loaded.state_folder) if site.lit.intersection(rooms) else None
    languages = ["zh", "en"] if language is Language.BOTH else [language.value]
    sheets = [site.sheet(code, each, key) for code in rooms for each in languages]
    if as_json:
        told = [{"language": each.words.language, "light": each.light, "page": each.page} for each in sheets]
        labels = [dataclasses.asdict(each.label) for each in sheets]
        print(json.dumps([a | b for a, b in zip(labels, told, strict=True)], ensure_ascii=False))
        return
    html = site.label_page(sheets, parse_clock(clock).now())
    if output is None:
        print(html)
    else:
        write_whole(output, html)
        print(_LABELS_WRITTEN[failures.language()].format(n=len(sheets), path=output))


class Form(enum.StrEnum):
    """How the yearly account is written."""

    CSV = "csv"
    HTML = "html"


@app.command()
def export(
    config: Config,
    *,
    year: Annotated[int, typer.Option("--year", min=2000, max=9998, help="Of which year.")],
    form: Annotated[
        Form, typer.Option("--format", help="csv for a spreadsheet, html for a page to print.")
    ] = Form.HTML,
    language: Annotated[Language, typer.Option("--lang", help="The language of the account.")] = Language.BOTH,
    output: Annotated[Path | None, typer.Option("--output", help="The file to write; else it is printed.")] = None,
    clock: ClockOption = "",
    as_json: AsJson = False,
) -> None:
    """The yearly account for the audit of minors' personal information: totals, purposes, budget, who looked."""
    from importlib.metadata import version

    from bansui import access_log
    from bansui.files import write_whole
    from bansui.yearly.account import Account, Subject
    from bansui.yearly.forms import as_csv, as_html
    from bansui.yearly.words import Words
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.privacy.egress import class_of, tally
    from edge_agent.store import batches, schema

    loaded = load(config)
    agent, zone, folder, now_ms = (
        loaded.tables.agent,
        loaded.tables.zone,
        loaded.state_folder,
        parse_clock(clock).now(),
    )
    access_log.note(folder, f"privacy export --year {year}", now_ms, zone)
    span = _midnight(dt.date(year, 1, 1), zone), _midnight(dt.date(year + 1, 1, 1), zone)
    account = Account(
        subject=Subject(
            year=year,
            district=agent.district,
            school=agent.school,
            agent=agent.id,
            made=dt.datetime.fromtimestamp(now_ms / 1000, zone).isoformat(timespec="seconds"),
            software=version("bansui"),
            store_schema=schema.VERSION,
            policy=loaded.policy,
            configuration=loaded.digest,
        ),
        months=tally(
            batches.read(folder, *span), class_of(bind(loaded).bindings), lambda ms: f"{_date(ms, zone):%Y-%m}"
        ),
        spent=batches.spent(folder, *span),
        verified=batches.verify(folder),
        accesses=access_log.read(folder, year),
    )
    words = Words(language.value)
    text = as_csv(account, words) if form is Form.CSV else as_html(account, words)
    if output is not None:
        write_whole(output, text)
    if as_json:
        print(json.dumps(account.as_dict(), ensure_ascii=False))
    elif output is None:
        print(text, end="")
    else:
        print(output)


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
