"""`bansui privacy explain`: per field what happens to it and why, in the reader's language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.documents import ROOT
from tests.edge_agent.running import LISTENER, configure
from tests.support.calls import call_bansui
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

_DEVICES: Final = """
[[room]]
code = "roof"
building = "a"
placement = "outdoor"
[[device]]
id = "air"
room = "a-301"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = { topic = "zigbee2mqtt/air" }
[[device]]
id = "mast"
room = "roof"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = { topic = "zigbee2mqtt/mast" }
[[device]]
id = "plug"
room = "a-301"
role = "plug"
driver = "zigbee2mqtt"
mqtt = { topic = "zigbee2mqtt/plug" }
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A room, a roof, and a plug that people switch."""
    return str(configure(tmp_path, LISTENER, _DEVICES))


def test_one_quantity_has_as_many_fates_as_places(config: str) -> None:
    """Indoors, outdoors, and on something people switch; the policy's name stands above."""
    found = json.loads(run_bansui("privacy", "explain", "--config", config, "--json").stdout)
    assert found["policy"] == "strict"
    fates = {
        device: next(each for each in of if "temperature" in each["quantities"])
        for device, of in found["devices"].items()
    }
    assert {device: (of["privacy_class"], of["why"], of["span"]) for device, of in fates.items()} == {
        "air": ("P1", "indoor", "timetable"),
        "mast": ("E", "least", "minute"),
        "plug": ("D(b)", "switched", "day"),
    }
    assert fates["mast"]["fields"] == ["mean", "min", "max", "n", "expected"]
    assert fates["air"]["fields"] == ["mean", "n", "expected"]


@pytest.mark.parametrize(
    ("locale", "sentences"),
    [
        ("C.UTF-8", ["air: room a-301", "rounded to 50 ppm", "kept 730 days", "A name, an"]),
        ("zh_CN.UTF-8", ["air：教室 a-301", "修约到 50 ppm", "保存 730 天", "姓名、地址、卡号"]),
    ],
)
def test_it_speaks_the_readers_language(config: str, locale: str, sentences: list[str]) -> None:
    done = call_bansui("privacy", "explain", "--config", config, "--device", "air", env={"LC_ALL": locale})
    assert done.returncode == 0, done.stderr
    assert all(sentence in done.stdout for sentence in sentences), done.stdout
    assert "mast" not in done.stdout


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [("C.UTF-8", "in an empty building that shows"), ("zh_CN.UTF-8", "楼里没人时")],
)
def test_a_policy_that_tells_of_an_empty_building_says_so(
    tmp_path: Path, config: str, locale: str, sentence: str
) -> None:
    """Whatever of a room it tells outside timetable hours, dust and air pressure apart; strict tells no more."""
    mine = (ROOT / "configs/policies/strict.toml").read_text().replace('["pm1", "pm25"', '["motion", "pm1", "pm25"', 1)
    for text, is_told in ((mine, True), (mine.replace('"motion", ', "", 1), False)):
        (tmp_path / "mine.toml").write_text(text)
        with_policy = f'[privacy]\npolicy = "mine.toml"\n{(tmp_path / "agent.toml").read_text()}'
        (tmp_path / "by-night.toml").write_text(with_policy)
        done = call_bansui("privacy", "explain", "--config", str(tmp_path / "by-night.toml"), env={"LC_ALL": locale})
        said = "".join(done.stdout.split()).lower()
        assert ("".join(sentence.split()) in said) is is_told, done.stderr


def test_an_agent_without_devices_tells_nothing(tmp_path: Path) -> None:
    """As `bansui init` leaves it, which names this command."""
    done = call_bansui("privacy", "explain", "--config", str(configure(tmp_path, LISTENER)))
    assert (done.returncode, done.stderr) == (0, "")
    assert "No device is bound" in done.stdout


def test_an_unknown_device_is_a_mistake_that_names_the_known(config: str) -> None:
    done = call_bansui("privacy", "explain", "--config", config, "--device", "aire")
    assert done.returncode == 2
    assert "no device is called 'aire'" in done.stderr
    assert "air, mast, plug" in done.stderr
