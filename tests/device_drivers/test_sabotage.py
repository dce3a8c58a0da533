"""Each check of the suite is failed by a driver that is spoiled in just that way, and passed by the one that is not."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import pytest

from device_drivers.conformance import cost_checks, suite
from device_drivers.conformance.findings import Grade, Result
from device_drivers.manifest import ManifestUnusable
from device_drivers.registry import at
from telemetry import ConfigurationError
from tests.device_drivers.sample_drivers import SampleDriver, meter_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[[str], SampleDriver]

pytestmark = pytest.mark.usefixtures("short_memory_check")


def caught(error: str, then: str, within: str = "") -> str:
    """Code that waits for the meter's answer and takes an error for something else."""
    return f"""
        try:
            {within}answer = await connection.read_until(b"\\r")
        except {error}:
            {then}
        yield Frame(answer"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[SampleDriver] = []

    def make_one(transport: str) -> SampleDriver:
        made.append(SampleDriver(tmp_path, transport))
        return made[-1]

    yield make_one
    for driver in made:
        driver.forget()


@pytest.mark.parametrize("transport", ["mqtt", "serial-poll", "serial-stream"])
def test_a_whole_driver_passes_every_check(make: Make, transport: str) -> None:
    report = make(transport).report()
    assert [finding for finding in report.findings if not finding.result.is_met] == []
    assert report.grade is Grade.PLATINUM
    passed = {finding.check for finding in report.findings if finding.result is Result.PASSED}
    asked = {"cancel", "silent", "duplicate_address"} if transport == "serial-poll" else set()
    on_a_line = {"wire", "slow", "unplug"} if transport != "mqtt" else {"requests"}
    assert passed == {rule.id for rule in suite.rules() if rule.needs == "decode"} | asked | on_a_line


ANSWER = 'yield Frame(await connection.read_until(b"\\r")'
"""Where the meter's driver waits for an answer."""
SPOILED = {
    "golden: another value": ("mqtt", "float(value)", "value + 1.0"),
    "garbage: an index that is not there": (
        "serial-stream",
        "if len(payload) != 4",
        "if payload[0] and len(payload) != 4",
    ),
    "personal: a name as a channel": ("mqtt", "float(value))]", 'float(value), str(document.get("name") or ""))]'),
    "personal: a name in a refusal": ("mqtt", '"no co2"', 'f"no co2 in {document}"'),
    "blocking: in decode": ("mqtt", "value = document", "import time; time.sleep(0.06); value = document"),
    "blocking: in poll": ("serial-poll", "await connection.write", "time.sleep(0.06); await connection.write"),
    "wire: every second round fails": (
        "serial-poll",
        "await connection.write",
        "self.kept.append(1); 1 / (len(self.kept) % 2); await connection.write",
    ),
    "wire: every second frame is lost": ("serial-stream", "found.append", "found[:] or found.append"),
    "cancel: swallowed": ("serial-poll", ANSWER, caught("asyncio.CancelledError", "return")),
    "cancel: a task is left behind": (
        "serial-poll",
        "question = b",
        "self.kept.append(asyncio.create_task(asyncio.sleep(60)))\n        question = b",
    ),
    "pure: the last value for one that is missing": (
        "mqtt",
        'value = document.get("co2")',
        'value = document.get("co2", Driver.last); Driver.last = value',
    ),
    "truncation: a cut frame takes all others with it": ("serial-stream", "4 if whole else 1", "4 if whole else 99"),
    "truncation: a cut answer is none": ("serial-poll", ANSWER, caught("DeviceFault", "answer = b''")),
    "bit_flips: half a check sum": ("serial-poll", ") != payload[6:8]", ")[:1] != payload[6:7]"),
    "requests: a command": (
        "mqtt",
        "    def decode",
        """    def requests(self, now_ms):
        return [Request("acme/co2-a-301/set", b"on", "acme/co2-a-301")]

    def decode""",
    ),
    "requests: another one each time": (
        "mqtt",
        "    def decode",
        """    looks = 0

    def requests(self, now_ms):
        Driver.looks += 1
        metric = b"\\x12\\x1a\\x0a\\x14Node Control/Rebirth\\x20\\x0b\\x70\\x01"
        payload = b"\\x08" + bytes((Driver.looks % 128,)) + metric
        return [Request("spBv1.0/a/NCMD/b", payload, "spBv1.0/a/NDATA/b")]

    def decode""",
    ),
    "requests: nothing is ever wanted": (
        "mqtt",
        "    def decode",
        """    def requests(self, now_ms):
        return []

    def decode""",
    ),
    "memory: payloads are kept": (
        "serial-poll",
        "payload = frame.payload",
        "payload = frame.payload; self.kept.append(payload + b'.')",
    ),
    "memory: numbers are kept": (
        "mqtt",
        "value = document",
        "Driver.heard = (*getattr(Driver, 'heard', ()), 1.5); value = document",
    ),
    "memory: the same word is kept": (
        "serial-poll",
        "payload = frame.payload",
        "self.kept.append('x'); payload = frame.payload",
    ),
    "memory: something is kept now and then": (
        "serial-stream",
        "payload = frame.payload",
        """payload = frame.payload
        Driver.times = getattr(Driver, "times", 0) + 1
        if Driver.times % 9 == 0:
            Driver.kept = [*getattr(Driver, "kept", ()), bytes(150)]""",
    ),
    "slow: an impatient driver": (
        "serial-poll",
        ANSWER,
        caught("TimeoutError", 'raise DeviceFault("slow") from None', "async with asyncio.timeout(0.005): "),
    ),
    "slow: whatever is no whole frame is thrown away": (
        "serial-stream",
        "if len(buffer) < 4:",
        "if len(buffer) < 4:\n                buffer.clear()",
    ),
    "silent: it asks again": (
        "serial-poll",
        ANSWER,
        caught("DeviceFault", 'await connection.write(question); answer = await connection.read_until(b"\\r")'),
    ),
    "unplug: nothing is wrong": ("serial-poll", ANSWER, caught("DeviceFault", "return")),
    "unplug: the rest of half a frame is waited for on the next line": (
        "serial-stream",
        "found = []",
        "del buffer[: getattr(Driver, 'missing', 0)]; Driver.missing = max(0, 4 - len(buffer)); found = []",
    ),
    "duplicate_address: any address will do": ("serial-poll", "address != self.address", "False"),
}
"""What is spoiled, as `check: how`: the driver, a place in its code, and what stands there instead."""


@pytest.mark.parametrize("name", SPOILED)
def test_a_driver_that_is_spoiled_fails_the_check_that_is_for_it(make: Make, name: str) -> None:
    transport, old, new = SPOILED[name]
    finding = make(transport).replace(old, new).finding(name.partition(":")[0])
    assert finding.result is Result.FAILED, finding
    assert "NameError" not in finding.figure, "spoiled otherwise than it should be"


LEARNS: Final = {
    "a large table, once": """
        Driver.times = getattr(Driver, "times", 0) + tracemalloc.is_tracing()
        if Driver.times == 300:
            Driver.table = bytes(1_000_000)
        value = document""",
    "each of its last thousand values": """
        Driver.last_ones = [*getattr(Driver, "last_ones", ()), document.get("co2")][-1000:]
        value = document""",
    "a channel for each port, which the contract remembers": """
        port = str(document.get("co2"))
        value = document""",
}
"""What a driver may come to know, since it ends."""


@pytest.mark.parametrize("what", LEARNS)
def test_what_is_learned_within_bounds_is_no_leak(make: Make, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_checks, "TIME_S", 1.0)  # it has learned a thousand before anything is counted
    driver = make("mqtt").replace("value = document", LEARNS[what].strip())
    driver.replace("import json\n", "import json, tracemalloc\n")
    if "port" in LEARNS[what]:
        driver.replace("float(value))]", "float(value), port)]")
        driver.cases = [case | {"id": f"{case['id']}-{number}"} for case in driver.cases[:1] for number in range(20)]
    finding = driver.finding("memory")
    assert finding.result is Result.PASSED, finding
    assert float(finding.figure.partition(" ")[0]) < 1


def test_the_names_of_attributes_that_c_code_asks_for_are_not_counted() -> None:
    """The interpreter keeps the last few thousand, each time anew: here of `utcoffset`."""
    tracemalloc.start()
    try:
        before, others = cost_checks._kept(), []
        for number in range(2_000):
            datetime.now(timezone(timedelta(hours=8))).timestamp()
            others.append(f"{number:09}")  # so that the next name stands elsewhere
        others.clear()
        assert cost_checks._kept() - before < 1_000
    finally:
        tracemalloc.stop()


def test_a_call_that_does_not_come_back_is_broken_off(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "LONGEST_CHECK_S", 0.5)
    driver = make("mqtt").replace(
        "value = document", "\n        while len(frame.payload) == 12: pass\n        value = document"
    )
    finding = driver.finding("golden")
    assert finding.result is Result.FAILED
    assert "does not come back" in finding.figure


def test_answers_that_collide_are_no_reading_where_a_sum_could_tell(make: Make) -> None:
    spoiled = make("serial-poll").replace("!= payload[6:8]", '!= payload[6:8] and payload[2:3] != b"0"')
    finding = spoiled.finding("duplicate_address")
    assert finding.result is Result.FAILED
    assert "collide" in finding.figure


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('driver = "{id}"', 'driver = "another"'),
        ("{place}", ""),
        ("{place}", "{place}\ncolour = 3"),
        ("{place}", "{place}\noptions = {{ nothing = 1 }}"),
        ('id = "co2-a-301"', 'id = "Zhang San"'),
        ('role = "room_sensor"', 'role = "toy"'),
        ("[[device]]", "[device]"),
    ],
)
def test_a_sample_that_binds_no_device_fails(make: Make, old: str, new: str) -> None:
    driver = make("serial-poll")
    driver.manifest = driver.manifest.replace(old, new, 1)
    assert driver.finding("sample").result is Result.FAILED


def test_a_readme_without_the_table_or_none_fails(make: Make) -> None:
    driver = make("mqtt")
    driver.readme = "# nothing"
    assert driver.finding("readme").result is Result.FAILED
    assert make("mqtt").finding("readme").result is Result.PASSED


def test_a_value_that_no_room_has_fails_unless_the_device_told_it_so(make: Make) -> None:
    driver = make("mqtt")
    driver.cases[0] |= {"payload": {"co2": 41_200}, "expect": {"readings": {"carbon_dioxide": 41_200}}}
    assert driver.finding("range").result is Result.FAILED
    driver = make("mqtt")
    expect = {"readings": {"carbon_dioxide": 41_200}, "implausible": ["carbon_dioxide"]}
    driver.cases[0] |= {"payload": {"co2": 41_200}, "expect": expect}
    assert driver.finding("range").result is Result.PASSED


def test_a_quantity_that_is_personal_or_undeclared_never_comes_out(make: Make) -> None:
    driver = make("mqtt").replace('"carbon_dioxide"', '"temperature"')
    assert driver.finding("golden").result is Result.FAILED


@pytest.mark.parametrize("name", ["coverage", "refusals", "bilingual", "captured", "every_field"])
def test_what_is_still_to_be_earned_is_open_and_keeps_from_the_grade(make: Make, name: str) -> None:
    driver = make("mqtt")
    driver.manifest += '[[field]]\nkey = "rh"\nquantity = "humidity"\n'
    driver.readme = "# nothing"
    for case in driver.cases:
        case["source"] = "written for this test"
    finding = driver.finding(name)
    assert finding.result is Result.OPEN
    assert suite.Report("x", (finding,)).grade < finding.grade
    assert not suite.Report("x", (finding,)).failed


def test_a_driver_is_exempt_only_with_a_reason_and_only_where_it_can_be(make: Make) -> None:
    driver = make("serial-poll").replace("address != self.address", "False")
    driver.exempt = '[exempt]\nduplicate_address = "its answers name no address"\n'
    driver.manifest = driver.manifest.replace("{exempt}\n", "").replace("[families]", "{exempt}\n[families]")
    finding = driver.finding("duplicate_address")
    assert (finding.result, finding.figure) == (Result.EXEMPT, "its answers name no address")
    driver = make("mqtt")
    driver.manifest = driver.manifest.replace("[families]", '[exempt]\nrange = ""\n[families]')
    with pytest.raises(ManifestUnusable, match=r"exempt\.range"):
        driver.finding("range")
    driver = make("mqtt")
    driver.manifest = driver.manifest.replace("[families]", '[exempt]\ngolden = "it never works so well"\n[families]')
    with pytest.raises(ConfigurationError, match="golden"):
        driver.finding("golden")


def test_a_broken_manifest_fails_alone_and_the_others_are_looked_at(make: Make) -> None:
    broken, whole = make("mqtt"), make("mqtt")
    broken.manifest, broken.readme = "[driver]", ""
    reports = suite.examine_all([at(broken.write().folder), at(whole.write().folder)])
    assert [(report.driver, report.grade) for report in reports] == [
        (broken.id, Grade.NONE),
        (whole.id, Grade.PLATINUM),
    ]
    assert [finding.check for finding in reports[0].failed] == ["manifest"]
    assert "driver.toml" in reports[0].failed[0].figure


def test_a_folder_without_frames_fails_and_does_not_raise(make: Make) -> None:
    driver = make("serial-poll")
    driver.cases = []
    report = driver.report()
    assert report.grade is Grade.NONE
    assert {finding.result for finding in report.findings if finding.check in ("golden", "wire", "garbage")} == {
        Result.FAILED
    }


def test_a_question_that_nothing_recorded_answers_is_named(make: Make) -> None:
    driver = make("serial-poll")
    driver.cases = [case | {"bytes_hex": meter_answer(1, 500).hex()[:-2]} for case in driver.cases[:1]]
    finding = driver.finding("wire")
    assert finding.result is Result.FAILED
    assert "?01" in finding.figure


def test_every_rule_has_its_check_and_both_languages() -> None:
    assert [rule.id for rule in suite.rules()] == list(suite._CHECKS)
    assert all(rule.what["en"] and rule.what["zh"] for rule in suite.rules())
    grades = [rule.grade for rule in suite.rules()]
    assert grades == sorted(grades)
    assert set(grades) == {Grade.BRONZE, Grade.SILVER, Grade.GOLD, Grade.PLATINUM}
