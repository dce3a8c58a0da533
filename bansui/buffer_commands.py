"""`bansui buffer`: what the agent's durable store holds, whether it is whole, its contents, and its repair."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bansui.clock_option import ClockOption
from bansui.failures import UsageError
from bansui.json_option import AsJson
from bansui.store_text import say, shown
from telemetry import parse_clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.config_file import LoadedConfiguration

app = typer.Typer(
    help="The agent's durable store: how full, whether whole, its contents, repair.", no_args_is_help=True
)

Config = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]
_HEALTH_TIMEOUT_S: Final = 2.0
_ROWS_AT_ONCE: Final = 50_000


@app.command()
def show(config: Config, clock: ClockOption = "", as_json: AsJson = False) -> None:
    """Hours stored, hours of room left at the present rate, the oldest, the next retry, wear of the disk."""
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.room import room_of
    from edge_agent.store.inspection import inspect

    loaded = load(config)
    folder, now_ms = loaded.state_folder, parse_clock(clock).now()
    found = inspect(folder, now_ms)
    bindings = bind(loaded).bindings
    an_hour = found.summaries_an_hour or sum(binding.summaries_an_hour for binding in bindings.values())
    room = room_of(loaded, bindings, folder)
    stored_minutes = 0 if found.oldest_ms is None else max(0, (now_ms - found.oldest_ms) // 60_000)
    figures = {
        "epoch": found.epoch,
        "last_sequence": found.last_sequence,
        "unacknowledged_batches": found.unacknowledged_batches,
        "waiting_summaries": found.waiting_summaries,
        "stored_minutes": stored_minutes,
        "oldest_ms": found.oldest_ms,
        "room_minutes": room.minutes(found.used_bytes - found.ledger_bytes, an_hour),
        "summaries_an_hour": round(an_hour, 1),
        "used_bytes": found.used_bytes,
        "ledger_bytes": found.ledger_bytes,
        "limit_bytes": room.bytes_for(found.used_bytes),
        "next_retry_s": _next_retry_s(loaded),
        "wear_gb_a_day": found.wear_gb_a_day,
    }
    print(json.dumps(figures) if as_json else "\n".join(shown(figures)))


def _next_retry_s(loaded: LoadedConfiguration) -> int | None:
    """Seconds until the running agent offers a batch again, by its own word; None where none answers."""
    port = loaded.tables.health.port
    if not port:
        return None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=_HEALTH_TIMEOUT_S) as answer:
            told = json.load(answer)
    except (OSError, ValueError):
        return None
    retry = told.get("next_retry_s") if isinstance(told, dict) else None
    return retry if isinstance(retry, int) else None


@app.command()
def verify(config: Config, as_json: AsJson = False) -> None:
    """Check every page, every row and the chain of batches; exit 1 when something is not what was written."""
    from edge_agent.config_file import load
    from edge_agent.store.inspection import verify as verify_store

    faults = verify_store(load(config).state_folder)
    if as_json:
        print(json.dumps({"whole": not faults, "faults": faults}))
    else:
        for fault in faults:
            print(f"✕ {fault}")
        print(say("mend" if faults else "whole"))
    if faults:
        raise typer.Exit(1)


@app.command()
def export(
    config: Config,
    out: Annotated[Path, typer.Option(help="The file to write: .jsonl for JSON lines, .parquet for Parquet.")],
    *,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Also what the centre has acknowledged, as far as its bytes are kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the summaries that wait into a file, oldest first; exit 1 when some had to be left out."""
    from bansui.files import writing
    from edge_agent.config_file import load
    from edge_agent.store.inspection import LeftOut
    from edge_agent.store.inspection import export as export_store

    kinds = {".jsonl": _write_json_lines, ".parquet": _write_parquet}
    write = kinds.get(out.suffix)
    if write is None:
        raise UsageError(
            f"{out.suffix or out.name!r} is no kind of file it writes", fix="end the name in .jsonl or .parquet"
        )
    left_out = LeftOut()
    records = export_store(load(config).state_folder, with_ledger=ledger, left_out=left_out)
    with writing(out) as unfinished:
        number = write(unfinished, records)
    if as_json:
        print(json.dumps({"file": str(out), "summaries": number, "left_out": dataclasses.asdict(left_out)}))
    else:
        print(say("exported", number, out))
        if left_out.unknown:
            print(say("left.unknown", left_out.unknown))
        if left_out.damaged:
            print(say("left.damaged", left_out.damaged))
    if left_out.unknown or left_out.damaged:
        raise typer.Exit(1)


def _write_json_lines(out: Path, records: Iterable[dict[str, str | int | float]]) -> int:
    with out.open("w", encoding="utf-8") as file:
        return sum(file.write(f"{json.dumps(record)}\n") > 0 for record in records)


def _write_parquet(out: Path, records: Iterable[dict[str, str | int | float]]) -> int:
    import itertools

    import pyarrow as pa
    import pyarrow.parquet

    from telemetry.summaries import COUNT_FIELDS, MEASURED_FIELDS

    texts = ("quantity", "unit", "school", "building", "room", "device", "channel")
    columns = [(name, pa.string()) for name in texts]
    columns += [(name, pa.int64()) for name in ("revision", "window_s", "start_ms", *COUNT_FIELDS)]
    columns += [(name, pa.float64()) for name in MEASURED_FIELDS]
    schema, number, left = pa.schema(columns), 0, iter(records)
    with pyarrow.parquet.ParquetWriter(out, schema) as writer:
        while rows := list(itertools.islice(left, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            number += len(rows)
    return number


@app.command()
def repair(config: Config, as_json: AsJson = False) -> None:
    """Move a damaged store aside and keep all that can be read of it, with the agent stopped."""
    from edge_agent.config_file import load
    from edge_agent.store.epoch import new_epoch
    from edge_agent.store.inspection import verify as verify_store
    from edge_agent.store.store import Store

    folder = load(config).state_folder
    faults = verify_store(folder)
    repaired = Store.repair(folder, new_epoch) if faults else None
    if as_json:
        kept = (
            None
            if repaired is None
            else {"aside": repaired.aside, "readings_lost": repaired.readings, "summaries_lost": repaired.summaries}
        )
        print(json.dumps({"was_whole": repaired is None, "repaired": kept}))
    elif repaired is None:
        print(say("nothing"))
    else:
        lost = {"readings": repaired.readings, "summaries": repaired.summaries}
        print(say("aside", aside=repaired.aside, **lost))
        print(say("again"))
