"""A whole school on real wires, its truth held against what the wires brought."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from collections import Counter
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from simulators.devices import Devices
from simulators.faults import FaultMalformed, parse
from simulators.sabotage import Sabotage
from simulators.school import Outcome, Run, School, run_school
from telemetry import ScaledClock, SystemClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from simulators.scenarios import Scenario
    from tests.simulators.recorder import Publish, Recorder
    from tests.support.mosquitto import Mosquitto


def plan(scenario: Scenario, folder: Path, port: int, *, real_s: float = 0.7, **more: Any) -> Run:
    speed = (scenario.end_ms - scenario.start_ms) / 1000 / real_s
    return Run(
        scenario=scenario,
        seed=4,
        clock=ScaledClock(scenario.start_ms, SystemClock().now(), speed),
        broker=("127.0.0.1", port),
        wiring_file=folder / "wiring.json",
        truth_file=folder / "truth.json",
        **more,
    )


@asynccontextmanager
async def started(run: Run) -> AsyncIterator[tuple[School, asyncio.Task[Outcome]]]:
    schools: list[School] = []
    living = asyncio.create_task(run_school(run, ready=lambda school, _: schools.append(school)))
    await until(lambda: schools or living.done())
    try:
        yield schools[0], living
    finally:
        schools[0].stop()
        await living


def truth_of(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def terminals() -> set[str]:
    return {str(path) for path in Path("/dev/pts").iterdir()}


async def test_truth_counts_what_reached_the_wire(hour: Scenario, tmp_path: Path, recorder: Recorder) -> None:
    outcome = await run_school(plan(hour, tmp_path, recorder.port))
    assert outcome.is_complete
    on_wire = Counter(publish.topic.rpartition("/")[2] for publish in recorder.publishes)
    devices = {name: d for name, d in truth_of(tmp_path)["devices"].items() if d["transport"] == "mqtt"}
    assert {name: d["frames_sent"] for name, d in devices.items()} == on_wire
    assert {name: d["frames_confirmed"] for name, d in devices.items()} == on_wire
    assert all(d["readings_confirmed"] == d["readings_sent"] > d["frames_sent"] for d in devices.values())
    assert len(truth_of(tmp_path)["windows"]) > 350


async def test_each_client_has_its_own_password_and_one_speaks_3_1_1(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    await run_school(plan(hour, tmp_path, recorder.port))
    wiring = json.loads((tmp_path / "wiring.json").read_text(encoding="utf-8"))
    assert {(c.client, c.password) for c in recorder.connects} == {(c["id"], c["password"]) for c in wiring["clients"]}
    assert len({c["password"] for c in wiring["clients"]}) == 7
    assert Counter(connect.level for connect in recorder.connects) == {5: 6, 4: 1}
    may_publish = {client["id"]: client["publish"][0].removesuffix("#") for client in wiring["clients"]}
    assert all(publish.topic.startswith(may_publish[publish.client]) for publish in recorder.publishes)


async def test_wiring_says_all_an_agent_needs(hour: Scenario, tmp_path: Path, recorder: Recorder) -> None:
    async with started(plan(hour, tmp_path, recorder.port, real_s=600, relay_to=("127.0.0.1", 9))):
        wiring = json.loads((tmp_path / "wiring.json").read_text(encoding="utf-8"))
        assert set(wiring) == {
            *("schema", "clock", "district", "school", "timezone", "timetable", "rooms", "devices", "clients", "relay")
        }
        assert (wiring["district"], wiring["school"]) == ("changning", "cn-002")
        assert set(wiring["timetable"]) == {"days", "hours", "holidays", "make_up_days", "half_days"}
        assert {room["placement"] for room in wiring["rooms"]} == {"indoor", "outdoor", "plant"}
        assert len(wiring["devices"]) == len(hour.device)
        for device in wiring["devices"]:
            transport = device["transport"]
            assert set(device) == {"id", "room", "role", "driver", "model", "cadence_s", "transport", transport}
            if transport == "serial":
                assert device["serial"]["port"] in terminals()
            elif transport == "tcp":
                _, writer = await asyncio.open_connection(device["tcp"]["host"], device["tcp"]["port"])
                writer.close()
        assert wiring["relay"]["host"] == "127.0.0.1"


async def test_broker_that_dies_and_forgets_loses_and_doubles_nothing(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    async with started(plan(hour, tmp_path, recorder.port, real_s=2)) as (_, living):
        for count in (400, 1200):
            await until(functools.partial(recorder.has_more_than, count))
            await recorder.close()
            await asyncio.sleep(0.2)
            await recorder.open()
        outcome = await living
    assert outcome.is_complete
    taken = Counter((publish.topic, publish.payload) for publish in recorder.publishes)
    sent = sum(d["frames_sent"] for d in truth_of(tmp_path)["devices"].values() if d["transport"] == "mqtt")
    assert len(taken) == sent
    as_new = Counter((publish.topic, publish.payload) for publish in recorder.publishes if not publish.dup)
    assert max(as_new.values()) == 1
    assert len(recorder.connects) == 21


@pytest.mark.mosquitto
async def test_subscriber_of_a_real_mosquitto_gets_what_the_truth_says(
    hour: Scenario, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    received: Counter[str] = Counter()

    async def watch() -> None:
        async for message in watcher.messages:
            received[message.topic.value.rpartition("/")[2]] += 1

    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as watcher:
        await watcher.subscribe([("zigbee2mqtt/#", 1), ("bansui/vr/#", 1)])
        watching = asyncio.create_task(watch())
        outcome = await run_school(plan(hour, tmp_path, mosquitto.port, real_s=1.5))
        assert outcome.is_complete
        devices = truth_of(tmp_path)["devices"].items()
        expected = {name: d["frames_confirmed"] for name, d in devices if d["transport"] == "mqtt"}
        await until(lambda: received.total() >= sum(expected.values()), 20)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert received == expected


@pytest.mark.mosquitto
async def test_mosquitto_killed_in_mid_run_leaves_nothing_unconfirmed(
    hour: Scenario, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    async with started(plan(hour, tmp_path, mosquitto.port, real_s=2)) as (school, living):
        await until(lambda: sum(d.frames_confirmed for d in school._truth.devices.values()) > 1000)
        await asyncio.to_thread(mosquitto.stop)
        await until(lambda: school._wires.unconfirmed > 100)
        await asyncio.to_thread(mosquitto.start)
        outcome = await living
    assert outcome.is_complete
    for name, device in truth_of(tmp_path)["devices"].items():
        if device["transport"] == "mqtt":
            assert device["frames_sent"] == device["frames_confirmed"] == 60, name


@pytest.mark.parametrize("mode", list(Sabotage))
async def test_sabotage_makes_truth_and_wire_disagree(
    hour: Scenario, tmp_path: Path, recorder: Recorder, mode: Sabotage
) -> None:
    outcome = await run_school(plan(hour, tmp_path, recorder.port, sabotage=mode))
    assert not outcome.unconfirmed
    truth = truth_of(tmp_path)
    confirmed = sum(d["frames_confirmed"] for d in truth["devices"].values() if d["transport"] == "mqtt")
    surplus = len(recorder.publishes) - confirmed
    early = sum(_stamp(publish) < hour.start_ms for publish in recorder.publishes)
    assert (surplus < 0, surplus > 0, early > 0) == (
        mode is Sabotage.DROP,
        mode is Sabotage.DOUBLE,
        mode is Sabotage.RESTAMP,
    )


def _stamp(publish: Publish) -> int:
    fields = json.loads(publish.payload)
    return int(fields["last_seen"] if "last_seen" in fields else fields["time"])


async def test_stopped_school_writes_its_truth_and_frees_its_wires(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    async with started(plan(hour, tmp_path, recorder.port, real_s=4)) as (school, living):
        await until(lambda: len(recorder.publishes) > 500)
        school.stop()
        outcome = await living
    assert outcome.was_stopped
    assert outcome.unconfirmed == 0
    wiring = json.loads((tmp_path / "wiring.json").read_text(encoding="utf-8"))
    for device in wiring["devices"]:
        if device["transport"] == "serial":
            assert device["serial"]["port"] not in terminals()
        elif device["transport"] == "tcp":
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(device["tcp"]["host"], device["tcp"]["port"])
    sent = sum(d["frames_sent"] for d in truth_of(tmp_path)["devices"].values() if d["transport"] == "mqtt")
    assert sent == len(recorder.publishes)


async def test_school_that_stays_keeps_its_relay_until_it_is_stopped(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    run = plan(hour, tmp_path, recorder.port, real_s=0.3, relay_to=("127.0.0.1", recorder.port), stay=True)
    async with started(run) as (_, living):
        await until((tmp_path / "truth.json").exists, 40)
        relay = json.loads((tmp_path / "wiring.json").read_text(encoding="utf-8"))["relay"]
        _, writer = await asyncio.open_connection(relay["host"], relay["port"])
        writer.close()
        assert not living.done()


async def test_projectors_fall_silent_before_the_truth_is_written(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    """Answers given later would be readings that the truth does not know."""
    async with started(plan(hour, tmp_path, recorder.port, real_s=0.5, stay=True)) as (school, _):
        (server, *_) = school._wires._servers.values()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until((tmp_path / "truth.json").exists, 40)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()


async def test_unconfirmed_messages_and_missed_faults_make_a_run_incomplete(
    hour: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    recorder.acknowledges = lambda publish: publish.client == "zigbee"
    outcome = await run_school(
        plan(
            hour,
            tmp_path,
            recorder.port,
            real_s=0.5,
            patience_s=0.5,
            agent_pid_file=tmp_path / "nobody.pid",
            faults=[parse("agent-kill@08:20", hour)],
        )
    )
    assert outcome.unconfirmed > 0
    assert len(outcome.missed) == 1
    assert not outcome.is_complete


async def test_fault_that_cannot_strike_stops_everything_at_the_start(hour: Scenario, tmp_path: Path) -> None:
    with pytest.raises(FaultMalformed):
        await run_school(plan(hour, tmp_path, 9, faults=[parse("uplink-outage@08:00+30m", hour)]))
    assert not (tmp_path / "wiring.json").exists()


async def test_broker_that_restarts_in_front_of_the_devices_loses_and_doubles_nothing(
    morning: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    faults = [parse("broker-restart@08:30+20m", morning), parse("broker-restart@09:20", morning)]
    outcome = await run_school(plan(morning, tmp_path, recorder.port, real_s=9, faults=faults))
    assert outcome.is_complete
    as_new = Counter((publish.topic, publish.payload) for publish in recorder.publishes if not publish.dup)
    assert max(as_new.values()) == 1
    assert len({(publish.topic, publish.payload) for publish in recorder.publishes}) == _published(tmp_path)
    assert len(recorder.connects) >= 2 * 7


async def test_a_storm_of_duplicates_is_the_same_messages_again(
    morning: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    faults = [parse("duplicate-storm@08:00+1h45m", morning)]
    outcome = await run_school(plan(morning, tmp_path, recorder.port, real_s=9, faults=faults))
    assert outcome.is_complete
    again = [publish for publish in recorder.publishes if publish.dup]
    assert len(again) > 20
    new = Counter((publish.topic, publish.payload) for publish in recorder.publishes if not publish.dup)
    assert max(new.values()) == 1
    assert len({(publish.topic, publish.payload) for publish in recorder.publishes}) == _published(tmp_path)


async def test_a_power_cut_forgets_what_was_not_confirmed_and_says_so(
    morning: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    cut_ms = morning.moment("08:30")
    recorder.acknowledges = lambda publish: not cut_ms - 300_000 <= _stamp(publish) < cut_ms
    faults = [parse("power-cut@08:30+15m", morning)]
    outcome = await run_school(plan(morning, tmp_path, recorder.port, real_s=9, patience_s=5, faults=faults))
    assert outcome.is_complete
    devices = truth_of(tmp_path)["devices"].values()
    assert outcome.forgotten == sum(device["frames_forgotten"] for device in devices) > 20
    for device in devices:
        if device["transport"] == "mqtt":
            assert device["frames_sent"] == device["frames_confirmed"] + device["frames_forgotten"] == 120
    stamps = [_stamp(publish) for publish in recorder.publishes]
    assert not [stamp for stamp in stamps if cut_ms <= stamp < cut_ms + 15 * 60_000]
    assert len(recorder.connects) >= 14  # before and after


async def test_in_a_power_cut_no_projector_answers_and_afterwards_each_does_on_its_port(
    morning: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    """Told by the order of the answers: a school that is late cuts the power late, and never early."""
    faults = [parse("power-cut@08:30+30m", morning)]
    async with started(plan(morning, tmp_path, recorder.port, real_s=9, faults=faults)) as (school, living):
        port = school._wires.tcp_ports["projector-a-101"]
        answered: list[tuple[bool, int]] = []
        while not living.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                answered.append((False, school._run.clock.now()))
            else:
                answered.append((True, school._run.clock.now()))
                writer.close()
            await asyncio.sleep(0.02)
        assert (await living).is_complete
    changes = [after for before, after in pairwise(answered) if before[0] is not after[0]]
    assert [is_lit for is_lit, _ in changes] in ([False, True], [False, True, False])  # it hangs up as the day ends
    (_, dark_ms), (_, lit_ms) = changes[:2]
    assert dark_ms >= morning.moment("08:30")
    assert lit_ms >= morning.moment("09:00")


async def test_a_serial_port_that_is_pulled_out_comes_back_under_its_name(
    morning: Scenario, tmp_path: Path, recorder: Recorder
) -> None:
    """Told by what each opening of the port hears: a school that is late pulls it out late, and for less time."""
    sent = [(frame.payload, frame.event_ms) for frame in Devices(morning, 4).day() if frame.device == "pm-a-101"]
    often = Counter(payload for payload, _ in sent)
    frames = {payload: at_ms for payload, at_ms in sent if often[payload] == 1}
    assert len(frames) > 120
    faults = [parse("unplug@08:30+15m:pm-a-101", morning)]
    openings: list[bytearray] = []
    async with started(plan(morning, tmp_path, recorder.port, real_s=3, faults=faults)) as (school, living):
        port = school._wires.serial_ports["pm-a-101"]
        while not living.done():
            with contextlib.suppress(OSError):
                descriptor = os.open(port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
                openings.append(bytearray())
                try:
                    await _hear(descriptor, openings[-1], living)
                finally:
                    os.close(descriptor)
            await asyncio.sleep(0.005)
        outcome = await living
    assert outcome.is_complete
    told = [[at_ms for payload, at_ms in frames.items() if payload in heard] for heard in openings]
    before, after = (times for times in told if times)
    assert max(before) < morning.moment("08:30")
    assert min(after) >= morning.moment("08:45")
    assert max(after) > morning.moment("09:00")
    (fault,) = truth_of(tmp_path)["faults"]
    assert (fault["name"], fault["device"]) == ("unplug", "pm-a-101")


async def _hear(descriptor: int, heard: bytearray, living: asyncio.Task[Outcome]) -> None:
    """Read until the line is gone."""
    while not living.done():
        with contextlib.suppress(BlockingIOError):
            content = os.read(descriptor, 4096)
            if not content:
                return
            heard += content
        await asyncio.sleep(0.005)


def _published(folder: Path) -> int:
    return sum(d["frames_sent"] for d in truth_of(folder)["devices"].values() if d["transport"] == "mqtt")
