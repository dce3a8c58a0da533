"""`bansui doctor`: each thing an agent needs, well and not well, and the command that mends it."""

from __future__ import annotations

import json
import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from bansui.free_port import free_port
from tests.support.commands import call_bansui
from tests.support.processes import Processes, run_bansui
from tests.system.school import School

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METER = """
[[device]]
id = "meter-1"
room = "a-301"
role = "room_meter"
driver = "modbus_rtu"
model = "SDM630"
tcp = {{ host = "127.0.0.1", port = {port} }}
"""
SERIAL = """
[[device]]
id = "pm-1"
room = "a-301"
role = "room_sensor"
driver = "plantower"
model = "PMS5003"
serial = { port = "/dev/no-such-line" }
[subscriber]
host = "127.0.0.1"
port = 1
client_id = "bansui"
topics = ["zigbee2mqtt/#"]
"""


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """A school whose centre runs while the tests of this file look at it."""
    folder = tmp_path_factory.mktemp("school")
    processes = Processes(folder / "processes")
    try:
        made = School(folder, processes)
        made.devices.stop()
        yield made
    finally:
        processes.end()


@pytest.fixture
def school(standing: School) -> Iterator[School]:
    """It, until a test has changed its files."""
    before = {file: file.read_text() for file in (standing.config, standing.folder / "token")}
    yield standing
    for file, text in before.items():
        file.write_text(text)


def examined(school: School) -> tuple[int, dict[str, list[tuple[str, str, str]]]]:
    """The exit code, and what was found, by check."""
    done = call_bansui("doctor", "--config", str(school.config), "--json")
    found: dict[str, list[tuple[str, str, str]]] = {}
    for finding in json.loads(done.stdout):
        found.setdefault(finding["check"], []).append((finding["verdict"], finding["what"], finding["fix"]))
    return done.returncode, found


def test_a_school_that_is_well(school: School) -> None:
    """A centre that knows the token, free ports, room on the disk: nothing is bad, and the exit code is 0."""
    code, found = examined(school)
    assert code == 0, found
    assert "knows the token" in found["centre"][0][1]
    assert [finding[0] for finding in found["ports"]] == ["good", "good"]
    assert found["ports"][0][1] == "health.port 0: a free port is chosen at each start"
    assert found["privacy"][0][:2] == ("good", "the policy is `strict`; `bansui privacy explain` says what leaves")
    assert found["disk"][0][0] == found["sqlite"][0][0] == found["packages"][0][0] == found["clock"][0][0] == "good"


def test_what_is_not_well_is_told_with_what_mends_it(school: School) -> None:
    """A wrong token, a taken port, a serial line and a broker that are not there: each bad, each with a command."""
    school.config.write_text(school.config.read_text() + METER.format(port=1) + SERIAL)
    school.config.write_text(school.config.read_text() + '[privacy]\npolicy = "demo"\n')
    (school.folder / "token").write_text("another")
    listener = int(school.config.read_text().partition("[listener]")[2].partition("port = ")[2].split()[0])
    with socket.create_server(("127.0.0.1", listener)):
        code, found = examined(school)
    assert code == 1
    bad = {check: [finding for finding in findings if finding[0] == "bad"] for check, findings in found.items()}
    assert "does not know the token" in bad["centre"][0][1]
    assert f"listener.port {listener} is taken" in bad["ports"][0][1]
    assert "ss -ltnp" in bad["ports"][0][2]
    assert "/dev/no-such-line is not there" in bad["serial"][0][1]
    assert found["devices"][0][:2] == ("doubtful", "127.0.0.1:1 takes no connection: Connection refused")
    assert "127.0.0.1:1 does not answer" in bad["broker"][0][1]
    assert found["privacy"][0][0] == "doubtful"
    assert "simulated devices" in found["privacy"][0][1]


@pytest.mark.parametrize(
    ("day", "said"), [("2999-01-31", ["meter-1 is fitted on 2999-01-31, which is to come"]), ("2025-01-31", [])]
)
def test_a_day_of_fitting_that_is_to_come_is_doubtful(school: School, day: str, said: list[str]) -> None:
    """And no mistake of the configuration: an agent whose clock is behind has to start."""
    school.config.write_text(school.config.read_text() + METER.format(port=1) + f"fitted = {day}\n")
    code, found = examined(school)
    assert code == 0
    assert [what for verdict, what, _ in found["devices"] if verdict == "doubtful" and "fitted" in what] == said


def test_a_device_that_takes_a_connection_is_well(school: School) -> None:
    """Whoever is there at its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        school.config.write_text(school.config.read_text() + METER.format(port=port))
        code, found = examined(school)
    assert code == 0
    assert found["devices"] == [("good", f"127.0.0.1:{port} takes a connection", "")]


def test_a_centre_that_is_away(school: School) -> None:
    """Out of reach is said as such, with a way to see more."""
    text = school.config.read_text()
    school.config.write_text(text.replace(school.centre_url, f"http://127.0.0.1:{free_port()}"))
    code, found = examined(school)
    assert code == 1
    assert "is out of reach" in found["centre"][0][1]
    assert "curl" in found["centre"][0][2]


def test_a_mistake_in_the_file_comes_first(tmp_path: Path) -> None:
    """Nothing is examined of a configuration that cannot stand; exit code 2."""
    file = tmp_path / "agent.toml"
    file.write_text("[agent]\nid = 5\n")
    done = run_bansui("doctor", "--config", str(file))
    assert done.returncode == 2
    assert "agent.toml:2: agent.id" in done.stderr


def test_a_device_that_nobody_may_publish_for_is_told(school: School) -> None:
    """Its messages would be turned away at the door, and nothing else would say so."""
    text = school.config.read_text()
    assert examined(school)[1]["topics"][0][0] == "good"
    school.config.write_text(re.sub(r"publish = \[[^]]*\]", 'publish = ["elsewhere/#"]', text))
    code, found = examined(school)
    ((verdict, what, fix),) = found["topics"]
    assert (code, verdict) == (1, "bad")
    assert "MQTT devices cannot be heard, the first at " in what
    assert "[[listener.client]]" in fix


def test_a_chinese_reader_is_told_in_chinese(school: School) -> None:
    """What was found and what mends it; the marks are the same."""
    done = run_bansui("doctor", "--config", str(school.config), env={**os.environ, "LC_ALL": "zh_CN.UTF-8"})
    assert "✓ 物联中心: " in done.stdout
    assert " 有应答，且认识令牌" in done.stdout
