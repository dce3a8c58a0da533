"""`bansui centre`: run the IoT centre, check its configuration, make tokens."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from pathlib import Path
from typing import Annotated, Final

import typer

from bansui.clock_option import ClockOption
from bansui.failures import language
from bansui.files import write_new
from bansui.json_option import AsJson, JsonLines
from telemetry import parse_clock

app = typer.Typer(help="The IoT centre.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The centre's TOML file.")]


@app.command()
def run(
    config: Config,
    clock: ClockOption = "",
    as_json: JsonLines = False,
) -> None:
    """Run the centre until it is told to end; prints where it listens."""
    now = parse_clock(clock)  # a mistake in it is told before all that a centre imports
    from cloud_sink.config import load_config
    from cloud_sink.server import serve

    loaded = load_config(config)

    def announce(url: str) -> None:
        print(json.dumps({"event": "ready", "url": url}) if as_json else f"listening on {url}", flush=True)

    asyncio.run(serve(loaded, now, announce))


_VALID: Final = {
    "en": "{} is valid: {school} schools, {agent} agents, {room} named rooms",
    "zh": "{} 有效：{school} 所学校，{agent} 个边缘网关，{room} 个有名称的房间",
}


@app.command()
def validate(
    config: Config,
    as_json: AsJson = False,
) -> None:
    """Check the configuration; every mistake with its line."""
    from cloud_sink.config import load_config
    from telemetry.table_file import ConfigurationMistakes

    try:
        loaded = load_config(config)
    except ConfigurationMistakes as error:
        if not as_json:
            raise
        mistakes = [dataclasses.asdict(mistake) for mistake in error.mistakes]
        print(json.dumps({"valid": False, "mistakes": mistakes}, ensure_ascii=False))
        raise typer.Exit(2) from None
    counts = {name: len(getattr(loaded.config, name)) for name in ("school", "agent", "room")}
    if as_json:
        print(json.dumps({"valid": True, "mistakes": [], **counts}))
    else:
        print(_VALID[language()].format(config, **counts))


@app.command()
def token(
    out: Annotated[Path | None, typer.Option(help="Write the token to this file (mode 0600) instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a random token for an agent, and the hash the centre's file wants."""
    from cloud_sink.config import hash_token

    made = secrets.token_urlsafe(32)
    told = {"token": made} if out is None else {"token_file": str(out)}
    if out is not None:
        write_new(out, f"{made}\n", mode=0o600)
    told["token_hash"] = f"sha256:{hash_token(made).hex()}"
    if as_json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name:<10} {value}")
