"""Tables of bytes: numbers at their places, frames, and entries one behind the other."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_drivers.conformance import outcome
from device_drivers.contract import Decoded, Driver, Frame, FrameRefused, StreamDriver
from telemetry import ConfigurationError
from tests.device_drivers.table_driver import Line, ask, driver, read, refused

# numbers among bytes

NUMBER = """
[format]
kind = "frame"
byte_order = "{order}"
[[field]]
key = "x"
at = 1
type = "{kind}"
quantity = "power"
"""


@pytest.mark.parametrize(
    ("kind", "order", "data", "value"),
    [
        ("u8", "big", "ff", 255),
        ("s8", "big", "ff", -1),
        ("u16", "big", "0102", 258),
        ("u16", "little", "0102", 513),
        ("s16", "little", "feff", -2),
        ("u24", "big", "010203", 66051),
        ("s24", "little", "feffff", -2),
        ("u32", "big", "00010002", 65538),
        ("u32", "low_word_first", "00020001", 65538),
        ("s32", "low_word_first", "fffeffff", -2),
        ("u64", "big", "0000000100000002", 4294967298),
        ("u64", "little", "0200000001000000", 4294967298),
        ("float32", "big", "4417e000", 607.5),
        ("float32", "little", "00e01744", 607.5),
        ("float32", "low_word_first", "e0004417", 607.5),
    ],
)
def test_a_number_is_read_by_its_type_and_byte_order(kind: str, order: str, data: str, value: float) -> None:
    made = driver(NUMBER.format(kind=kind, order=order))
    assert read(made, bytes.fromhex("99" + data)) == {"power": value}
    assert refused(made, bytes.fromhex("99" + data)[:-1]) == "length"


def test_a_float_that_is_no_number_is_dropped_by_its_key() -> None:
    made = driver(NUMBER.format(kind="float32", order="big"))
    decoded = made.decode(Frame(b"\0" + struct.pack(">f", float("nan"))))
    assert (decoded.rows, decoded.dropped) == ((), ("x",))


@given(st.binary(min_size=5, max_size=5), st.sampled_from(["u8", "s16", "u24", "s32", "float32"]))
def test_any_bytes_give_a_finite_value_or_none(data: bytes, kind: str) -> None:
    outcome(driver(NUMBER.format(kind=kind, order="little")), Frame(data))


def test_bits_scale_offset_unit_words_conditions_and_what_is_absent() -> None:
    made = driver(
        """
        [format]
        kind = "frame"
        length = 6
        [[field]]
        key = "voltage"
        at = 0
        type = "u16"
        bits = [0, 13]
        quantity = "battery_voltage"
        unit = "mV"
        [[field]]
        key = "door"
        at = 0
        type = "u16"
        bits = [15, 15]
        quantity = "opening"
        [[field]]
        key = "temperature"
        at = 2
        type = "s16"
        quantity = "temperature"
        scale = 0.1
        offset = 4.0
        unit = "°F"
        absent = [0x7FFF]
        [[field]]
        key = "power"
        at = 4
        quantity = "display_power"
        values = { "1" = "on", "4" = "off" }
        [[field]]
        key = "extra"
        at = 5
        quantity = "carbon_dioxide"
        when = [{ at = 4, is = [4] }, { at = 5, bits = [0, 3], is = [7] }]
        [[field]]
        key = "other"
        at = 5
        quantity = "humidity"
        when = { at = 5, is_not = [7, 8] }
        """
    )
    assert read(made, bytes.fromhex("8bb80118 01 07")) == pytest.approx(
        {"battery_voltage": 3.0, "opening": 1, "temperature": 0, "display_power": 2}
    )
    assert read(made, bytes.fromhex("0bb87fff 04 07")) == {
        "battery_voltage": 3.0, "opening": 0, "display_power": 0, "carbon_dioxide": 7,
    }  # fmt: skip
    assert "carbon_dioxide" not in read(made, bytes.fromhex("0bb87fff 04 08"))
    assert made.decode(Frame(bytes.fromhex("0bb87fff 09 07"))).dropped == ("power",)
    assert read(made, bytes.fromhex("0bb87fff 04 09"))["humidity"] == 9


# frames

FRAME = """
[format]
kind = "frame"
start = "AA C0"
end = "AB"
length = {length}
checksum = {{ kind = "{kind}", from = 2, to = {to}, at = {to}{order} }}
refuse = [
    {{ reason = "warming_up", all_bytes = [2, 6, 0] }},
    {{ reason = "device_error", when = {{ at = 2, type = "u16", is = [0xFFFF] }} }},
]
[[field]]
key = "pm25"
at = 2
type = "u16"
quantity = "pm25"
"""


@pytest.mark.parametrize(
    ("kind", "total", "order"),
    [
        ("sum8", "dd", ""),
        ("negated_sum8", "23", ""),
        ("inverted_sum8", "22", ""),
        ("xor8", "31", ""),
        ("sum16", "01dd", ""),
        ("sum16", "dd01", ', byte_order = "little"'),
        ("crc8", "f4", ""),
        ("crc16_modbus", "374b", ', byte_order = "little"'),
        ("crc16_ccitt", "29b1", ""),
        ("crc16_kermit", "8921", ', byte_order = "little"'),
    ],
)
def test_a_frame_is_checked_by_each_kind_of_sum(kind: str, total: str, order: str) -> None:
    size = len(total) // 2
    made = driver(FRAME.format(length=12 + size, kind=kind, to=-1 - size, order=order))
    frame = b"\xaa\xc0" + b"123456789" + bytes.fromhex(total) + b"\xab"
    assert read(made, frame) == {"pm25": 0x3132}
    for bit in range(16, 8 * (len(frame) - 1)):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        assert isinstance(outcome(made, Frame(bytes(flipped))), FrameRefused)


SDS = FRAME.format(length=8, kind="sum8", to=-2, order="")
GOOD, NEXT = bytes.fromhex("aac0d4043a0a1cab"), bytes.fromhex("aac00100000001ab")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("aac1d4043a0a1cab", "header"),
        ("aa", "length"),
        ("aac0d4043a0a1c", "length"),
        ("aac0d4043a0a1cabab", "length"),
        ("aac0d4043a0a1caa", "malformed"),
        ("aac0d4043a0a1dab", "checksum"),
        ("aac00000000000ab", "warming_up"),
        ("aac0ffff0000feab", "device_error"),
    ],
)
def test_a_frame_is_refused_with_the_reason(frame: str, reason: str) -> None:
    assert refused(driver(SDS), bytes.fromhex(frame)) == reason


def test_a_frame_may_be_refused_for_what_a_number_is_not() -> None:
    made = driver(SDS.replace("is = [0xFFFF]", "is_not = [0xD404]"))
    assert refused(made, NEXT) == "device_error"
    assert read(made, GOOD) == {"pm25": 0xD404}


def good_frames(made: Driver, stream: bytes, chunk: int) -> list[bytes]:
    assert isinstance(made, StreamDriver)
    buffer, good = bytearray(), list[bytes]()
    for start in range(0, len(stream), chunk):
        buffer += stream[start : start + chunk]
        frames = made.split(buffer)
        good += [frame.payload for frame in frames if isinstance(outcome(made, frame), Decoded)]
        assert len(buffer) < 300
    return good


@given(st.lists(st.binary(max_size=20) | st.sampled_from((GOOD, NEXT, b"\xaa\xc0", b"\xaa"))), st.integers(1, 30))
def test_any_stream_is_found_again_within_two_frames(pieces: list[bytes], chunk: int) -> None:
    assert good_frames(driver(SDS, "serial-stream"), b"".join(pieces) + GOOD * 2 + NEXT, chunk)[-1] == NEXT


LENGTH = """
[format]
kind = "frame"
start = "40"
length = { at = 1, plus = 3 }
checksum = { kind = "negated_sum8", from = 0, to = -1, at = -1 }
POLL
[[field]]
key = "pm25"
at = 3
type = "u16"
quantity = "pm25"
"""


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_a_frame_that_says_how_long_it_is_is_cut_there(chunk: int) -> None:
    made = driver(LENGTH.replace("POLL", ""), "serial-stream")
    short, long = bytes.fromhex("400504003000315600"[:16]), bytes.fromhex("400d0400040007000900170000000084")
    assert good_frames(made, short + long + short, chunk) == [short, long, short]
    assert refused(made, long[:-1]) == refused(made, b"\x40") == "length"


async def test_a_device_is_asked_each_question_and_heard_to_the_end_of_its_frame() -> None:
    made = driver(LENGTH.replace("POLL", 'poll = [{ send = "68 01 04 93" }]'), "serial-poll")
    line = Line(bytes.fromhex("4005040030003156"))
    (frame,) = await ask(made, line)
    assert line.asked == [bytes.fromhex("68010493")]
    assert read(made, frame.payload) == {"pm25": 48}


ADDRESSED = """
[format]
kind = "frame"
start = "AA FF"
length = { at = 3, plus = 5 }
checksum = { kind = "sum8", from = 1, to = -1, at = -1 }
poll = [{ send = "AA 11 00 00 11" }]
[format.address]
usual = 0
highest = 9
ask_at = 2
answer_at = 2
checksum = { kind = "sum8", from = 1, to = -1, at = -1 }
[[field]]
key = "power"
at = 6
quantity = "display_power"
when = { at = 5, is = [0x11] }
[[field]]
key = "heat"
at = 7
quantity = "device_temperature"
"""


async def test_a_question_bears_the_devices_address_and_its_sum() -> None:
    line, stated = Line(bytes.fromhex("aaff05034111015a")), driver(ADDRESSED, "tcp-poll", options={"address": 5})
    (frame,) = await ask(stated, line)
    assert line.asked == [bytes.fromhex("aa11050016")]
    assert read(stated, frame.payload) == read(driver(ADDRESSED, "tcp-poll"), frame.payload) == {"display_power": 1}
    assert refused(stated, bytes.fromhex("aaff000341110155")) == "unexpected"
    with pytest.raises(ConfigurationError, match="address"):
        driver(ADDRESSED, "tcp-poll", options={"address": 10})


async def test_what_healthy_devices_say_to_what_does_not_fit_them_is_left_out_of_a_round() -> None:
    quiet = ADDRESSED.replace(
        "poll =", 'refuse = [{ reason = "unavailable", quiet = true, when = { at = 4, is = [78] } }]\npoll ='
    )
    made, no = driver(quiet, "tcp-poll"), bytes.fromhex("aaff00034e110162")
    assert await ask(made, Line(no)) == []
    assert refused(made, no) == "unavailable"


def test_a_frame_that_says_how_long_it_is_has_the_fields_that_fit_into_it() -> None:
    made = driver(ADDRESSED, "tcp-poll")
    assert read(made, bytes.fromhex("aaff000441110128 7e")) == {"display_power": 1, "device_temperature": 40}
    assert read(made, bytes.fromhex("aaff0002417fc1")) == {}


ESCAPED = """
[format]
kind = "frame"
start = "7E 00 03"
end = "7E"
length = 8
escape = { mark = 0x7D, xor = 0x20 }
checksum = { kind = "inverted_sum8", from = 1, to = -2, at = -2 }
poll = [{ send = "7E 00 00 7E", read = false }, { send = "7E 00 03 7E" }]
[[field]]
key = "pm"
at = 4
type = "u16"
quantity = "pm25"
"""


async def test_escaped_bytes_are_undone_and_an_answer_that_is_not_read_is_left_out() -> None:
    made = driver(ESCAPED, "serial-poll")
    line = Line(bytes.fromhex("7e0000ff7e"), bytes.fromhex("7e0003007d5e7d5d017e"))
    (frame,) = await ask(made, line)
    assert line.asked == [bytes.fromhex("7e00007e"), bytes.fromhex("7e00037e")]
    assert read(made, frame.payload) == {"pm25": 0x7E7D}
    assert refused(made, bytes.fromhex("7e0003007d5e7d5d7d7e")) == "malformed"
    assert refused(made, bytes.fromhex("7e0003007d5e7d5d027e")) == "checksum"
    assert refused(made, b"") == refused(made, b"\x7e") == refused(made, b"\x7e\x7e") == "length"


def test_models_differ_in_their_beginning_their_length_and_their_fields() -> None:
    body = """
    [format]
    kind = "frame"
    start = "01"
    length = 2
    [[format.variant]]
    models = ["B"]
    start = "02"
    length = 3
    [[field]]
    key = "x"
    at = 1
    quantity = "pm25"
    models = ["A"]
    [[field]]
    key = "x"
    at = 1
    type = "u16"
    quantity = "pm10"
    models = ["B"]
    """
    assert read(driver(body), b"\x01\x05") == {"pm25": 5}
    assert read(driver(body, model="B"), b"\x02\x01\x05") == {"pm10": 261}
    assert refused(driver(body, model="B"), b"\x01\x05\x00") == "header"


# entries

ENTRIES = """
[format]
kind = "entries"
header = 2
HEADER
lengths = { LENGTHS }
PERSONAL
[[field]]
key = "temperature"
entry = "ID"
type = "s16"
quantity = "temperature"
scale = 0.1
"""


def entries(header: str = "", lengths: str = '"FF 01" = 1', personal: str = "", entry: str = "03 67") -> Driver:
    body = ENTRIES.replace("HEADER", header).replace("LENGTHS", lengths).replace("PERSONAL", personal)
    return driver(body.replace("ID", entry))


def test_entries_are_read_up_to_the_first_whose_length_is_unknown() -> None:
    made = entries()
    decoded = made.decode(Frame(bytes.fromhex("ff0107 036700d5 9999 036700d6")))
    assert [m.value for m in decoded.measurements] == pytest.approx([21.3])
    assert decoded.dropped == ("ff01", "9999")
    for cut in ("03", "0367", "036700", "036700d5ff"):
        assert refused(made, bytes.fromhex(cut)) == "length"


def test_a_byte_of_the_header_may_be_the_channel() -> None:
    made = entries("channel_at = 0", '"71" = 6', entry="67")
    assert read(made, bytes.fromhex("03670110 0171000000000000 056700ff")) == pytest.approx(
        {"temperature[3]": 27.2, "temperature[5]": 25.5}
    )


def test_an_entry_that_tells_its_length_is_passed_over_when_it_is_unknown() -> None:
    made = entries("length_at = 1", "", entry="67")
    decoded = made.decode(Frame(bytes.fromhex("99030a0b0c 670200d5")))
    assert [m.value for m in decoded.measurements] == pytest.approx([21.3])
    assert decoded.dropped == ("99",)


def test_where_all_values_are_as_long_an_unknown_entry_is_passed_over() -> None:
    made = entries("value_length = 4", "", entry="03 67")
    decoded = made.decode(Frame(bytes.fromhex("9999 00000000 0367 00d50000")))
    assert [m.value for m in decoded.measurements] == pytest.approx([21.3])
    assert decoded.dropped == ("9999",)


def test_entries_stand_between_what_is_skipped_and_a_sum() -> None:
    made = entries('skip = 3\nchecksum = { kind = "sum8", from = 0, to = -1, at = -1 }')
    assert read(made, bytes.fromhex("010203 036700d5 45")) == pytest.approx({"temperature": 21.3})
    assert read(made, bytes.fromhex("010203 06")) == {}
    assert refused(made, bytes.fromhex("010203 036700d5 46")) == "checksum"
    assert refused(made, bytes.fromhex("010203")) == "length"


def test_a_sum_of_entries_stands_at_their_end() -> None:
    with pytest.raises(ConfigurationError, match="at the end of the payload"):
        entries('checksum = { kind = "sum8", from = 1, to = -1, at = 0 }')


def test_of_entries_that_say_the_same_the_last_is_read() -> None:
    decoded = entries().decode(Frame(bytes.fromhex("036700d5 036700d6")))
    assert [m.value for m in decoded.measurements] == pytest.approx([21.4])


def test_an_entry_that_tells_of_a_person_refuses_the_payload() -> None:
    assert refused(entries(personal='personal = ["FF 30"]'), bytes.fromhex("036700d5 ff3001")) == "personal"


@given(st.binary(max_size=60))
def test_any_payload_of_entries_is_decoded_or_refused(payload: bytes) -> None:
    outcome(entries(), Frame(payload))
    outcome(entries("length_at = 1", "", entry="67"), Frame(payload))
