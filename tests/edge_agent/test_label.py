"""A room's label is the policy and the devices in force: change one, and the label says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.local.label import label_of
from edge_agent.local.site import Site
from edge_agent.local.words import LANGUAGES, Words
from telemetry import ConfigurationError, Role, quantity
from telemetry.policy import load_policy, shipped_policy
from tests.edge_agent.harness import bind as device
from tests.edge_agent.looking import PAGES
from tests.edge_agent.running import LISTENER, configure
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.local.label import Group, Label

DEVICES = """
[[room]]
code = "plant"
building = "b"
placement = "plant"
[[device]]
id = "qx-air"
room = "a-301"
role = "room_sensor"
driver = "zigbee2mqtt"
quantities = ["carbon_dioxide", "sound_pressure", "power", "battery", "smoke", "button_action"]
mqtt = { topic = "zigbee2mqtt/qx-air" }
[[device]]
id = "qx-board"
room = "a-301"
role = "display"
driver = "pjlink"
tcp = { host = "127.0.0.1", port = 4352 }
[[device]]
id = "qx-pump"
room = "plant"
role = "infrastructure"
driver = "zigbee2mqtt"
quantities = ["temperature"]
mqtt = { topic = "zigbee2mqtt/qx-pump" }
"""


def site(folder: Path, *tables: str) -> Site:
    loaded = load(configure(folder, LISTENER, DEVICES, *tables))
    return Site(loaded, bind(loaded).bindings)


def label(site: Site, room: str = "a-301", language: str = "en") -> Label:
    return site.sheet(room, language).label


def groups(label: Label) -> Mapping[str, Group]:
    return {group.privacy_class: group for group in label.groups}


def test_what_is_sensed_is_what_the_devices_may_tell(tmp_path: Path) -> None:
    """Every quantity of the room's devices stands in the group of its class, by the names of the vocabulary."""
    made = site(tmp_path)
    for language in LANGUAGES:
        found = groups(label(made, language=language))
        assert list(found) == ["P1", "D(a)", "D(b)", "S", "withheld"]
        for name, group in (
            ("sound_pressure", "P1"),
            ("battery", "D(a)"),
            ("lamp_hours", "D(b)"),
            ("smoke", "S"),
            ("button_action", "withheld"),
        ):
            assert quantity(name).label(language) in found[group].sensed
    board = bind(made.loaded).bindings["qx-board"].rules
    assert set(label(made).quantities) == {
        *board,
        "carbon_dioxide",
        "sound_pressure",
        "power",
        "battery",
        "smoke",
        "button_action",
    }


def test_how_coarse_it_leaves_is_said(tmp_path: Path) -> None:
    made = site(tmp_path)
    found = groups(label(made))
    assert found["P1"].coarse == [
        "one summary in 15 minutes, in timetable hours alone, or of an hour that lies in them in part (mean)",
        "power: one summary in 60 minutes, in timetable hours alone (mean)",
        "CO2 to 50 ppm",
        "sound level to 1 dB",
    ]
    assert (
        found["P1"].given == "to better the air, light and sound of rooms, and to save energy; "
        "to the school, the district's IoT centre; kept 730 days"
    )
    assert found["withheld"].coarse == ["nothing leaves: read, counted and dropped"]
    assert "hours of use to half an hour" in found["D(b)"].coarse
    assert groups(label(made, "plant", "zh"))["E"].coarse == ["每 1 分钟一个汇总值（平均值、最小值、最大值）"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('window = "timetable"', 'window = "hour"', "one summary in 60 minutes, in timetable hours alone (mean)"),
        ("carbon_dioxide = 50", "carbon_dioxide = 200", "CO2 to 200 ppm"),
        ('recipients = ["school", "district"]', 'recipients = ["school"]', "to the school; kept"),
        ("retention_days = 730", "retention_days = 31", "kept 31 days"),
        ("to better the air, light and sound of rooms, and to save energy", "to air the rooms", "to air the rooms; to"),
    ],
)
def test_another_policy_is_another_label(tmp_path: Path, before: str, after: str, said: str) -> None:
    """What a policy says of windows, steps, recipients, purpose and retention, the label says."""
    strict = shipped_policy("strict").read_text()
    assert before in strict
    policy = '\n[privacy]\npolicy = "own.toml"\n'
    (tmp_path / "own.toml").write_text(strict)
    first = site(tmp_path, policy)
    (tmp_path / "own.toml").write_text(strict.replace(before, after))
    second = site(tmp_path, policy)
    group = groups(label(second))["P1"]
    assert said in "; ".join([*group.coarse, group.given])
    assert label(first) != label(second)
    assert first.digest != second.digest, "a printed label can be told from one in force"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("strict", "nothing leaves: read, counted and dropped"),
        (
            "standard",
            "one total for the whole campus in each timetable slot, with random noise; never this room's number",
        ),
        ("demo", "one number in each timetable slot, with random noise"),
    ],
)
def test_people_counts_are_said_as_the_policy_has_them(tmp_path: Path, name: str, said: str) -> None:
    """Withheld, one noisy total, or one a room; those who come and go are never passed on."""
    counter = device("qx-seats", ("people_count", "people_in"), role=Role.PEOPLE_COUNTER)
    found = groups(label_of([counter], "a", "a-301", load_policy(name, tmp_path), Words("en")))
    assert said in [*(found["P2"].coarse if "P2" in found else ()), *found["withheld"].coarse]
    assert ("P2" in found) == (name != "strict")
    assert "people in" in found["withheld"].sensed


def test_a_device_takes_in_only_what_its_table_names(tmp_path: Path) -> None:
    """The label is no promise beside the agent: what it does not name has no rule, and is refused at admission."""
    rules = site(tmp_path).bindings["qx-air"].rules
    assert set(rules) == {"carbon_dioxide", "sound_pressure", "power", "battery", "smoke", "button_action"}
    with pytest.raises(ConfigurationError, match=r"reads no 'carbon_dioxid'.*did you mean 'carbon_dioxide'"):
        site(
            tmp_path,
            DEVICES[DEVICES.index("[[device]]") :].replace("qx-", "qy-").replace('"carbon_dioxide"', '"carbon_dioxid"'),
        )


def run(config: Path, *arguments: str) -> tuple[int, str]:
    done = run_bansui("privacy", "label", "--config", str(config), "--clock", "1760317200000,0,1e-12", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout or done.stderr


def test_the_command_writes_labels_to_be_printed(tmp_path: Path) -> None:
    """A file that is whole by itself, with the address of the room's light, which no page shows."""
    config = configure(tmp_path, PAGES, LISTENER, DEVICES)
    code, _ = run(config, "--room", "a-301", "--output", str(tmp_path / "label.html"))
    assert code == 0
    html = (tmp_path / "label.html").read_text()
    assert html.count("<article") == 2
    assert "src=" not in html
    assert html.count("http://10.20.0.5:9465/light/") == 2
    assert "2025-10-13" in html
    assert "qx-" not in html
    code, text = run(config, "--json", "--lang", "zh")
    told: list[dict[str, Any]] = json.loads(text)
    assert [(each["room"], each["language"]) for each in told] == [("a-301", "zh"), ("plant", "zh")]
    assert told[0]["light"] in html
    assert told[1]["light"] == "", "outdoors and in plant rooms there is no window to open"
    assert run(config, "--room", "a-302")[0] == 2


def test_without_pages_the_label_says_whom_to_ask(tmp_path: Path) -> None:
    config = configure(tmp_path, LISTENER, DEVICES)
    code, html = run(config, "--room", "a-301", "--lang", "en")
    assert code == 0
    assert "<svg" not in html
    assert "ask campus IT" in html
    assert not (tmp_path / "state").exists(), "no light, no secret"
