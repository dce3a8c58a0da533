"""What `bansui sim` prints of scenarios and runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from bansui.failures import language
from bansui.sim_words import words
from simulators.cost import cpu_s, peak_memory_mb
from simulators.faults import FAULTS
from simulators.school import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulators.broker_watch import BrokerNews
    from simulators.scenarios import Scenario
    from simulators.school import Outcome, Run


_FAULTS_ATTACK: Final = "Faults (--fault NAME@TIME[+LENGTH][:DEVICE]), each with what it attacks:"


def describe(scenario: Scenario) -> dict[str, object]:
    """A scenario in short."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "district": scenario.district,
        "school": scenario.school,
        "schools": scenario.schools,
        "timezone": scenario.timezone,
        "rooms": len(scenario.room),
        "devices": len(scenario.device),
        "start_ms": scenario.start_ms,
        "end_ms": scenario.end_ms,
    }


def faults() -> list[dict[str, object]]:
    """Every fault that a run can bring about."""
    return [
        {
            "name": name,
            "strikes": str(kind.strikes),
            "length": {None: "moment", "": "required"}.get(kind.length, kind.length),
            "attacks": kind.attacks,
            "attacks_zh": kind.attacks_zh,
        }
        for name, kind in FAULTS.items()
    ]


def print_list(scenarios: list[dict[str, object]], *, with_faults: bool) -> None:
    """Scenarios by name, and then each fault with what it attacks."""
    for entry in scenarios:
        print(f"{entry['name']:<15} {entry['title']}")
    if not with_faults:
        return
    is_chinese = language() == "zh"
    print()
    print("故障（--fault 名称@时刻[+时长][:设备]），各攻击一条不变式：" if is_chinese else _FAULTS_ATTACK)
    for fault in faults():
        attacks = fault["attacks_zh"] if is_chinese else fault["attacks"]
        print(f"{fault['name']:<19} {fault['strikes']:<7} {fault['length']:<9} {attacks}")


def outcome(school: str, came: Outcome) -> dict[str, object]:
    """What came of one school's run."""
    return {
        "school": school,
        "stopped": came.was_stopped,
        "complete": came.is_complete,
        "frames_sent": came.frames_sent,
        "readings_sent": came.readings_sent,
        "unconfirmed": came.unconfirmed,
        "refused": came.refused,
        "forgotten": came.forgotten,
        "missed": list(came.missed),
    }


def print_start(run: Run, document: Mapping[str, Any], *, is_one_of_many: bool) -> None:
    """Where everything of a school is; one line for one of many."""
    scenario = run.scenario
    rooms, devices = len(scenario.room), len(scenario.device)
    if is_one_of_many:
        print(f"  {scenario.school}: {rooms} rooms, {devices} devices", flush=True)
        return
    real_s = (scenario.end_ms - scenario.start_ms) / 1000 / run.clock.speed
    print(f"{scenario.name}, seed {run.seed}: {rooms} rooms, {devices} devices;", end=" ")
    days = f"{scenario.starts} to {scenario.ends} on {scenario.date}"
    if scenario.days > 1:
        days = f"{scenario.date} {scenario.starts} to {scenario.dates[-1]} {scenario.ends}"
    print(f"{days} in {real_s:,.0f} s ({run.clock.speed:,.0f}x)")
    print(f"  MQTT    {run.broker[0]}:{run.broker[1]}  {len(document['clients'])} clients")
    for device in document["devices"]:
        if device["transport"] == "serial":
            print(f"  serial  {device['serial']['port']}  {device['id']}  {device['model']}")
        elif device["transport"] == "tcp":
            lock = "  with password" if device["tcp"]["password"] else ""
            print(f"  TCP     {device['tcp']['host']}:{device['tcp']['port']}  {device['id']}  {device['model']}{lock}")
    if document["relay"] is not None:
        relay, centre = document["relay"], run.relay_to
        assert centre is not None
        print(f"  relay   {relay['host']}:{relay['port']} to {centre[0]}:{centre[1]}")
    for name, path in (("wiring", run.wiring_file), ("truth", run.truth_file)):
        if path is not None:
            print(f"  {name:<7} {path}")
    print("Ctrl-C ends it.", flush=True)


def print_broker(address: tuple[str, int], news: BrokerNews) -> None:
    """That devices do not reach their broker, or do again, to standard error."""
    say, where = words(), f"{address[0]}:{address[1]}"
    if not news.is_away:
        print(say["back"].format(address=where), file=sys.stderr, flush=True)
        return
    print(say["away"].format(address=where, client=news.client, why=news.why), file=sys.stderr)
    print(f"  {say['away.meanwhile'].format(seconds=PATIENCE_S)}", file=sys.stderr)
    print(f"  {say['away.fix']}", file=sys.stderr, flush=True)


def print_end(run: Run, came: Outcome, *, is_one_of_many: bool) -> None:
    """What came of a school's run."""
    end = "stopped early" if came.was_stopped else "it is over"
    confirmed = "everything sent over MQTT is confirmed"
    if came.unconfirmed or came.refused:
        confirmed = f"{came.unconfirmed:,} messages unconfirmed, {came.refused:,} refused by the broker"
    name = f"{run.scenario.school}: " if is_one_of_many else ""
    print(f"{name}{end}: {came.frames_sent:,} frames with {came.readings_sent:,} readings sent; {confirmed}")
    for reason in came.missed:
        print(f"{name}a fault did not take place: {reason}")
    if run.stay and not came.was_stopped:
        print("The relay stays open. Ctrl-C ends it.")
    print(end="", flush=True)


def print_cost(seconds: float) -> None:
    """What the process has taken of the machine in so many seconds."""
    print(f"it took {100 * cpu_s() / seconds:,.0f} % of a core for {seconds:,.0f} s, and {peak_memory_mb():,.0f} MB")
