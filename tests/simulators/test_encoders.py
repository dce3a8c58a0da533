"""Frames that encoders write, beside frames that makers' documents print or that real devices have sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.campus import Campus
from simulators.described import _base_128
from simulators.displays import PROTOCOLS, Display
from simulators.gauge import Gauge
from simulators.kinds import Kind
from simulators.lorawan_payloads import REPORTS, crc_8, crc_ccitt
from simulators.scenarios import DeviceModel, load
from simulators.seeding import stream
from simulators.senses import Senses
from simulators.serial_sensors import Sps30, _shdlc

if TYPE_CHECKING:
    from simulators.asked_line import Asked

OTHER = load("other-formats")


def senses(time_of_day: str, name: str = "x") -> Senses:
    campus = Campus(OTHER, seed=3)
    campus.advance(OTHER.moment(time_of_day))
    return Senses(campus.rooms["c-103"], stream(3, name))


def display(kind: str, time_of_day: str = "08:20") -> Display:
    model = DeviceModel(id="d", room="c-103", kind=Kind(kind))
    return Display(model, senses(time_of_day), stream(3, kind), PROTOCOLS[kind])


def said(device: Asked, question: bytes) -> bytes:
    answer = device.answer(question)
    assert answer is not None
    return answer.content


def test_check_sums_are_those_of_recorded_frames() -> None:
    seeed = bytes.fromhex("01011098530000010210a87a0000af51")
    assert crc_ccitt(seeed[:-2]).to_bytes(2, "little") == seeed[-2:]
    emu = bytes.fromhex("b4d77b6101b4d77b61031207000039")
    assert crc_8(emu[:-1]) == emu[-1]


def test_sensirions_acknowledgement_and_stuffing_are_the_datasheets() -> None:
    assert _shdlc(0x00, b"") == bytes.fromhex("7e00000000ff7e")
    assert _shdlc(0x03, b"\x7e\x7d\x11\x13")[5:13] == bytes.fromhex("7d5e7d5d7d317d33")


def test_an_sps30_says_nothing_new_until_it_is_started() -> None:
    sensor = Sps30(DeviceModel(id="s", room="c-103", kind=Kind.SENSIRION_SPS30), senses("08:20"), stream(3, "s"))
    read = bytes.fromhex("7e000300fc7e")
    assert said(sensor, read) == bytes.fromhex("7e00030000fc7e")
    said(sensor, bytes.fromhex("7e0000020103f97e"))
    assert len(said(sensor, read)) >= 47


def test_varints_are_those_of_the_encoding_guide() -> None:
    assert _base_128(150) == b"\x96\x01"
    assert _base_128(1) == b"\x01"


@pytest.mark.parametrize(
    ("kind", "question", "on", "off"),
    [
        ("benq", b"\r*pow=?#\r", b"*POW=ON#", b"*POW=OFF#"),
        ("epson_escvp21", b"PWR?\r", b"PWR=01\r:", b"PWR=00\r:"),
        ("lg_display", b"ka 01 ff\r", b"a 01 OK01x", b"a 01 OK00x"),
        ("optoma", b"~00124 1\r", b"OK1\r", b"OK0\r"),
        ("smart_board", b"get powerstate\r", b"powerstate=on\r\n>", b"powerstate=standby\r\n>"),
        ("viewsonic_board", b"801gl000\r", b"801rl001\r", b"801rl000\r"),
        ("benq_board", b"801gl000\r", b"801rl001\r", b"801rl000\r"),
        ("maxhub_board", b":01G0000\r", b":01r0001\r", b":01r0000\r"),
        ("newline_board", "7f0899a2b3c402ff0137cf", "7f0999a2b3c402ff013701cf", "7f0999a2b3c402ff013700cf"),
        ("cvte_board", "aabbcc01020003ddeeff", "aabbcc80000080ddeeff", "aabbcc80010081ddeeff"),
        (
            "nec_display",
            b"\x010A0A06\x0201D6\x03t\r",
            "01303041423132023032303044363030303030343030303103740d",
            "01303041423132023032303044363030303030343030303203770d",
        ),
        ("samsung_mdc", "aa11000011", "aaff000341110155", "aaff000341110054"),
        ("philips_sicp", "050100191d", "06010019021c", "06010019011f"),
    ],
)
def test_a_display_answers_in_its_makers_words(
    kind: str, question: bytes | str, on: bytes | str, off: bytes | str
) -> None:
    asked, *expected = (bytes.fromhex(each) if isinstance(each, str) else each for each in (question, on, off))
    assert [said(display(kind, at), asked) for at in ("08:20", "12:10")] == expected


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_display_is_silent_to_what_is_no_question_of_its_protocol(kind: str) -> None:
    for garbage in (b"", b"\x00", b"\xff" * 40, b"hello\r"):
        answer = display(kind).answer(garbage)
        assert answer is None or not answer.readings


def test_a_set_on_a_shared_line_hears_its_own_number_alone() -> None:
    for kind, question in (
        ("lg_display", b"ka 02 ff\r"),
        ("viewsonic_board", b"802gl000\r"),
        ("optoma", b"~02124 1\r"),
        ("philips_sicp", bytes.fromhex("050200191e")),
    ):
        assert display(kind).answer(question) is None


def test_reports_fit_a_lorawan_frame_of_the_slowest_data_rate() -> None:
    for name, report in REPORTS.items():
        assert len(report.compose(Gauge(senses("08:20"), stream(3, name)))) <= 51, name
