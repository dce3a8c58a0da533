"""`bansui sim`: simulated schools, against any broker."""

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bansui.failures import EXIT_CHECK, UsageError
from bansui.json_option import AsJson, JsonLines

if TYPE_CHECKING:
    from simulators.broker_watch import BrokerNews, BrokerWatch
    from simulators.sabotage import Sabotage
    from simulators.scenarios import Scenario
    from simulators.school import Outcome, Run, School
    from telemetry import ScaledClock

app = typer.Typer(
    help="Simulated schools: devices on real wires, with ground truth.", no_args_is_help=True, rich_markup_mode=None
)

bench = typer.Typer(help="Measure a broker.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench, name="bench")

_ADDRESS: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_FASTEST: Final = 1e6
"""Many times what any machine can keep up with."""
_SPEED: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)x?")


@app.command("list")
def list_scenarios(
    scenario: Annotated[str, typer.Argument(help="Only this one: a name, or a .toml file to check.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the scenarios and the faults, or check one scenario."""
    from bansui import sim_text
    from simulators.scenarios import load, names

    found = [sim_text.describe(load(name)) for name in ([scenario] if scenario else names())]
    if as_json:
        faults = {} if scenario else {"faults": sim_text.faults()}
        print(json.dumps({"scenarios": found, **faults}, ensure_ascii=False, indent=2))
        return
    sim_text.print_list(found, with_faults=not scenario)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    rooms: Annotated[int, typer.Option(min=0, max=5000, help="So many rooms a school; 0: the scenario's own.")] = 0,
    schools: Annotated[int, typer.Option(min=0, max=1000, help="So many schools; 0: the scenario's own.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    clock: Annotated[str, typer.Option(metavar="ORIGIN_MS,STARTED_MS,SPEED", help="Time shared with others.")] = "",
    seconds: Annotated[
        float, typer.Option(min=0, max=31_622_400, help="Real seconds it takes in all, without --clock.")
    ] = 0,
    speed: Annotated[str, typer.Option(metavar="300x", help="How much faster than real, without --clock.")] = "",
    broker: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Where devices publish.")] = "127.0.0.1",
    ca_file: Annotated[
        Path | None, typer.Option(help="Publish by TLS, to a broker whose certificate this CA signs (PEM).")
    ] = None,
    wiring: Annotated[Path | None, typer.Option(help="Write here which device is reached where (JSON).")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the ground truth here at the end (JSON).")] = None,
    relay_to: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Open a relay to a centre, which can be cut.")
    ] = "",
    agent_pid_file: Annotated[Path | None, typer.Option(help="File with the process id that agent-kill kills.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME@[DATET]HH:MM[+1h30m][:DEVICE]", help="What to break; see bansui sim list."),
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the relay open after the day, until told.")] = False,
    as_json: JsonLines = False,
    sabotage: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Live a scenario: a simulated school, or many, against any broker."""
    import asyncio
    import time

    from bansui.sim_text import print_cost
    from edge_agent.client_tls import ClientTls
    from simulators.faults import parse_for
    from simulators.growing import schools as schools_of
    from simulators.growing import with_rooms
    from simulators.scenarios import load
    from simulators.school import Run
    from simulators.truth import check_writable

    found = load(scenario)
    if rooms:
        found = with_rooms(found, rooms)
    if schools:
        found = found.model_copy(update={"schools": schools})
    shared, all_schools = _clock(found, clock, seconds, speed), schools_of(found)
    address = _address(broker, "--broker", default_port=8883 if ca_file is not None else 1883)
    if stay and not relay_to:
        raise UsageError("there is no relay that could stay open", where="--stay", fix="add --relay-to")
    common: dict[str, Any] = {
        "tls": ClientTls(ca_file).context() if ca_file is not None else None,
        "seed": seed,
        "clock": shared,
        "broker": address,
        "watch": _watch(address, as_json=as_json),
        "relay_to": _address(relay_to, "--relay-to") if relay_to else None,
        "agent_pid_file": agent_pid_file,
        "sabotage": _sabotage(sabotage),
        "stay": stay,
    }
    plans = [
        Run(
            scenario=school,
            wiring_file=_for_school(wiring, school, is_one_of_many=len(all_schools) > 1),
            truth_file=_for_school(truth, school, is_one_of_many=len(all_schools) > 1),
            faults=faults,
            **common,
        )
        for school, faults in zip(all_schools, parse_for(fault or (), all_schools, seed), strict=True)
    ]
    for file in (file for plan in plans for file in (plan.wiring_file, plan.truth_file) if file is not None):
        check_writable(file)
    began = time.monotonic()
    outcomes = asyncio.run(_live(plans, as_json=as_json))
    if not as_json:
        print_cost(time.monotonic() - began)
    if any(not outcome.is_complete and not outcome.was_stopped for outcome in outcomes):
        raise typer.Exit(EXIT_CHECK)


@app.command()
def configure(
    wiring: Annotated[Path, typer.Argument(help="The file that --wiring has written.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Write here; made if it is not there.")] = Path("trial"),
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where devices connect: the port of --broker.")] = 1883,
    centre_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Where the centre listens: the port of --relay-to.")
    ] = 8086,
    as_json: AsJson = False,
) -> None:
    """Write agent.toml and centre.toml for a simulated school that runs, and say how to start them."""
    from bansui import sim_text
    from bansui.sim_configuration import Timing, agent_files, centre_files
    from bansui.sim_wiring import read

    found = read(wiring)
    timing = Timing.at(found.shared_clock.speed)
    files = centre_files(found, centre_port)
    files.add(agent_files(found, timing, listener_port=port, health_port=0, centre_port=centre_port))
    written = files.write(out)
    told = sim_text.next_steps(found.shared_clock, timing, out, centre_port)
    if as_json:
        print(json.dumps({"files": [str(file) for file in written], **told}, indent=2))
    else:
        sim_text.print_configured(files, out, told)


@app.command()
def score(
    truth: Annotated[Path, typer.Argument(help="The file that --truth has written.")],
    *,
    centre: Annotated[str, typer.Option(metavar="URL", help="The centre's address.")],
    least: Annotated[float, typer.Option(min=0, max=1, help="Exit 1 if a smaller share of windows arrived.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare what arrived at a centre with what was true: completeness, error, broken sensors that show."""
    from bansui import sim_score

    found = sim_score.judge(sim_score.read(truth), centre)
    if as_json:
        print(json.dumps(sim_score.as_dict(found), indent=2))
    else:
        sim_score.show(found)
    if found.completeness < least or (least and not found.quantities):
        raise typer.Exit(EXIT_CHECK)


@bench.command("pub")
def bench_pub(
    *,
    devices: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many devices publish in turn.")] = 1000,
    rate: Annotated[float, typer.Option(min=0, help="Messages a second in all; 0: as many as PUBACKs allow.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="For how long.")] = 10,
    broker: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Where devices publish.")] = "127.0.0.1",
    connections: Annotated[int, typer.Option(min=0, help="Connections that they share; 0: each has its own.")] = 0,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes that they are spread over.")] = 1,
    user: Annotated[str, typer.Option(help="As whom to connect to the broker.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File with that user's password, on its first line.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Publish by TLS, to a broker whose certificate this CA signs (PEM).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish at QoS 1 and show how long PUBACKs take, live; exit 1 when a message or a connection was lost."""
    from bansui import sim_bench
    from edge_agent.config_file import first_line

    if password_file is not None and not user:
        raise UsageError("a password without a user", where="--password-file", fix="add --user")
    shared = min(connections or devices, devices)
    if shared < processes:
        raise UsageError(f"{shared} connections cannot be spread over {processes} processes", where="--processes")
    parts = sim_bench.loads(
        address=_address(broker, "--broker", default_port=8883 if ca_file is not None else 1883),
        devices=devices,
        connections=shared,
        rate=rate,
        seconds=seconds,
        processes=processes,
        user=user,
        password=first_line(password_file) if password_file is not None else "",
    )
    measured = sim_bench.measure(parts, is_live=not as_json, ca_file=ca_file)
    told = measured.as_dict(parts)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        sim_bench.print_measured(parts, measured)
    if told["sent"] != told["acknowledged"] or told["lost_connections"]:
        raise typer.Exit(EXIT_CHECK)


async def _live(plans: "list[Run]", *, as_json: bool) -> "list[Outcome]":
    import asyncio
    import signal

    from bansui import sim_text
    from simulators.school import run_school

    schools: list[School] = []

    def stop() -> None:
        for school in schools:
            school.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)

    async def live(plan: "Run") -> "Outcome":
        def ready(school: "School", document: dict[str, Any]) -> None:
            schools.append(school)
            if as_json:
                print(json.dumps({"event": "ready", "wiring": document}), flush=True)
            else:
                sim_text.print_start(plan, document, is_one_of_many=len(plans) > 1)

        def done(outcome: "Outcome") -> None:
            if as_json:
                print(json.dumps({"event": "over", **sim_text.outcome(plan.scenario.school, outcome)}), flush=True)
            else:
                sim_text.print_end(plan, outcome, is_one_of_many=len(plans) > 1)

        return await run_school(plan, ready=ready, done=done)

    return await asyncio.gather(*(live(plan) for plan in plans))


def _for_school(file: Path | None, school: "Scenario", *, is_one_of_many: bool) -> Path | None:
    """The file of one school among many: `truth.json` becomes `truth.cn-101.json`."""
    if file is None or not is_one_of_many:
        return file
    return file.with_name(f"{file.stem}.{school.school}{file.suffix}")


def _clock(scenario: "Scenario", shared: str, seconds: float, speed: str) -> "ScaledClock":
    """The shared clock, or one that starts now at the beginning of the scenario's day."""
    from telemetry import ScaledClock, SystemClock
    from telemetry.clock import parse_clock

    if shared:
        if speed or seconds:
            option = "--speed" if speed else "--seconds"
            raise UsageError(
                f"{option} does not go with --clock, which has a speed", where="bansui sim run", fix="give one of them"
            )
        parsed = parse_clock(shared)
        assert isinstance(parsed, ScaledClock)
        return parsed
    if speed and seconds:
        raise UsageError("--seconds and --speed say the same thing", where="bansui sim run", fix="give one of them")
    factor = (scenario.end_ms - scenario.start_ms) / 1000 / seconds if seconds else 1.0
    if factor > _FASTEST:
        raise UsageError(f"no school lives a day in {seconds} s", where="--seconds", fix="give more of them")
    if speed:
        match = _SPEED.fullmatch(speed)
        factor = float(match.group(1)) if match else 0.0
        if not 0 < factor <= _FASTEST:
            raise UsageError(
                f"{speed!r} is not a speed", where="--speed", fix=f"give one over 0 and up to {_FASTEST:,.0f}, as 300x"
            )
    return ScaledClock(scenario.start_ms, SystemClock().now(), factor)


def _address(text: str, option: str, *, default_port: int = 0) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    host, port = (match.group(1) or match.group(2), int(match.group(3) or default_port)) if match else ("", 0)
    if not 1 <= port <= 65_535 or not _is_host(host):
        raise UsageError(f"{text!r} is not HOST:PORT", where=option, fix="such as 127.0.0.1:1883")
    return host, port


def _is_host(text: str) -> bool:
    """Whether the resolver can be asked for it at all."""
    try:
        return bool(text.encode("idna")) and text.isprintable() and " " not in text
    except UnicodeError:
        return False


def _sabotage(text: str) -> "Sabotage | None":
    from simulators.sabotage import Sabotage

    if text and text not in list(Sabotage):
        raise UsageError(f"{text!r} is no sabotage", where="--sabotage", fix=f"one of {', '.join(Sabotage)}")
    return Sabotage(text) if text else None


def _watch(address: tuple[str, int], *, as_json: bool) -> "BrokerWatch":
    from bansui import sim_text
    from simulators.broker_watch import BrokerWatch

    def tell(news: "BrokerNews") -> None:
        if as_json:
            print(json.dumps({"event": "broker", **dataclasses.asdict(news)}), flush=True)
        else:
            sim_text.print_broker(address, news)

    return BrokerWatch(tell)
