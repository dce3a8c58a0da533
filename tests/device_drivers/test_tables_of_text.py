"""Tables of text: JSON documents, and short lines that a device answers with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import outcome
from device_drivers.contract import Frame
from telemetry import ConfigurationError
from tests.device_drivers.table_driver import Line, ask, driver, read, refused

# JSON

DOCUMENT = """
[format]
kind = "json"
require = { v = 1 }
ignore = ["seq"]
personal = ["userName"]
time = { path = ["at"], unit = "s" }
[[field]]
key = "co2"
path = ["air", "co2"]
quantity = "carbon_dioxide"
[[field]]
key = "temp"
quantity = "temperature"
unit = "°F"
absent = [-999, "n/a"]
[[field]]
key = "plug"
path = ["plugs", "*", "watt"]
quantity = "power"
[[field]]
key = "first"
path = ["list", 0]
quantity = "humidity"
[[field]]
key = "screen"
path = ["screen", "state"]
quantity = "display_power"
values = { RUN = "on", STOP = "off" }
"""


def document(**fields: Any) -> bytes:
    return json.dumps({"v": 1, **fields}).encode()


def test_fields_are_found_by_their_path_and_told_in_the_vocabularys_unit() -> None:
    made = driver(DOCUMENT)
    payload = document(
        at=1760000400, seq=5, air={"co2": 812, "mood": 3}, temp=212, plugs=[{"watt": 5}, {"x": 1}, {"watt": 7.5}],
        list=[45, 46], screen={"state": "RUN"}, more={"a": 1},
    )  # fmt: skip
    decoded = made.decode(Frame(payload))
    assert {(m.quantity, m.channel): m.value for m in decoded.measurements} == {
        ("carbon_dioxide", ""): 812,
        ("temperature", ""): pytest.approx(100),
        ("power", "1"): 5,
        ("power", "3"): 7.5,
        ("humidity", ""): 45,
        ("display_power", ""): 2,
    }
    assert decoded.dropped == ("air.mood", "plugs.1.x", "list.1", "more")
    assert {m.event_ms for m in decoded.measurements} == {1760000400000}


@pytest.mark.parametrize("temp", [-999, "n/a", None])
def test_a_value_that_says_that_there_is_none_is_not_dropped(temp: object) -> None:
    decoded = driver(DOCUMENT).decode(Frame(document(temp=temp)))
    assert (decoded.rows, decoded.dropped) == ((), ())


def test_a_key_that_is_called_as_a_field_that_stands_elsewhere_is_none() -> None:
    decoded = driver(DOCUMENT).decode(Frame(document(co2=5, plug=6, first=7, air=8, **{"plug.1": 9})))
    assert decoded.rows == ()
    assert decoded.dropped == ("?", "plug", "?", "air", "?")


def test_a_key_may_name_the_channel() -> None:
    made = driver('[format]\nkind = "json"\nchannel = "id"\n[[field]]\nkey = "w"\nquantity = "power"\n')
    for number, channel in ((0, ""), (3, "3"), ("x", ""), (True, ""), (-1, ""), (10**9, ""), (None, "")):
        (measurement,) = made.decode(Frame(json.dumps({"id": number, "w": 5}).encode())).measurements
        assert (measurement.channel, measurement.value) == (channel, 5)
    assert made.decode(Frame(b'{"id": 1, "y": 2}')).dropped == ("y",)


def test_another_version_or_a_person_refuses_the_message() -> None:
    made = driver(DOCUMENT)
    assert refused(made, b'{"v": 2}') == refused(made, b'{"v": true}') == refused(made, b"{}") == "version"
    assert refused(made, document(list=[{"deep": {"username": "x"}}])) == "personal"
    assert refused(made, b"[1]") == refused(made, b'{"\x80": 1}') == refused(made, b'{"v": "\x80"}') == "malformed"


@pytest.mark.parametrize(("beside", "found"), [({"co2": 5}, 1), ({}, 0)])
def test_a_time_within_an_object_hides_no_field_beside_it(beside: dict[str, int], found: int) -> None:
    table = '[format]\nkind = "json"\ntime = { path = ["air", "t"], unit = "ms" }\n'
    field = '[[field]]\nkey = "x"\nquantity = "carbon_dioxide"\npath = ["air", "co2"]\n' if beside else ""
    other = '[[field]]\nkey = "y"\nquantity = "temperature"\n'
    decoded = driver(table + field + other).decode(Frame(json.dumps({"air": {"t": 5000, **beside}}).encode()))
    assert (len(decoded.measurements), decoded.dropped) == (found, ())


def test_a_message_without_its_time_counts_on_arrival_or_is_refused() -> None:
    needed = DOCUMENT.replace('unit = "s"', 'unit = "rfc3339", needed = true')
    assert refused(driver(needed), document(at="2025-03-04T00:00:00")) == "malformed"
    decoded = driver(needed).decode(Frame(document(at="2025-03-04T08:00:00+08:00", temp=32)))
    assert decoded.rows[0].event_ms == 1741046400000
    assert driver(DOCUMENT).decode(Frame(document(at="soon", temp=32))).rows[0].event_ms is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("co2", "watt", "state", "x")), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(("at", "air", "temp", "plugs", "list", "screen", "x")), VALUES))
def test_any_object_is_decoded_or_refused(fields: dict[str, Any]) -> None:
    outcome(driver(DOCUMENT), Frame(document(**fields)))


# text

TEXT = r"""
[format]
kind = "lines"
end = "\r"
ignore_case = true
repeats = true
address = { usual = 1 }
[[format.command]]
name = "power"
send = "ka {address:hex2} ff\r"
reply = "a {address:hex2} OK{state:hex2}x"
[[format.command]]
name = "hours"
send = "*ltim=?#\r"
reply = "*ltim= {hours:int}#"
[[format.command]]
name = "label"
reply = "*label={text:text}#"
[[format.refuse]]
reply = "*Block item#"
reason = "unavailable"
quiet = true
[[format.refuse]]
reply = "*Illegal format#"
reason = "undefined_command"
[[field]]
key = "power"
command = "power"
part = "state"
quantity = "display_power"
values = { "00" = "off", "01" = "on" }
[[field]]
key = "hours"
command = "hours"
quantity = "lamp_hours"
"""


def test_replies_are_read_by_their_templates_and_by_what_was_asked() -> None:
    made = driver(TEXT, "serial-poll")
    assert read(made, b"a 01 OK01x\r", request=b"ka 01 ff\r") == {"display_power": 2}
    assert read(made, b"*LTIM= 1383#") == read(made, b"*ltim=1383#\r") == {"lamp_hours": 1383}
    assert made.decode(Frame(b"*LABEL=room 3, Mr Li#")).dropped == ("label",)
    assert refused(made, b"*ltim=1383#", request=b"ka 01 ff\r") == "unexpected"
    assert refused(made, b"a 01 OK07x") == "value"
    assert refused(made, b"*Block item#") == "unavailable"
    assert refused(made, b"*Illegal format#") == "undefined_command"
    assert refused(made, b"") == refused(made, b"\xff\x00") == "unexpected"


async def test_a_device_is_asked_at_its_address_and_says_nothing_to_what_does_not_fit_it() -> None:
    made = driver(TEXT, "serial-poll", options={"address": 10})
    line = Line(b"ka 0a ff\ra 0a OK01x\r", b"*Block item#\r")
    frames = await ask(made, line)
    assert line.asked == [b"ka 0a ff\r", b"*ltim=?#\r"]
    assert [read(made, frame.payload, request=frame.request) for frame in frames] == [{"display_power": 2}]
    assert refused(made, b"a 01 OK01x\r") == "unexpected"
    with pytest.raises(ConfigurationError, match="address"):
        driver(TEXT, "serial-poll", options={"address": 200})


def test_a_reply_with_a_sum_is_checked_by_it() -> None:
    made = driver(
        """
        [format]
        kind = "lines"
        end = "\\r"
        checksum = { kind = "xor8", from = 1, to = -2, at = -2 }
        [[format.command]]
        name = "power"
        send = "\\u000101D6\\u0003t\\r"
        reply = "\\u000100AB12\\u00020200D6000004{state:hex4}\\u0003"
        [[field]]
        key = "power"
        command = "power"
        quantity = "display_power"
        values = { "0001" = "on" }
        """,
        "tcp-poll",
    )
    frame = bytes.fromhex("01303041423132023032303044363030303030343030303103740d")
    assert read(made, frame) == {"display_power": 2}
    assert refused(made, frame[:-2] + b"u\r") == refused(made, b"\r") == "checksum"
    assert refused(made, frame[:-1] + b"\n") == refused(made, b"") == "malformed"


@given(st.text(alphabet="a 01OKx*ltim=#9.", max_size=300))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    outcome(driver(TEXT, "serial-poll"), Frame(text.encode()))
