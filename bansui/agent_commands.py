"""`bansui agent`: run the on-site agent, check its configuration."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import ipaddress
import json
import logging
import os
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from bansui import failures
from bansui.clock_option import ClockOption
from bansui.json_option import AsJson, JsonLines
from telemetry import parse_clock

YOUNG_OBJECTS: Final = 20_000
"""New objects after which the garbage collector looks among them; Python's default is 700."""

app = typer.Typer(help="The on-site agent.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="The agent's TOML file.")]


@app.command()
def run(
    config: Config,
    clock: ClockOption = "",
    pid_file: Annotated[Path | None, typer.Option(help="Write the process id here once it is ready.")] = None,
    as_json: JsonLines = False,
) -> None:
    """Run the agent until it is told to end (SIGTERM or Ctrl-C)."""
    import uvloop

    from edge_agent.agent import Agent
    from edge_agent.config_file import load
    from edge_agent.lookout import Lookout

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    loaded = load(config)
    agent = Agent(loaded, parse_clock(clock))

    def ready() -> None:
        plain, secure = agent.listener_port, agent.listener_tls_port
        ports = [f"{port}{word}" for port, word in ((plain, ""), (secure, " by TLS")) if port is not None]
        devices = f"devices connect to port {' or '.join(ports)}; " if ports else ""
        health = f"http://127.0.0.1:{agent.health.port}/healthz"
        pages = None if agent.pages is None else agent.pages.port
        told = {
            "event": "ready",
            "listener_port": plain,
            "listener_tls_port": secure,
            "health": health,
            "pages_port": pages,
        }
        shown = "" if pages is None else f"; pages on port {pages}"
        print(json.dumps(told) if as_json else f"agent ready: {devices}health on {health}{shown}", flush=True)
        if pid_file is not None:
            pid_file.write_text(str(os.getpid()))

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with Lookout(loaded.state_folder):
            await agent.run(stop, ready)

    _spare_the_collector()
    uvloop.run(work())


def _spare_the_collector() -> None:
    """What is loaded by now stays, and messages make no cycles: the garbage collector need not look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


_VALID: Final = {
    "en": "{} is valid: {devices} devices in {rooms} rooms",
    "zh": "{} 有效：{rooms} 个房间，{devices} 台设备",
}


@app.command()
def validate(config: Config, as_json: AsJson = False) -> None:
    """Check the configuration, drivers and secrets included; all mistakes at once, each with its line."""
    from edge_agent.bindings import prepare
    from edge_agent.config_file import load
    from telemetry.table_file import ConfigurationMistakes

    try:
        loaded = load(config)
        prepare(loaded)
    except ConfigurationMistakes as error:
        if not as_json:
            raise
        mistakes = [dataclasses.asdict(mistake) for mistake in error.mistakes]
        print(json.dumps({"valid": False, "mistakes": mistakes}, ensure_ascii=False))
        raise typer.Exit(2) from None
    counts = {"rooms": len(loaded.tables.room), "devices": len(loaded.tables.device)}
    if as_json:
        print(json.dumps({"valid": True, "mistakes": [], **counts}))
    else:
        print(_VALID[failures.language()].format(config, **counts))


@app.command()
def discover(
    config: Config,
    room: Annotated[str, typer.Option(help="Put this room into each block.")] = "",
    search: Annotated[
        str, typer.Option(help="Address to ask for projectors, mostly a broadcast address; empty: ask nobody.")
    ] = "255.255.255.255",
    as_json: AsJson = False,
) -> None:
    """Devices that nobody has placed: announced over MQTT, on serial ports, found by PJLink; a block for each."""
    import msgspec

    from bansui import discovery_text
    from device_drivers.registry import discover as installed
    from edge_agent.config_file import load
    from edge_agent.discovery.finding import find

    loaded = load(config)
    rooms = [each.code for each in loaded.tables.room]
    if room and room not in rooms:
        raise failures.UsageError(f"there is no room {room!r}", where="--room", fix=f"one of: {', '.join(rooms)}")
    if search and not _is_address(search):
        raise failures.UsageError(f"{search!r} is no IPv4 address", where="--search", fix="such as 10.20.255.255")
    found = asyncio.run(find(loaded, loaded.state_folder, search))
    language = failures.language()
    blocks = discovery_text.Blocks(installed(), [each.id for each in loaded.tables.device], room, language)
    if as_json:
        listed = [{**msgspec.to_builtins(each), "block": blocks.block(each)} for each in found.proposals]
        besides = {"forgotten": found.forgotten, "unread": found.unread, "search_failure": found.search_failure}
        print(json.dumps({"agent_running": found.is_running, **besides, "proposals": listed}, ensure_ascii=False))
    else:
        print(discovery_text.page(found, blocks, language, str(config)))


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
