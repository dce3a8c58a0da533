"""`bansui privacy explain`: per field what happens to it and why, in the reader's language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

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


def test_an_unknown_device_is_a_mistake_that_names_the_known(config: str) -> None:
    done = call_bansui("privacy", "explain", "--config", config, "--device", "aire")
    assert done.returncode == 2
    assert "no device is called 'aire'" in done.stderr
    assert "air, mast, plug" in done.stderr
