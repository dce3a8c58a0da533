"""The configuration: every mistake at once, each with its line, what stands there, and what would do."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import fields
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.limits import Limits
from edge_agent import addresses
from edge_agent.agent import Agent
from edge_agent.bindings import bind, prepare
from edge_agent.config import LimitsTable
from edge_agent.config_file import load
from telemetry import ConfigurationError, SystemClock
from telemetry.table_file import ConfigurationMistakes
from tests.documents import ROOT
from tests.edge_agent.running import LISTENER, SENSOR, configure
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

FIVE: Final = """\
[agent]
id = "Edge 1"
district = "changning"
school = "cn-002"
timezone = "Asia/Shangai"

[uplink]
url = "http://centre.example"
token_file = "token"
intervall_s = 60

[listener]

[timetable]
hours = [["08:00", "11:45"]]

[[room]]
code = "a-301"
building = "a"

[[device]]
id = "co2"
room = "a-310"
role = "room_senser"
driver = "zigbee2mqt"
mqtt = { topic = "zigbee2mqtt/co2" }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration without a mistake."""
    return configure(tmp_path, LISTENER, SENSOR)


def mistakes_of(path: Path) -> list[str]:
    with pytest.raises(ConfigurationMistakes) as caught:
        load(path)
    return [str(mistake) for mistake in caught.value.mistakes]


def changed(path: Path, before: str, after: str) -> Path:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


def test_many_mistakes_at_once(tmp_path: Path) -> None:
    """Each with the line it stands on, its key, what was found and what was meant."""
    path = tmp_path / "agent.toml"
    path.write_text(FIVE)
    found = mistakes_of(path)
    assert [line.split(": ")[:2] for line in found] == [
        ["line 2", "agent.id"],
        ["line 5", "agent.timezone"],
        ["line 8", "uplink.url"],
        ["line 10", "uplink.intervall_s"],
        ["line 23", "device[1].room"],
        ["line 24", "device[1].role"],
        ["line 25", "device[1].driver"],
    ]
    assert found[0] == "line 2: agent.id: a code is 1 to 32 of a-z, 0-9 and '-' (found 'Edge 1')"
    assert "http is for loopback alone: use https (found 'http://centre.example')" in found[2]
    assert "no such key; did you mean 'interval_s'?" in found[3]
    assert "no [[room]] has this code (found 'a-310'); did you mean 'a-301'?" in found[4]
    assert "not one of the choices (found 'room_senser'); did you mean 'room_sensor'?" in found[5]
    assert "no driver has this id (found 'zigbee2mqt'); did you mean 'zigbee2mqtt'?" in found[6]


@pytest.mark.parametrize(
    ("policy", "code", "device", "names"),
    [
        ("standard", "all", "campus", ["room[1].code", "device[1].id"]),
        ("demo", "all", "all", ["device[1].id"]),
        ("strict", "all", "campus", []),
    ],
)
def test_names_under_which_people_counts_are_told_are_not_given_away(
    path: Path, policy: str, code: str, device: str, names: list[str]
) -> None:
    """The campus as a device and as a room; where each room is told, its code as a device."""
    text = path.read_text().replace('"a-301"', f'"{code}"')
    path.write_text(re.sub(r'id = "co2[^"]*"', f'id = "{device}"', text) + f'[privacy]\npolicy = "{policy}"\n')
    if not names:
        load(path)
        return
    found = mistakes_of(path)
    assert [line.split(": ")[1] for line in found] == names
    assert all("told under the name" in line for line in found)


def test_the_command_names_them_all(tmp_path: Path) -> None:
    """`bansui agent validate`: exit code 2, file and line in front of each, no traceback; and the same as JSON."""
    path = tmp_path / "agent.toml"
    path.write_text(FIVE)
    plain = run_bansui("agent", "validate", "--config", str(path))
    assert plain.returncode == 2
    assert "7 mistakes in the configuration" in plain.stderr
    for line in (2, 5, 8, 10, 23, 24, 25):
        assert f"{path}:{line}: " in plain.stderr
    assert "Traceback" not in plain.stderr
    as_json = run_bansui("agent", "validate", "--config", str(path), "--json")
    assert as_json.returncode == 2
    document = json.loads(as_json.stdout)
    assert not document["valid"]
    assert [mistake["line"] for mistake in document["mistakes"]] == [2, 5, 8, 10, 23, 24, 25]


def test_the_sample_is_valid_as_shipped(tmp_path: Path) -> None:
    """With secrets beside it, every device of configs/agent.toml gets its driver."""
    path = tmp_path / "agent.toml"
    shutil.copy(ROOT / "configs/agent.toml", path)
    for name in re.findall(r'(?:token|password)_file = "(.+?)"', path.read_text()):
        (tmp_path / name).write_text("a-secret\n")
    assert len(bind(load(path)).bindings) == path.read_text().count("\n[[device]]")
    done = run_bansui("agent", "validate", "--config", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is valid" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "mistake"),
    [
        ('district = "changning"\n', "", "agent.district: is missing; add `district = …` here"),
        ("port = 0", 'port = "http"', "health.port: a whole number is wanted"),
        ("port = 0", "port = 65536", "health.port: has to be 65535 or less"),
        ("interval_s = 0.2", "interval_s = 0", "uplink.interval_s: has to be more than 0"),
        ("interval_s = 0.2", "interval_s = nan", "uplink.interval_s"),
        ('"08:00", "18:00"', '"18:00", "08:00"', "timetable.hours: hours are pairs [begin, end] in order"),
        ('"08:00", "18:00"', '"8:00", "18:00"', "a time of day is written HH:MM (found '8:00')"),
        ('"08:00", "18:00"', '"08:00", "24:01"', "a time of day is written HH:MM (found '24:01')"),
        ('building = "a"', 'building = "a"\nplacement = "outdoors"', "did you mean 'outdoor'?"),
        (
            'mqtt = { topic = "zigbee2mqtt/co2" }',
            "",
            "device[1]: a device has exactly one of mqtt, serial,",
        ),
        ('"zigbee2mqtt/co2"', '"zigbee2mqtt/+"', "device[1].mqtt.topic"),
        ('driver = "zigbee2mqtt"', 'driver = "zigbee2mqtt"\ncadence_s = 0', "device[1].cadence_s"),
        ("[[room]]", "[rooms]\nx = 1\n[[room]]", "rooms: no such key; did you mean 'room'?"),
    ],
)
def test_a_single_mistake(path: Path, before: str, after: str, mistake: str) -> None:
    """One change, one sentence that says what is wrong with it."""
    found = mistakes_of(changed(path, before, after))
    assert any(mistake in line for line in found), found


def test_names_are_unique(path: Path) -> None:
    """Two devices of one id or on one topic, two rooms of one code: the second is named with its line."""
    path.write_text(path.read_text() + SENSOR + '[[room]]\ncode = "a-301"\nbuilding = "b"\n')
    found = mistakes_of(path)
    assert len(found) == 3
    for key, line in (("room[2].code", 'building = "b"'), ("device[2].id", None), ("device[2].mqtt.topic", None)):
        assert any(key in mistake for mistake in found), (key, line, found)


@pytest.mark.parametrize(
    ("health", "rest", "expected"),
    [
        (1883, "[listener]\n", "listener.port: this is health.port already"),
        (9465, '[pages]\naddress = "http://10.0.0.5:9465"\n[listener]\n', "pages.port: this is health.port already"),
        (0, "[listener]\nport = 8883\n[listener.tls]\n{tls}", "listener.tls.port: this is listener.port already"),
        (0, "[listener]\nport = 8883\n[listener.tls]\nrequired = true\n{tls}", ""),
        (9465, '[listener]\nhost = "10.0.0.5"\nport = 9465\n', ""),
        (0, "[listener]\nport = 0\n", ""),
    ],
)
def test_a_port_is_opened_once(tmp_path: Path, health: int, rest: str, expected: str) -> None:
    """One port for two purposes is a mistake where their addresses overlap; a port of 0 is a free one."""
    text = rest.format(tls='certificate_file = "a"\nkey_file = "b"\n')
    path = changed(configure(tmp_path, text), "port = 0", f"port = {health}") if health else configure(tmp_path, text)
    if expected:
        (found,) = mistakes_of(path)
        assert expected in found
    else:
        load(path)


def test_mqtt_needs_a_way_in(tmp_path: Path) -> None:
    """A device on MQTT without listener or subscriber would never be heard; an empty [listener] is one."""
    assert "needs [listener] or [subscriber]" in mistakes_of(configure(tmp_path, SENSOR))[0]
    load(configure(tmp_path, "[listener]\n", SENSOR))


@given(st.from_regex(addresses._PLAIN, fullmatch=True))
def test_a_plain_address_is_none_that_the_client_refuses(url: str) -> None:
    """The client is not asked about it: its import would be most of what reading a configuration takes."""
    with contextlib.suppress(ValueError):  # which is asked of every address
        if urlsplit(url).port != 0:
            assert httpx.URL(url).host == urlsplit(url).hostname


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost", "https://c.example"])
def test_where_the_centre_may_be(path: Path, url: str) -> None:
    """HTTPS anywhere, HTTP on loopback."""
    text = re.sub(r'url = ".*"', f'url = "{url}"', path.read_text())
    path.write_text(text)
    assert load(path).tables.uplink.url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "centre",
        "https://",
        "https://centre:abc",
        "https://centre:65536",
        "https://centre..example",
        "https://centre_示.example",
        "https://[::1",
        "https://centre.example?at=1",
    ],
)
def test_where_it_may_not(path: Path, url: str) -> None:
    """Nothing leaves the machine in the clear, and what no connection could be made to is told before one is."""
    path.write_text(re.sub(r'url = ".*"', f'url = "{url}"', path.read_text()))
    assert "uplink.url" in mistakes_of(path)[0]


_NO_HOSTS: Final = ["a..b", ".a", "x" * 64, "", "broker:1883", "a b", "a\\u0000"]


@pytest.mark.parametrize("host", _NO_HOSTS)
@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("listener.host", 'host = "127.0.0.1"'),
        ("listener.host[2]", 'host = ["127.0.0.1", "127.0.0.1"]'),
        ("subscriber.host", '[subscriber]\nclient_id = "edge"\ntopics = ["#"]\nhost = "127.0.0.1"'),
        ("pages.host", '[pages]\nhost = "127.0.0.1"'),
        ("device[1].tcp.host", 'driver = "pjlink"\ntcp = { host = "127.0.0.1", port = 4352 }'),
    ],
)
def test_a_host_that_cannot_be(tmp_path: Path, key: str, table: str, host: str) -> None:
    """A name that no look-up takes would end the agent, or open a port to everybody: wherever a host stands."""
    if key.startswith("device"):
        table = SENSOR.partition("driver")[0] + table
    if key.startswith("listener"):
        table = "[listener]\n" + table
    path = configure(tmp_path, table + "\n")
    load(path)
    before, _, after = path.read_text().rpartition('"127.0.0.1"')
    path.write_text(f'{before}"{host}"{after}')
    assert [line.split(": ")[1] for line in mistakes_of(path)] == [key]


@pytest.mark.parametrize(
    ("before", "after", "mistake"),
    [
        ('"edge"', '""', "subscriber.client_id: a client id is not empty"),
        ('"edge"', '"ed\\u0000ge"', "subscriber.client_id: a client id"),
        ('"a/#"', '"a/#/b"', "subscriber.topics[2]: no topic filter of MQTT"),
        ('"a/#"', '"a+"', "subscriber.topics[2]: no topic filter of MQTT"),
        ('["$share/g/+/x", "a/#"]', '["#a"]', "subscriber.topics[1]: no topic filter of MQTT"),
        ('["$share/g/+/x", "a/#"]', "[]", "subscriber.topics: too few: at least 1"),
        ('"a/#"', '""', "subscriber.topics[2]: no topic filter of MQTT"),
        ('"a/#"', f'"{"a" * 65_536}"', "subscriber.topics[2]: no topic filter of MQTT"),
    ],
)
def test_a_subscription_that_cannot_be(tmp_path: Path, before: str, after: str, mistake: str) -> None:
    """Without a client id every connection would be a session of its own; no broker takes a filter that is none."""
    table = '[subscriber]\nhost = "127.0.0.1"\nclient_id = "edge"\ntopics = ["$share/g/+/x", "a/#"]\n'
    path = configure(tmp_path, table)
    load(path)
    [found] = mistakes_of(changed(path, before, after))
    assert mistake in found


def test_a_mistake_of_grammar_has_its_line(path: Path) -> None:
    """What is no TOML is told with the line."""
    changed(path, 'building = "a"', 'building = "a')
    [mistake] = mistakes_of(path)
    line = path.read_text().splitlines().index('building = "a') + 1
    assert mistake.startswith(f"line {line}: TOML: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Not there, a folder, not UTF-8: each in words."""
    for path, what in (
        (tmp_path / "none.toml", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a dir"),
    ):
        with pytest.raises(ConfigurationError, match=what):
            load(path)
    (tmp_path / "latin.toml").write_bytes("école".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("content", "what"), [(None, "cannot be read: No such file"), (b"", "is empty"), ("密".encode(), "is not ASCII")]
)
def test_a_secret_that_is_none(path: Path, content: bytes | None, what: str) -> None:
    """A token that is missing, empty or cannot be sent is told before anything starts, and nothing is left open."""
    token = path.parent / "token"
    token.unlink()
    if content is not None:
        token.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=what) as caught:
            Agent(load(path), SystemClock())
        assert "uplink.token_file" in str(caught.value)
    assert not (path.parent / "state").exists()


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (
            'driver = "plantower"\nmodel = "PMS5003"\ntcp = { host = "127.0.0.1", port = 1 }',
            "driver plantower asks nothing over TCP",
        ),
        ('driver = "zigbee2mqtt"\nserial = { port = "/dev/null" }', "driver zigbee2mqtt reads no serial"),
        ('driver = "pjlink"\ntcp = { host = "h", port = 1, password_file = "none" }', "none cannot be read"),
        ('driver = "pjlink"\ntcp = { host = "h", port = 1 }\noptions = { colour = "red" }', "no option 'colour'"),
    ],
)
def test_a_driver_for_another_line(tmp_path: Path, table: str, what: str) -> None:
    """A device bound to a line its driver cannot speak over, or with what the driver does not have: named."""
    device = f'[[device]]\nid = "x"\nroom = "a-301"\nrole = "display"\n{table}\n'
    with pytest.raises(ConfigurationError, match=what) as caught:
        bind(load(configure(tmp_path, device)))
    assert "agent.toml:21: device[1]: " in str(caught.value)


def test_drivers_and_secrets_are_told_together(tmp_path: Path) -> None:
    """A driver that cannot be made and every secret that is not there: all at once, each with its line."""
    device = '[[device]]\nid = "x"\nroom = "a-301"\nrole = "display"\ndriver = "plantower"\n'
    path = configure(tmp_path, device + 'serial = { port = "/dev/null" }\n')
    (tmp_path / "uplink.token").unlink(missing_ok=True)
    (tmp_path / "token").unlink(missing_ok=True)
    with pytest.raises(ConfigurationMistakes) as caught:
        prepare(load(path))
    assert [mistake.key for mistake in caught.value.mistakes] == ["uplink.token_file", "device[1]"]


def test_the_listener_has_the_limits_of_the_configuration(path: Path) -> None:
    """Every limit has its key, unstated ones their default; one that cannot be is named with its line."""
    assert set(LimitsTable.model_fields) == {each.name for each in fields(Limits)}
    assert LimitsTable().limits() == Limits()
    changed(path, "[[listener.client]]", "[listener.limits]\nmax_packet_bytes = 4096\n[[listener.client]]")
    listener = load(path).tables.listener
    assert listener is not None
    assert listener.limits.limits() == Limits(max_packet_bytes=4096)
    [mistake] = mistakes_of(changed(path, "4096", "1"))
    assert "listener.limits.max_packet_bytes" in mistake
    assert "1024" in mistake
