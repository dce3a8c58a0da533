"""`bansui sim`: simulated schools, against any broker."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bansui.failures import EXIT_CHECK, UsageError
from bansui.json_option import AsJson, JsonLines
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from simulators.sabotage import Sabotage
    from simulators.scenarios import Scenario
    from simulators.school import Outcome, Run, School
    from telemetry import ScaledClock

app = typer.Typer(
    help="Simulated schools: devices on real wires, with ground truth.", no_args_is_help=True, rich_markup_mode=None
)

_ADDRESS: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")
_SPEED: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)x?")


class NotWritable(EnvironmentFault):
    """A file that the simulator has to write, and cannot."""

    code = "not_writable"


@app.command("list")
def list_scenarios(
    scenario: Annotated[str, typer.Argument(help="Only this one: a name, or a .toml file to check.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the scenarios, or check one."""
    from simulators.scenarios import load, names

    found = [_describe(load(name)) for name in ([scenario] if scenario else names())]
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for entry in found:
        print(f"{entry['name']:<14} {entry['title']}")


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    clock: Annotated[str, typer.Option(metavar="ORIGIN_MS,STARTED_MS,SPEED", help="Time shared with others.")] = "",
    seconds: Annotated[float, typer.Option(min=0, help="Real seconds the day takes, without --clock.")] = 0,
    speed: Annotated[str, typer.Option(metavar="300x", help="How much faster than real, without --clock.")] = "",
    broker: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where devices publish.")] = "127.0.0.1:1883",
    wiring: Annotated[Path | None, typer.Option(help="Write here which device is reached where (JSON).")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the ground truth here at the end (JSON).")] = None,
    relay_to: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Open a relay to a centre, which can be cut.")
    ] = "",
    agent_pid_file: Annotated[Path | None, typer.Option(help="File with the process id that agent-kill kills.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="uplink-outage@HH:MM+1h or agent-kill@HH:MM.")] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the relay open after the day, until told.")] = False,
    as_json: JsonLines = False,
    sabotage: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Live one day of a simulated school."""
    import asyncio

    from simulators.faults import parse
    from simulators.scenarios import load
    from simulators.school import Run

    school = load(scenario)
    for file in (wiring, truth):
        _check_writable(file)
    plan = Run(
        scenario=school,
        seed=seed,
        clock=_clock(school, clock, seconds, speed),
        broker=_address(broker, "--broker"),
        wiring_file=wiring,
        truth_file=truth,
        relay_to=_address(relay_to, "--relay-to") if relay_to else None,
        agent_pid_file=agent_pid_file,
        faults=[parse(text, school) for text in fault or ()],
        sabotage=_sabotage(sabotage),
        stay=stay,
    )
    outcome = asyncio.run(_live(plan, as_json=as_json))
    if not outcome.is_complete and not outcome.was_stopped:
        raise typer.Exit(EXIT_CHECK)


async def _live(plan: "Run", *, as_json: bool) -> "Outcome":
    import asyncio
    import signal

    from simulators.school import run_school

    def ready(school: "School", document: dict[str, Any]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, school.stop)
        if as_json:
            print(json.dumps({"event": "ready", "wiring": document}), flush=True)
        else:
            _print_start(plan, document)

    def done(outcome: "Outcome") -> None:
        if as_json:
            print(json.dumps({"event": "over", **_end(outcome)}), flush=True)
        else:
            _print_end(plan, outcome)

    return await run_school(plan, ready=ready, done=done)


def _describe(scenario: "Scenario") -> dict[str, object]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "district": scenario.district,
        "school": scenario.school,
        "timezone": scenario.timezone,
        "rooms": len(scenario.room),
        "devices": len(scenario.device),
        "start_ms": scenario.start_ms,
        "end_ms": scenario.end_ms,
    }


def _clock(scenario: "Scenario", shared: str, seconds: float, speed: str) -> "ScaledClock":
    """The shared clock, or one that starts now at the beginning of the scenario's day."""
    from telemetry import ScaledClock, SystemClock
    from telemetry.clock import parse_clock

    if shared:
        if speed:
            raise UsageError("--speed does not go with --clock, which has a speed", where="bansui sim run")
        parsed = parse_clock(shared)
        assert isinstance(parsed, ScaledClock)
        return parsed
    if speed and seconds:
        raise UsageError("--seconds and --speed say the same thing", where="bansui sim run", fix="give one of them")
    factor = (scenario.end_ms - scenario.start_ms) / 1000 / seconds if seconds else 1.0
    if speed:
        match = _SPEED.fullmatch(speed)
        factor = float(match.group(1)) if match else 0.0
        if factor <= 0:
            raise UsageError(f"{speed!r} is not a speed", where="--speed", fix="give a number over 0, such as 300x")
    return ScaledClock(scenario.start_ms, SystemClock().now(), factor)


def _address(text: str, option: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match.group(3)) <= 65_535:
        raise UsageError(f"{text!r} is not HOST:PORT", where=option, fix="such as 127.0.0.1:1883")
    return match.group(1) or match.group(2), int(match.group(3))


def _sabotage(text: str) -> "Sabotage | None":
    from simulators.sabotage import Sabotage

    if text and text not in list(Sabotage):
        raise UsageError(f"{text!r} is no sabotage", where="--sabotage", fix=f"one of {', '.join(Sabotage)}")
    return Sabotage(text) if text else None


def _check_writable(path: Path | None) -> None:
    if path is not None and not path.absolute().parent.is_dir():
        raise NotWritable(f"there is no folder {path.absolute().parent}", where=str(path), fix="make the folder first")


def _end(outcome: "Outcome") -> dict[str, object]:
    return {
        "stopped": outcome.was_stopped,
        "complete": outcome.is_complete,
        "frames_sent": outcome.frames_sent,
        "readings_sent": outcome.readings_sent,
        "unconfirmed": outcome.unconfirmed,
        "refused": outcome.refused,
        "missed": list(outcome.missed),
    }


def _print_start(plan: "Run", document: dict[str, Any]) -> None:
    scenario = plan.scenario
    real_s = (scenario.end_ms - scenario.start_ms) / 1000 / plan.clock.speed
    print(f"{scenario.name}, seed {plan.seed}: {len(scenario.room)} rooms, {len(scenario.device)} devices;", end=" ")
    print(f"{scenario.starts} to {scenario.ends} on {scenario.date} in {real_s:,.0f} s ({plan.clock.speed:,.0f}x)")
    print(f"  MQTT    {plan.broker[0]}:{plan.broker[1]}  {len(document['clients'])} clients")
    for device in document["devices"]:
        if device["transport"] == "serial":
            print(f"  serial  {device['serial']['port']}  {device['id']}  {device['model']}")
        elif device["transport"] == "tcp":
            lock = "  with password" if device["tcp"]["password"] else ""
            print(f"  TCP     {device['tcp']['host']}:{device['tcp']['port']}  {device['id']}  {device['model']}{lock}")
    if document["relay"] is not None:
        relay, centre = document["relay"], plan.relay_to
        assert centre is not None
        print(f"  relay   {relay['host']}:{relay['port']} to {centre[0]}:{centre[1]}")
    for name, path in (("wiring", plan.wiring_file), ("truth", plan.truth_file)):
        if path is not None:
            print(f"  {name:<7} {path}")
    print("Ctrl-C ends it.", flush=True)


def _print_end(plan: "Run", outcome: "Outcome") -> None:
    end = "stopped early" if outcome.was_stopped else "the day is over"
    confirmed = "everything sent over MQTT is confirmed"
    if outcome.unconfirmed or outcome.refused:
        confirmed = f"{outcome.unconfirmed:,} messages unconfirmed, {outcome.refused:,} refused by the broker"
    print(f"{end}: {outcome.frames_sent:,} frames with {outcome.readings_sent:,} readings sent; {confirmed}")
    for reason in outcome.missed:
        print(f"a fault did not take place: {reason}")
    if plan.stay and not outcome.was_stopped:
        print("The relay stays open. Ctrl-C ends it.")
    print(end="", flush=True)
