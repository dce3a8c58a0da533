"""`bansui doctor`: look at everything an agent needs, and say what mends what is not well."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from bansui.json_option import AsJson

app = typer.Typer()


@app.command("doctor")
def doctor(
    config: Annotated[Path, typer.Option("--config", help="The agent's TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check configuration, disk, clock, lines to devices, ports, broker and centre; exit 1 if something is not well."""
    from bansui.checks import Verdict, examine
    from edge_agent.bindings import prepare
    from edge_agent.config_file import load

    loaded = load(config)
    findings = []
    for finding in examine(loaded, prepare(loaded)):
        findings.append(finding)
        if not as_json:
            print(f"{finding.verdict.mark} {finding.check}: {finding.what}")
            if finding.fix:
                print(f"  {finding.fix}")
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], ensure_ascii=False))
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)
