"""`bansui demo`: a simulated school day in about two minutes, and the proof that nothing of it was lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import webbrowser
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bansui import failures

if TYPE_CHECKING:
    from bansui.demo.plan import Plan
    from bansui.demo.run import Result
    from bansui.demo.screen import Screen
    from bansui.demo.words import Words

app = typer.Typer()

_HOST: Final = "127.0.0.1"


@app.command("demo")
def demo(
    *,
    seconds: Annotated[float, typer.Option(min=25, max=3600, help="Real seconds that the school day takes.")] = 110,
    seed: Annotated[int, typer.Option(help="The same seed gives the same day.")] = 7,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the centre's page; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when the balance fails, or the day proved little.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the balance as JSON, and nothing before it.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with stores, logs and ground truth.")] = False,
    rooms: Annotated[int, typer.Option(hidden=True)] = 0,
    sabotage: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Live a simulated school day: real wires, an uplink that is cut, an agent that is killed, and nothing lost."""
    began = time.monotonic()
    from bansui.demo.plan import SCENARIO, Plan
    from bansui.demo.words import Words
    from bansui.free_port import free_port
    from cloud_sink.ports import bind
    from simulators.growing import with_rooms
    from simulators.scenarios import load

    with contextlib.closing(bind(_HOST, port or free_port())) as probe:  # says at once whose port it is not
        page_port = int(probe.getsockname()[1])
    words = Words(failures.language())
    scenario = load(SCENARIO)
    scenario = with_rooms(scenario, rooms) if rooms else scenario
    plan = Plan.of(scenario, seconds=seconds, seed=seed, port=page_port, sabotage=sabotage, keep=keep)
    screen = _screen(plan, words, as_json=as_json)
    browser = not no_browser and not as_json
    try:
        result = asyncio.run(_interruptible(plan, screen, began, browser=browser))
    except asyncio.CancelledError:
        print(words("stopped"), file=sys.stderr)
        raise typer.Exit(failures.EXIT_INTERRUPTED) from None
    finally:
        screen.close()
    _print(result, words, as_json=as_json, keep=keep)
    if check and result.balance.failures:
        raise typer.Exit(failures.EXIT_CHECK)


async def _interruptible(plan: Plan, screen: Screen, began: float, *, browser: bool) -> Result:
    """Run the demo; the first signal ends it in order, later ones change nothing."""
    from bansui.demo.run import run

    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop() -> None:
        if not task.cancelling():
            task.cancel()

    for number in stops:
        loop.add_signal_handler(number, stop)
    return await run(plan, screen, began=began, opened=_open_browser if browser else lambda _url: None)


def _screen(plan: Plan, words: Words, *, as_json: bool) -> Screen:
    from bansui.demo.screen import LiveScreen, PlainScreen

    if as_json:
        return PlainScreen(plan, words, sys.stderr)
    return LiveScreen(plan, words) if sys.stdout.isatty() else PlainScreen(plan, words)


def _open_browser(url: str) -> None:
    """Open the page where there is a display; a demo without a browser is a demo too."""
    has_display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(url)


def _print(result: Result, words: Words, *, as_json: bool, keep: bool) -> None:
    from rich.console import Console

    from bansui.demo.report import print_balance

    if as_json:
        told = {**result.balance.as_dict(), "first_room_s": result.first_room_s}
        print(json.dumps({**told, "folder": str(result.folder) if keep else None}))
        return
    console = Console(highlight=False)
    print_balance(console, result.balance, result.first_room_s, words)
    if keep:
        console.print(words("kept", folder=result.folder), soft_wrap=True)
