"""Admission: default deny, each copy once, and no vendor's mistake past it."""

from __future__ import annotations

import logging
import math
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

from device_drivers.contract import Decoded, Frame, FrameRefused
from device_drivers.registry import discover
from edge_agent.admission import Admission, Binding, ClockTolerance
from edge_agent.config import DeviceTable
from edge_agent.events import Arrival, Arrived, Batch
from edge_agent.timing import Timing
from edge_agent.topic_index import TopicIndex
from tests.edge_agent.harness import (
    DAY,
    MINUTE,
    MONDAY_9,
    Bench,
    bind,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CO2: Final = ["carbon_dioxide", 700]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    yield made
    made.stop()


def rejected(bench: Bench) -> dict[str, int]:
    return dict(bench.audit().rejected)


class TestAdmission:
    """Default deny: what comes in is known, plausible, fresh and once."""

    def test_a_second_copy_is_not_counted_twice(self, bench: Bench) -> None:
        """Same session, packet id and content with DUP: acknowledged, counted as duplicate, not admitted."""
        for duplicate in (False, True, True):
            bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=duplicate, token=duplicate)
            bench.settle()
        found = bench.audit()
        assert (found.balance["received"], found.balance["admitted"], found.balance["duplicate"]) == (3, 1, 2)
        assert bench.acknowledged == [False, True, True]

    def test_a_copy_is_known_within_one_group_and_after_a_restart(self, bench: Bench) -> None:
        """Both copies in one transaction; and a copy that comes after a crash between commit and PUBACK."""
        bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=False)
        bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=True)
        bench.settle()
        bench.restart()
        bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=True)
        bench.settle()
        assert bench.audit().balance["admitted"] == 1

    @pytest.mark.parametrize(
        ("content", "sender"),
        [
            (["carbon_dioxide", 701], ("s", 7, True)),
            (["carbon_dioxide", 700, "2"], ("s", 7, True)),
            (["carbon_dioxide", 700, "", MONDAY_9], ("s", 7, True)),
            (CO2, ("s", 7, False)),
            (CO2, ("s", 8, True)),
            (CO2, ("t", 7, True)),
            (CO2, ("", 0, False)),
        ],
    )
    def test_what_is_no_copy_is_admitted(
        self, bench: Bench, content: list[object], sender: tuple[str, int, bool]
    ) -> None:
        """Other content, another id, another session, no DUP flag, QoS 0: a message of its own."""
        bench.arrive("air", frame(CO2), session="s", packet_id=7, duplicate=False)
        session, packet_id, duplicate = sender
        bench.arrive("air", frame(content), session=session, packet_id=packet_id, duplicate=duplicate)
        bench.settle()
        assert bench.audit().balance["admitted"] == 2

    def test_a_copy_is_known_when_the_clock_was_set_meanwhile(self, bench: Bench) -> None:
        """The device's time is believed at first and no more at the second copy: still one message."""
        content = frame(["carbon_dioxide", 700, "", MONDAY_9])
        bench.arrive("air", content, session="s", packet_id=7, duplicate=False)
        bench.settle()
        bench.clock.step(3 * DAY)
        bench.arrive("air", content, session="s", packet_id=7, duplicate=True)
        bench.settle()
        assert bench.audit().balance["duplicate"] == 1

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 10**400, 299.4, 10_001])
    def test_what_no_sensor_measures_is_out_of_range(self, bench: Bench, value: float) -> None:
        """NaN, infinities, giants and values outside the quantity's range are counted and go no further."""
        bench.read("air", ["carbon_dioxide", value], ["temperature", 20])
        assert rejected(bench) == {"out_of_range": 1}
        assert bench.audit().balance["admitted"] == 1

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (["ozone", 1], "undeclared"),
            (["name", 1], "undeclared"),
            (["carbon_dioxide", 700, "Li Hua"], "undeclared"),
            (["carbon_dioxide", 700, "x,y=z"], "undeclared"),
            (["carbon_dioxide", "700"], "driver_fault"),
            (["carbon_dioxide", None], "driver_fault"),
            (["carbon_dioxide", 700, "", 1.5], "driver_fault"),
            (["carbon_dioxide", 700, "", "now"], "driver_fault"),
            ([["carbon_dioxide"], 700], "driver_fault"),
            (["carbon_dioxide", 700, "", MONDAY_9, "more"], "driver_fault"),
        ],
    )
    def test_what_breaks_the_contract_stays_here(self, bench: Bench, row: list[object], reason: str) -> None:
        """An unknown quantity, a channel that is no code, values of other types: counted, and the rest comes in."""
        bench.read("air", row)
        bench.read("air", CO2)
        assert rejected(bench) == {reason: 1}
        assert bench.audit().balance["admitted"] == 1

    def test_a_topic_without_a_device(self, bench: Bench) -> None:
        """Counted without the topic."""
        bench.play(Arrived([Batch([Arrival(frame(CO2))], MONDAY_9)]))
        bench.arrive("nobody", frame(CO2))
        bench.settle()
        assert rejected(bench) == {"unknown_device": 2}

    def test_a_frame_without_a_reading(self, bench: Bench) -> None:
        """It counts as one received, so that the balance shows it."""
        bench.read("air")
        assert rejected(bench) == {"no_reading": 1}

    def test_what_a_broker_kept_is_not_fresh(self, bench: Bench) -> None:
        """Retained without a time to be believed: nobody knows when it was measured. With one: it is what it is."""
        rows = ["carbon_dioxide", 700], ["temperature", 20, "", MONDAY_9], ["battery", 50, "", MONDAY_9 - 2 * DAY]
        bench.play(Arrived([Batch([Arrival(frame(*rows), retained=True)], MONDAY_9, "air")]))
        bench.settle()
        assert rejected(bench) == {"retained": 2}
        assert bench.audit().balance["admitted"] == 1

    def test_an_alarm_that_a_broker_kept_for_days_is_not_told_as_one_of_this_moment(self, bench: Bench) -> None:
        """What a device says with a wrong time counts as of its arrival; what was kept did not arrive then."""
        alarm = frame(["smoke", 1, "", MONDAY_9 - 3 * DAY])
        bench.play(Arrived([Batch([Arrival(alarm, retained=True)], MONDAY_9, "alarm")]))
        bench.settle()
        assert rejected(bench) == {"retained": 1}
        assert bench.told() == []

    def test_a_driver_that_raises_is_said_once(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """Once when it begins, once when it ends, with the kind of mistake and nothing of the frame."""
        caplog.set_level(logging.INFO)
        for _ in range(3):
            bench.arrive("air", frame("raise"))
        bench.arrive("mast", frame(["temperature", 5]))
        bench.settle()
        assert [record.getMessage() for record in caplog.records] == ["driver list fails on device air: RuntimeError"]
        bench.read("air", CO2)
        assert caplog.records[-1].getMessage() == "driver list understands device air again"
        assert len(caplog.records) == 2
        assert rejected(bench) == {"driver_fault": 3}
        assert bench.audit().devices["mast"]["received"] == 1

    def test_a_reason_is_a_word(self, tmp_path: Path) -> None:
        """What a driver gives as its reason goes into a label: anything but a short word is not passed on."""

        class Chatty:
            def decode(self, frame: Frame) -> Decoded:
                raise FrameRefused("bad card 4711!", "x")

        bench = Bench(tmp_path, devices=[bind("air", ("temperature",), driver=Chatty())])
        bench.read("air", CO2)
        assert rejected(bench) == {"driver_fault": 1}
        bench.stop()

    def test_the_devices_clock_within_tolerance(self, bench: Bench) -> None:
        """Believed up to two minutes ahead and a day behind; else the time of arrival counts."""
        stamps = [MONDAY_9 + 2 * MINUTE, MONDAY_9 + 2 * MINUTE + 1, MONDAY_9 - DAY, MONDAY_9 - DAY - 1]
        for index, stamp in enumerate(stamps):
            bench.arrive("mast", frame(["temperature", 20, str(index), stamp]))
        bench.settle()
        series = bench.core.state.windows.series.values()
        events = [reading.carried or next(iter(reading.open.values())) for reading in series]
        starts = [getattr(window, "start_ms", 0) for window in events]
        assert starts == [MONDAY_9 + 2 * MINUTE, MONDAY_9, MONDAY_9 - DAY, MONDAY_9]


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("spBv1.0/school/DDATA/plc-1", "node"),
        ("spBv1.0/school/DDATA/plc-1/probe", "node"),
        ("spBv1.0/school/DDATA/plc-1/meter", "meter"),
        ("spBv1.0/school/DDATA/plc-2", ""),
        ("spBv1.0/school/x/DDATA/plc-1", ""),
        ("home/co2/state", "below"),
        ("home/co2", "below"),
        ("home/co2x/state", ""),
        ("spBv1.0/school/DDATA", ""),
        ("home", ""),
    ],
)
def test_whose_topic_it_is(topic: str, device: str) -> None:
    """A level that is any one, everything below, and the nearer of two that match."""
    topics = {"node": "spBv1.0/school/+/plc-1/#", "meter": "spBv1.0/school/+/plc-1/meter", "below": "home/co2/#"}
    bindings = [(bind(name, ("temperature",)), topic_of) for name, topic_of in topics.items()]
    assert Admission(bindings, ClockTolerance(0, 0)).device_at(topic) == device


@pytest.mark.parametrize("topics", [("tele/pm", "tele/pm/#"), ("tele/pm/#", "tele/pm")])
def test_a_devices_own_topic_is_nearer_than_one_above(topics: tuple[str, str]) -> None:
    """In whatever order they are configured: else one of the two would never be heard."""
    admission = Admission([(bind(topic, ("temperature",)), topic) for topic in topics], ClockTolerance(0, 0))
    assert [admission.device_at(topic) for topic in ("tele/pm", "tele/pm/STATE")] == ["tele/pm", "tele/pm/#"]


def test_many_devices_cost_a_lookup_no_more() -> None:
    """Those with filters too: no device's is compared with the topic, one after the other."""

    class Counted(dict[str, Binding]):
        looks = 0

        def __contains__(self, key: object) -> bool:
            Counted.looks += 1
            return super().__contains__(key)

    index = TopicIndex()
    for number in range(1000):
        index.add(f"application/+/device/{number:016x}/event/#", bind(f"lora-{number}", ("temperature",)))
        index.add(f"tele/plug-{number}/#", bind(f"plug-{number}", ("temperature",)))
    index._by_shape = {shape: Counted(bindings) for shape, bindings in index._by_shape.items()}
    found = index.find("application/7/device/00000000000003e7/event/up"), index.find("tele/plug-999/SENSOR")
    assert [each.device for each in found if each is not None] == ["lora-999", "plug-999"]
    assert Counted.looks <= 4


@pytest.mark.parametrize("driver", sorted(discover()))
def test_every_drivers_sample_can_be_configured(driver: str) -> None:
    """What a manifest shows is what agent.toml takes."""
    (device,) = tomllib.loads(discover()[driver].manifest.sample)["device"]
    assert DeviceTable.model_validate(device).driver == driver
