"""A device that is moved, or replaced under its id: its history stays straight, and every reading is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.bindings import bind as bind_all
from edge_agent.config_file import load
from edge_agent.store import fittings
from edge_agent.transactions import Kind
from telemetry import Role, vocabulary
from tests.edge_agent.harness import MINUTE, Bench, bind
from tests.edge_agent.running import LISTENER, SENSOR, configure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.admission import Binding


def meter(fitted: str = "", room: str = "a-301") -> Binding:
    made = bind("meter", ("power", "energy"), role=Role.ROOM_METER, room=room)
    made.fitted = fitted
    return made


def alarm(fitted: str = "") -> Binding:
    made = bind("alarm", ("smoke",), role=Role.SAFETY)
    made.fitted = fitted
    return made


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, devices=(bind("air", ("carbon_dioxide",)), meter(), alarm()))
    yield made
    made.stop()


def refit(bench: Bench, *devices: Binding) -> None:
    """A planned stop, and a start with another configuration."""
    bench.checkpoint()
    bench.stop()
    bench.devices = devices
    bench.start()


def lines(bench: Bench, device: str) -> list[str]:
    """What is told of a device, and of which room."""
    return [line for line in bench.told() if f"device={device}," in line]


def test_what_was_measured_in_one_room_is_not_told_as_anothers(bench: Bench) -> None:
    """Half a window there, half a window here: only the second half is told, of the new room."""
    bench.read("air", ["carbon_dioxide", 2000])
    bench.read("air", ["carbon_dioxide", 2000])
    refit(bench, bind("air", ("carbon_dioxide",), room="b-102"), meter(), alarm())
    bench.pass_time(5 * MINUTE)
    bench.read("air", ["carbon_dioxide", 500])
    bench.until_closed(15 * MINUTE)
    (line,) = lines(bench, "air")
    assert "room=b-102" in line
    assert " mean=500," in line
    found = bench.audit()
    assert found.faults == []
    assert found.devices["air"]["withheld"] == 2
    assert bench.core.state.counts[next(key for key in bench.core.state.counts if key.reason == "device_moved")] == 2


def test_what_is_told_already_stays_with_the_old_room(bench: Bench) -> None:
    bench.read("air", ["carbon_dioxide", 2000])
    bench.until_closed(20 * MINUTE)
    refit(bench, bind("air", ("carbon_dioxide",), room="b-102"), meter(), alarm())
    bench.read("air", ["carbon_dioxide", 500])
    bench.until_closed(20 * MINUTE)
    old, new = lines(bench, "air")
    assert "room=a-301" in old
    assert "room=b-102" in new
    assert " mean=500," in new, "nothing was carried over"


def energy(bench: Bench) -> int:
    """What is told of energy in all, in watt hours."""
    told = [line for line in lines(bench, "meter") if line.startswith("energy")]
    return round(1000 * sum(float(line.partition("delta=")[2].partition(",")[0].partition(" ")[0]) for line in told))


@pytest.mark.parametrize(("fitted", "told"), [("", 3800), ("2026-11-30", 0)], ids=["unsaid", "said"])
def test_another_meter_under_the_same_id(bench: Bench, fitted: str, told: int) -> None:
    """The difference between two meters is no energy, once it is said that there are two."""
    bench.read("meter", ["power", 100], ["energy", 1.2])
    refit(bench, bind("air", ("carbon_dioxide",)), meter(fitted), alarm())
    bench.pass_time(MINUTE)
    bench.read("meter", ["power", 300], ["energy", 5.0])
    bench.until_closed(70 * MINUTE)
    assert energy(bench) == told
    found = bench.audit()
    assert found.faults == []
    (power,) = [line for line in lines(bench, "meter") if line.startswith("power")]
    assert "mean=260.0,n=5i" in power, "a level goes on: both units measured the same room"


def test_the_new_meter_counts_from_its_first_word(bench: Bench) -> None:
    bench.read("meter", ["energy", 1.2])
    refit(bench, bind("air", ("carbon_dioxide",)), meter("2026-11-30"), alarm())
    bench.read("meter", ["energy", 5.0])
    bench.pass_time(MINUTE)
    bench.read("meter", ["energy", 5.3])
    bench.until_closed(70 * MINUTE)
    assert energy(bench) == 300


def test_a_new_alarm_says_what_it_is(bench: Bench) -> None:
    """What the old one told last is not taken for its word."""
    bench.read("alarm", ["smoke", 0])
    before = len(lines(bench, "alarm"))
    refit(bench, bind("air", ("carbon_dioxide",)), meter(), alarm("2026-11-30"))
    bench.pass_time(MINUTE)
    bench.read("alarm", ["smoke", 0])
    assert len(lines(bench, "alarm")) == before + 1


def test_it_follows_once_whatever_crashes(bench: Bench) -> None:
    """Killed before and after the transaction: it is written once, and what came before it is counted once."""
    bench.read("air", ["carbon_dioxide", 2000])
    refit(bench, bind("air", ("carbon_dioxide",), room="b-102"), meter(), alarm())
    bench.pass_time(50)
    assert [commit.kind for commit in bench.commits] == [Kind.REFIT]
    bench.restart()
    bench.pass_time(50)
    assert [commit.kind for commit in bench.commits] == [Kind.REFIT]
    bench.settle()
    assert bench.audit().faults == []
    bench.restart()
    bench.settle()
    bench.read("air", ["carbon_dioxide", 500])
    assert bench.audit().devices["air"]["withheld"] == 1
    assert bench.audit().faults == []


def test_nothing_follows_where_nothing_changed(bench: Bench) -> None:
    """A restart, a device more and a device less are none of it."""
    bench.read("air", ["carbon_dioxide", 700])
    refit(bench, bind("air", ("carbon_dioxide",)), bind("other", ("temperature",)))
    bench.pass_time(50)
    assert not [commit for commit in bench.commits if commit.kind is Kind.REFIT]


def test_a_device_that_comes_back_elsewhere(bench: Bench) -> None:
    """Taken out and put back into another room while its window was open: it has moved."""
    bench.read("air", ["carbon_dioxide", 2000])
    refit(bench, meter(), alarm())
    refit(bench, bind("air", ("carbon_dioxide",), room="b-102"), meter(), alarm())
    bench.read("air", ["carbon_dioxide", 500])
    bench.until_closed(20 * MINUTE)
    assert all("room=b-102" in line and " mean=500," in line for line in lines(bench, "air"))
    assert bench.audit().faults == []


@pytest.mark.parametrize("damaged", ["", "[]", '{"air": 7}', '{"air": ["a"', "\udcff"])
def test_what_a_disk_has_damaged_is_not_known(damaged: str) -> None:
    assert fittings.unpack(damaged) == {}


def test_the_date_stands_in_the_configuration(tmp_path: Path) -> None:
    path = configure(tmp_path, LISTENER, SENSOR.replace("[[device]]", "[[device]]\nfitted = 2026-11-30"))
    assert bind_all(load(path)).bindings["co2"].fitting == ("a/a-301", "2026-11-30")


def test_another_unit_after_a_quantity_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version measured and this one does not know is withheld; the agent starts, and all closes."""
    bench.read("meter", ["energy", 100], ["power", 50])
    monkeypatch.delitem(vocabulary._TABLE, "energy")
    replaced = bind("meter", ("power",), role=Role.ROOM_METER)
    replaced.fitted = "2026-01-01"
    refit(bench, bind("air", ("carbon_dioxide",)), replaced, alarm())
    bench.until_closed(20 * MINUTE)
    found = bench.audit()
    assert (found.faults, found.devices["meter"]["withheld"]) == ([], 1)
