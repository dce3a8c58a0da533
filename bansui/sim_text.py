"""What `bansui sim` prints of scenarios and runs."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from bansui.failures import language
from bansui.sim_configuration import AGENT_FILE, CENTRE_FILE, START_WITHIN_S
from bansui.sim_words import words
from simulators.cost import cpu_s, peak_memory_mb
from simulators.faults import FAULTS
from simulators.school import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bansui.sim_configuration import Files, Timing
    from simulators.broker_watch import BrokerNews
    from simulators.scenarios import Scenario
    from simulators.school import Outcome, Run
    from telemetry import ScaledClock


_FAULTS_ATTACK: Final = "Faults (--fault NAME@TIME[+LENGTH][:DEVICE]), each with what it attacks:"


def describe(scenario: Scenario) -> dict[str, object]:
    """A scenario in short."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "title_zh": scenario.title_zh or scenario.title,
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
    is_chinese = language() == "zh"
    for entry in scenarios:
        print(f"{entry['name']:<15} {entry['title_zh' if is_chinese else 'title']}")
    if not with_faults:
        return
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
    scenario, say = run.scenario, words()
    size = say["school"].format(rooms=len(scenario.room), devices=len(scenario.device))
    if is_one_of_many:
        print(f"  {scenario.school}: {size}", flush=True)
        return
    real_s = (scenario.end_ms - scenario.start_ms) / 1000 / run.clock.speed
    when = say["when.days" if scenario.days > 1 else "when.day"].format(
        date=scenario.date, starts=scenario.starts, last=scenario.dates[-1], ends=scenario.ends
    )
    span = say["span"].format(when=when, seconds=real_s, speed=run.clock.speed)
    print(f"{scenario.name}, seed {run.seed}: {size}; {span}")
    print(f"  MQTT    {run.broker[0]}:{run.broker[1]}  {say['clients'].format(count=len(document['clients']))}")
    for device in document["devices"]:
        if device["transport"] == "serial":
            print(f"  {_name('serial')}  {device['serial']['port']}  {device['id']}  {device['model']}")
        elif device["transport"] == "tcp":
            lock = f"  {say['password']}" if device["tcp"]["password"] else ""
            print(f"  TCP     {device['tcp']['host']}:{device['tcp']['port']}  {device['id']}  {device['model']}{lock}")
    if document["relay"] is not None:
        relay, centre = document["relay"], run.relay_to
        assert centre is not None
        print(f"  {_name('relay')}  {relay['host']}:{relay['port']} {say['to']} {centre[0]}:{centre[1]}")
    for name, path in (("wiring", run.wiring_file), ("truth", run.truth_file)):
        if path is not None:
            print(f"  {_name(name)}  {path}")
    print(say["ctrl-c"], flush=True)


def _name(key: str) -> str:
    """A name as wide as the others; a Chinese character takes two columns."""
    name = words()[key]
    return name + " " * (6 - sum(1 + (ord(letter) > 0x2E80) for letter in name))


def next_steps(clock: ScaledClock, timing: Timing, folder: Path, centre_port: int) -> dict[str, Any]:
    """The commands that start what was configured, each to its end; then, so many seconds after the day, its score."""
    url = f"http://127.0.0.1:{centre_port}"
    started = {"centre": CENTRE_FILE, "agent": AGENT_FILE}
    commands = {
        part: shlex.join(["bansui", part, "run", "--config", str(folder / file), "--clock", clock.option])
        for part, file in started.items()
    }
    score = f"bansui sim score truth.json --centre {url}"
    return {**commands, "score": score, "settled_s": timing.settled_s(clock.speed)}


def print_configured(files: Files, folder: Path, steps: Mapping[str, Any]) -> None:
    """What was written, and what to do next."""
    say = words()
    print(
        say["configured"].format(files=", ".join(str(folder / name) for name in files.texts), count=len(files.secrets))
    )
    print(say["configured.start"].format(seconds=START_WITHIN_S))
    print(f"  {steps['centre']}\n  {steps['agent']}")
    print(say["configured.score"].format(seconds=steps["settled_s"]))
    print(f"  {steps['score']}")


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
    say, name = words(), f"{run.scenario.school}: " if is_one_of_many else ""
    confirmed = "unconfirmed" if came.unconfirmed or came.refused else "confirmed"
    told = say["sent"].format(
        end=say["stopped" if came.was_stopped else "over"],
        frames=came.frames_sent,
        readings=came.readings_sent,
        confirmed=say[confirmed].format(unconfirmed=came.unconfirmed, refused=came.refused),
    )
    print(f"{name}{told}")
    for reason in came.missed:
        print(f"{name}{say['missed'].format(reason=reason)}")
    if run.stay and not came.was_stopped:
        print(say["stay"])
    print(end="", flush=True)


def print_cost(seconds: float) -> None:
    """What the process has taken of the machine in so many seconds."""
    print(words()["cost"].format(share=100 * cpu_s() / seconds, seconds=seconds, memory=peak_memory_mb()))
