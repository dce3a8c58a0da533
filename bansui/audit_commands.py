"""`bansui audit`: whether every reading and every summary of an agent is accounted for."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from bansui.json_option import AsJson
from bansui.store_text import balance, say

app = typer.Typer()


@app.command("audit")
def audit(
    config: Annotated[Path, typer.Option("--config", help="The agent's TOML file.")], as_json: AsJson = False
) -> None:
    """Check that every reading and every summary is accounted for, and the chain of batches whole; exit 1 if not."""
    from edge_agent.bindings import bind
    from edge_agent.config_file import load
    from edge_agent.store.audit import audit as audit_store

    loaded = load(config)
    tables = loaded.tables
    found = audit_store(loaded.state_folder, tables.school_hours, bind(loaded).bindings)
    if as_json:
        print(json.dumps({"closes": found.closes, **dataclasses.asdict(found)}))
    else:
        for line in balance(found.balance):
            print(line)
        for reason, number in sorted(found.rejected.items()):
            print(say("rejected", reason, number))
        for fault in found.faults:
            print(f"✕ {fault}")
        print(say("closes" if found.closes else "open"))
    if not found.closes:
        raise typer.Exit(1)
