"""Sparkplug B: what births teach, what data may say without them, and that deaths and gaps are seen."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import check_case, fixture_cases, outcome
from device_drivers.contract import AskingDriver, Decoded, Driver, Frame, FrameRefused, Request, Settings
from device_drivers.registry import named
from device_drivers.requests import is_allowed
from telemetry import ConfigurationError

FOLDER = Path(__file__).parent
NODE = "spBv1.0/school/{}/plc"
DEVICE = "spBv1.0/school/{}/plc/probe"
INT8, INT16, INT32, INT64, DOUBLE, BOOLEAN = 1, 2, 3, 4, 10, 11


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | bytes | float) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def number(value: int) -> bytes:
    """A property's value that is an integer."""
    return field(2, field(1, INT32) + field(3, value))


def metric(
    name: str = "", *, alias: int | None = None, unit: str = "", stated_in: str = "engUnit", **rest: Any
) -> bytes:
    """`rest` are fields by number, as `_13=21.5`."""
    parts = [field(1, name.encode())] if name else []
    parts += [field(2, alias)] if alias is not None else []
    parts += [field(int(key[1:]), value) for key, value in sorted(rest.items(), key=lambda item: int(item[0][1:]))]
    if unit:
        parts.append(field(9, field(1, stated_in.encode()) + field(2, field(1, 12) + field(8, unit.encode()))))
    return field(2, b"".join(parts))


def message(*metrics: bytes, seq: int | None = 0, at: int = 1_760_000_400_000) -> bytes:
    return field(1, at) + b"".join(metrics) + (field(3, seq) if seq is not None else b"")


@pytest.fixture
def driver() -> Driver:
    return named("sparkplug_b").create(Settings())


def told(decoded: Decoded) -> dict[str, float]:
    return {f"{m.quantity}[{m.channel}]" if m.channel else m.quantity: m.value for m in decoded.measurements}


def send(driver: Driver, topic: str, kind: str, payload: bytes) -> Decoded:
    return driver.decode(Frame(payload, topic=topic.format(kind)))


def birth(driver: Driver, *metrics: bytes, topic: str = NODE, seq: int = 0) -> Decoded:
    return send(driver, topic, "NBIRTH" if topic == NODE else "DBIRTH", message(*metrics, seq=seq))


@pytest.mark.parametrize("case", fixture_cases(FOLDER), ids=lambda case: case["id"])
def test_decodes_what_is_published(case: dict[str, Any]) -> None:
    check_case(case)


def test_an_alias_is_read_by_the_birth_that_gave_it(driver: Driver) -> None:
    birth(driver, metric("Temperature", alias=7, _4=DOUBLE, _13=21.5, unit="°F"))
    decoded = send(driver, NODE, "NDATA", message(metric(alias=7, _3=1_760_000_460_000, _13=68.0), seq=1))
    assert told(decoded) == {"temperature": pytest.approx(20)}
    assert decoded.rows[0].event_ms == 1_760_000_460_000


@pytest.mark.parametrize(
    ("stated_in", "unit"), [("engUnit", "degF"), ("Engineering Units", "°F"), ("unit", "F"), ("eng_units", "Deg F")]
)
def test_a_unit_is_understood_where_and_as_nodes_state_it(driver: Driver, stated_in: str, unit: str) -> None:
    decoded = birth(driver, metric("Temperature", _4=DOUBLE, _13=68.0, unit=unit, stated_in=stated_in))
    assert told(decoded)["temperature"] == pytest.approx(20)


@pytest.mark.parametrize("quality", [0, 500, 64, 1_073_742_080, (1 << 32) - 2_147_483_132])
def test_a_value_that_is_bad_or_stale_by_its_own_quality_is_not_read(driver: Driver, quality: int) -> None:
    """Bad, stale, and Ignition's uncertain and stale ones."""
    assert told(
        birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _9=field(1, b"Quality") + number(192), _13=20.0))
    )
    doubtful = metric(alias=1, _9=field(1, b"Low") + field(1, b"Quality") + number(5) + number(quality), _13=85.0)
    decoded = send(driver, NODE, "NDATA", message(doubtful, metric(alias=1, _13=21.0), seq=1))
    assert (told(decoded), decoded.dropped) == ({"temperature": 21}, ("quality",))


def test_an_alias_that_a_node_and_its_device_share_is_two(driver: Driver) -> None:
    birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))
    birth(driver, metric("Humidity", alias=1, _4=DOUBLE, _13=40.0), topic=DEVICE, seq=1)
    assert told(send(driver, DEVICE, "DDATA", message(metric(alias=1, _13=45.0), seq=2))) == {"humidity": 45}
    assert told(send(driver, NODE, "NDATA", message(metric(alias=1, _13=22.0), seq=3))) == {"temperature": 22}


def test_data_before_a_birth_and_after_a_death_are_no_readings(driver: Driver) -> None:
    data = message(metric(alias=1, _13=22.0), seq=1)
    for spoil in (lambda: None, lambda: send(driver, NODE, "NDEATH", message(seq=None))):
        spoil()
        found = outcome(driver, Frame(data, topic=NODE.format("NDATA")))
        assert isinstance(found, FrameRefused)
        assert found.reason == "not_learned"
        birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))


def test_a_new_birth_forgets_what_the_old_one_said(driver: Driver) -> None:
    birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))
    birth(driver, metric("Humidity", alias=2, _4=DOUBLE, _13=40.0))
    decoded = send(driver, NODE, "NDATA", message(metric(alias=1, _13=45.0), seq=1))
    assert (told(decoded), decoded.dropped) == ({}, ("unborn",))


def test_a_gap_is_told_once_and_never_at_a_birth(driver: Driver) -> None:
    known = metric("Temperature", alias=1, _4=DOUBLE, _13=20.0)
    assert birth(driver, known, seq=0).dropped == ()
    dropped = [send(driver, NODE, "NDATA", message(known, seq=seq)).dropped for seq in (1, 5, 6, 255, 0)]
    assert dropped == [(), ("sequence gap",), (), ("sequence gap",), ()]
    assert birth(driver, known, seq=0).dropped == ()


NOW = 1_760_000_400_000
REBIRTH = message(metric("Node Control/Rebirth", _4=BOOLEAN, _14=1), seq=None, at=NOW)


def wanted(driver: Driver) -> list[tuple[str, str]]:
    """Where the requests go, and for what was heard where."""
    assert isinstance(driver, AskingDriver)
    requests = driver.requests(NOW)
    assert all(request.payload == REBIRTH for request in requests)
    assert all(map(is_allowed, requests))
    return [(request.topic, request.heard_at) for request in requests]


def test_data_without_a_birth_want_one_until_it_comes(driver: Driver) -> None:
    assert wanted(driver) == []
    outcome(driver, Frame(message(metric(alias=1, _13=22.0), seq=7), topic=NODE.format("NDATA")))
    assert wanted(driver) == [(NODE.format("NCMD"), NODE.format("NDATA"))]
    outcome(driver, Frame(message(metric(alias=1, _13=22.0), seq=8), topic=DEVICE.format("DDATA")))
    assert wanted(driver) == [(NODE.format("NCMD"), DEVICE.format("DDATA"))]
    birth(driver, topic=DEVICE, seq=1)
    assert [topic for topic, _ in wanted(driver)] == [NODE.format("NCMD")], "the node itself is not born"
    birth(driver)
    assert wanted(driver) == []


@pytest.mark.parametrize("seq", [3, 0])
def test_a_gap_wants_a_birth_of_the_node(driver: Driver, seq: int) -> None:
    """Whose messages are numbered together with those of its devices."""
    birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))
    birth(driver, topic=DEVICE, seq=1)
    assert wanted(driver) == []
    assert send(driver, DEVICE, "DDATA", message(seq=seq)).dropped == ("sequence gap",)
    birth(driver, topic=DEVICE, seq=seq + 1)
    assert wanted(driver) == [(NODE.format("NCMD"), DEVICE.format("DDATA"))]
    birth(driver)
    assert wanted(driver) == []


def test_a_device_that_is_bound_by_itself_has_no_gaps(driver: Driver) -> None:
    """The numbers between are those of its node and of other devices."""
    birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0), topic=DEVICE, seq=1)
    assert send(driver, DEVICE, "DDATA", message(metric(alias=1, _13=22.0), seq=9)).dropped == ()
    assert wanted(driver) == []


def test_an_alias_that_no_birth_gave_wants_a_birth(driver: Driver) -> None:
    birth(driver, metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))
    assert send(driver, NODE, "NDATA", message(metric(alias=2, _13=45.0), seq=1)).dropped == ("unborn",)
    assert wanted(driver) == [(NODE.format("NCMD"), NODE.format("NDATA"))]


def test_a_node_that_died_is_asked_nothing(driver: Driver) -> None:
    for kind in ("NDATA", "NDEATH"):
        outcome(
            driver,
            Frame(message(metric(alias=1, _13=22.0), seq=7 if kind == "NDATA" else None), topic=NODE.format(kind)),
        )
    assert wanted(driver) == []


def test_where_another_host_alone_may_ask_nothing_is_asked() -> None:
    driver = named("sparkplug_b").create(Settings(options={"rebirth": False}))
    outcome(driver, Frame(message(metric(alias=1, _13=22.0), seq=7), topic=NODE.format("NDATA")))
    assert wanted(driver) == []


def test_an_option_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="neither true nor false"):
        named("sparkplug_b").create(Settings(options={"rebirth": "no"}))


def test_nothing_but_a_rebirth_of_who_was_heard_may_be_asked() -> None:
    request = Request(NODE.format("NCMD"), REBIRTH, DEVICE.format("DDATA"))
    assert is_allowed(request)
    others = [
        request._replace(topic="spBv1.0/school/NCMD/other"),
        request._replace(topic="spBv1.0/other/NCMD/plc"),
        request._replace(topic=DEVICE.format("DCMD")),
        request._replace(topic="spBv1.0/school/NCMD/#"),
        request._replace(topic="spBv1.0/school/NCMD/plc\n"),
        request._replace(heard_at="zigbee2mqtt/plc"),
        request._replace(heard_at=NODE.format("NCMD")),
        request._replace(payload=b""),
        request._replace(payload=REBIRTH + metric("Relay", _4=BOOLEAN, _14=1)),
        request._replace(payload=metric("Node Control/Reboot", _4=BOOLEAN, _14=1)),
        request._replace(payload=message(metric("Node Control/Reboot ", _4=BOOLEAN, _14=1), seq=None)),
        request._replace(payload=message(metric("Node Control/Rebirth", _4=BOOLEAN, _14=0), seq=None)),
    ]
    assert [other for other in others if is_allowed(other)] == []


def test_a_death_of_an_earlier_birth_is_late(driver: Driver) -> None:
    birth(driver, metric("bdSeq", _4=INT64, _11=5), metric("Temperature", alias=1, _4=DOUBLE, _13=20.0))
    late = send(driver, NODE, "NDEATH", message(metric("bdSeq", _4=INT64, _11=4), seq=None))
    assert (told(late), late.dropped) == ({}, ("late death",))
    assert told(send(driver, NODE, "NDATA", message(metric(alias=1, _13=22.0), seq=1))) == {"temperature": 22}
    gone = send(driver, NODE, "NDEATH", message(metric("bdSeq", _4=INT64, _11=5), seq=None))
    assert told(gone) == {"connectivity": 0}


@pytest.mark.parametrize(
    ("datatype", "key", "raw", "value"),
    [
        (INT8, "_10", 0xFB, -5),
        (INT8, "_10", 0xFFFFFFFB, -5),
        (INT16, "_10", 0xFFFB, -5),
        (INT32, "_10", 0xFFFFFFFB, -5),
        (INT64, "_11", (1 << 64) - 5, -5),
        (INT32, "_10", 21, 21),
        (7, "_10", 0xFFFFFFFB, 0xFFFFFFFB),
    ],
)
def test_a_number_has_the_sign_of_its_type_in_birth_and_in_data(
    driver: Driver, datatype: int, key: str, raw: int, value: int
) -> None:
    stated: dict[str, Any] = {key: raw}
    assert told(birth(driver, metric("Temp", alias=1, _4=datatype, **stated)))["temperature"] == value
    assert told(send(driver, NODE, "NDATA", message(metric(alias=1, **stated), seq=1))) == {"temperature": value}


def test_of_two_metrics_that_would_be_told_as_one_the_first_is_read(driver: Driver) -> None:
    both = (metric("Hall/Temperature", _4=DOUBLE, _13=20.0), metric("Roof/Temperature", _4=DOUBLE, _13=5.0))
    decoded = birth(driver, *both, metric("Probe-2/Temperature", _4=DOUBLE, _13=7.0))
    assert told(decoded) == {"temperature": 20, "temperature[2]": 7, "connectivity": 1}
    assert decoded.dropped == ("Temperature",)


def test_history_nulls_texts_and_control_are_not_read(driver: Driver) -> None:
    decoded = birth(
        driver,
        metric("Temperature", _4=DOUBLE, _5=1, _13=20.0),
        metric("Humidity", _4=DOUBLE, _7=1),
        metric("Operator", _4=12, _15=b"somebody"),
        metric("Node Control/Rebirth", _4=BOOLEAN, _14=0),
        metric("Door", _4=BOOLEAN, _14=1),
    )
    assert told(decoded) == {"opening": 1, "connectivity": 1}
    assert decoded.dropped == ("historical", "Operator")


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("spBv1.0/school/NCMD/plc", "not_a_device_frame"),
        ("spBv1.0/STATE/host", "topic"),
        ("spBv1.0/school/NBIRTH/plc/probe", "topic"),
        ("spBv1.0/school/DDATA/plc", "topic"),
        ("school/NBIRTH/plc", "topic"),
        ("", "topic"),
    ],
)
def test_other_topics_are_refused(driver: Driver, topic: str, reason: str) -> None:
    found = outcome(driver, Frame(message(), topic=topic))
    assert isinstance(found, FrameRefused)
    assert found.reason == reason


def test_devices_without_end_are_refused(driver: Driver) -> None:
    for number in range(64):
        birth(driver, topic=f"spBv1.0/school/{{}}/plc/probe{number}")
    found = outcome(driver, Frame(message(), topic="spBv1.0/school/DBIRTH/plc/more"))
    assert isinstance(found, FrameRefused)
    assert found.reason == "too_many"


MESSAGE = message(
    metric("bdSeq", _4=INT64, _11=5), metric("Temperature", alias=1, _4=DOUBLE, _13=20.0, unit="°C"), seq=3
)


@given(st.binary(max_size=80), st.sampled_from(("NBIRTH", "NDATA", "NDEATH", "DDATA")))
def test_any_bytes_are_decoded_or_refused(payload: bytes, kind: str) -> None:
    driver = named("sparkplug_b").create(Settings())
    topic = (DEVICE if kind[0] == "D" else NODE).format(kind)
    outcome(driver, Frame(payload, topic=topic))
    outcome(driver, Frame(field(2, payload), topic=topic))


@given(st.data())
def test_any_damage_to_a_message_is_decoded_or_refused(data: st.DataObject) -> None:
    driver, damaged = named("sparkplug_b").create(Settings()), bytearray(MESSAGE)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        damaged = damaged or bytearray(1)
    for kind in ("NBIRTH", "NDATA", "NDEATH"):
        outcome(driver, Frame(bytes(damaged), topic=NODE.format(kind)))
