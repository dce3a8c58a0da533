"""`bansui privacy`: the egress ledger shown, proven and counted, against the wire and by hand."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw
import pytest

from bansui.access_log import FILE_NAME as ACCESS_LOG
from edge_agent.privacy.egress import STATES
from edge_agent.store.engine import FILE_NAME
from edge_agent.timing import Timing
from telemetry import decode_all
from telemetry.uplink_contract import unseal
from tests.edge_agent.harness import DAY, MINUTE, MONDAY_9, Bench, delivered
from tests.edge_agent.running import LISTENER, configure
from tests.support.calls import call_bansui
from tests.support.memory import memory_folder
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from edge_agent.events import Send

NOW: Final = MONDAY_9 + 2 * DAY
CLOCK: Final = f"{NOW},0,1e-12"
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
"""


class School:
    """A store that has lived for two days, all that the centre acknowledged, and how many batches it did not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        configure(folder, LISTENER, _DEVICES)
        self.sent: list[tuple[int, Send]] = []
        bench = Bench(self.state, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=1800))
        for begin_ms in (MONDAY_9, MONDAY_9 + DAY):
            bench.pass_time(begin_ms - bench.clock.now())
            bench.settle()
            for minute in range(40):
                bench.read("mast", ["temperature", minute % 30])
                bench.read("air", ["carbon_dioxide", 600])
                bench.until_closed(MINUTE)
                while bench.sends and (begin_ms == MONDAY_9 or minute < 35):
                    self.sent.append((bench.clock.now(), bench.answer(delivered)))
        self.waiting = len(bench.core.state.unacknowledged)
        bench.checkpoint()
        bench.stop()

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def copied(self, folder: Path) -> School:
        """The same, elsewhere."""
        shutil.copytree(self.folder, folder)
        other = copy.copy(self)
        other.folder = folder
        return other

    def day(self, day: int) -> list[Send]:
        begin = MONDAY_9 - 9 * 60 * MINUTE + day * DAY
        return [send for sent_ms, send in self.sent if begin <= sent_ms < begin + DAY]

    def change(self, sql: str) -> None:
        connection = apsw.Connection(str(self.state / FILE_NAME))
        connection.execute(sql)
        assert connection.changes()
        connection.close()


@pytest.fixture(scope="module")
def untouched() -> Iterator[School]:
    """Lived once; nobody looks at it, since each look is written down."""
    with memory_folder("bansui-privacy-") as folder:
        yield School(Path(folder) / "school")


@pytest.fixture(scope="module")
def lived(untouched: School) -> School:
    """Only looked at."""
    return untouched.copied(untouched.folder.with_name("looked at"))


@pytest.fixture
def school(untouched: School, tmp_path: Path) -> School:
    """One of its own, to be changed."""
    return untouched.copied(tmp_path / "school")


def run(
    command: str, school: School, *args: str, by: Callable[..., CompletedProcess[str]] = call_bansui
) -> tuple[int, dict[str, Any]]:
    """What a command says; `by` run_bansui it has a process of its own, as each command has once."""
    config = ("--config", str(school.config), "--clock", CLOCK)
    done = by("privacy", command, *config, *args, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or done.stderr)


def say(command: str, school: School, *args: str, language: str = "C") -> str:
    config = ("--config", str(school.config), "--clock", CLOCK)
    return call_bansui("privacy", command, *config, *args, env={"LC_ALL": f"{language}.UTF-8"}).stdout


def test_the_ledger_is_what_went_over_the_wire(lived: School) -> None:
    """Each day has the batches, the bytes with their padding and the summaries that the centre was sent."""
    code, told = run("ledger", lived, by=run_bansui)
    assert code == 0
    assert [day["day"] for day in told["days"]] == ["2025-10-13", "2025-10-14"]
    for number, day in enumerate(told["days"]):
        sent, acknowledged = lived.day(number), day["acknowledged"]
        assert acknowledged["batches"] == len(sent) > 30
        assert acknowledged["bytes"] == sum(len(send.body) for send in sent)
        assert acknowledged["bytes"] % 4096 == 0
        assert acknowledged["summaries"] == sum(len(lines(send)) for send in sent)
        assert day["reports"]["batches"] == sum(not lines(send) for send in sent) > 0
        assert day["batches"] == sum(day[state]["batches"] for state in STATES)
    assert told["days"][0]["waiting"]["batches"] == 0
    assert told["days"][1]["waiting"]["batches"] == lived.waiting > 0


def lines(send: Send) -> list[Any]:
    return decode_all(unseal(send.body)) if "write" in send.path else []


def test_a_day_by_quantity_and_class(lived: School) -> None:
    """One day is counted by quantity and by the privacy class that the configuration gives each device."""
    _, told = run("ledger", lived, "--day", "2025-10-13")
    [day] = told["days"]
    expected = Counter(summary.series.quantity for send in lived.day(0) for summary in lines(send))
    assert day["by_quantity"] == dict(sorted(expected.items()))
    assert day["by_class"] == {"E": expected["temperature"], "P1": expected["carbon_dioxide"]}
    lived.config.write_text(lived.config.read_text().replace('id = "mast"', 'id = "other"'))
    try:
        assert run("ledger", lived, "--day", "2025-10-13")[1]["days"][0]["by_class"] == {
            "P1": expected["carbon_dioxide"],
            "unknown": expected["temperature"],
        }
    finally:
        lived.config.write_text(lived.config.read_text().replace('id = "other"', 'id = "mast"'))


def test_today_may_be_quiet(lived: School) -> None:
    """A day without batches is told as one, in both languages."""
    assert run("ledger", lived, "--today")[1]["days"][0]["batches"] == 0
    assert say("ledger", lived, "--today") == "2025-10-15: nothing left this school\n"
    assert say("ledger", lived, "--today", language="zh_CN") == "2025-10-15：没有数据离开本校\n"
    assert run("ledger", lived, "--day", "yesterday")[0] == 2


def test_the_ledger_in_words(lived: School) -> None:
    """A person reads the same figures, in either language."""
    [day] = run("ledger", lived, "--day", "2025-10-13")[1]["days"]
    for language, name in (("C", "(CO2)"), ("zh_CN", "二氧化碳")):
        text = say("ledger", lived, "--day", "2025-10-13", language=language)
        assert f"{day['bytes']:,}" in text
        assert name in text
        assert "P1" in text
        assert "2025-10-14" in say("ledger", lived, language=language)


def test_verify_passes_and_one_flipped_bit_fails(school: School) -> None:
    """The chain is whole with its heads told; one bit of one byte, or of one hash, and exit code 1 says where."""
    code, told = run("verify", school)
    assert (code, told["whole"], told["faults"]) == (0, True, [])
    [head], number = told["heads"], len(school.sent) + school.waiting
    assert (head["sequence"], head["batches"], head["only_hash"]) == (number, number, 0)
    assert head["head"] in say("verify", school)
    flipped = "CAST(substr(body, 1, 2000) || x'01' || substr(body, 2002) AS BLOB)"  # it was a zero of the padding
    school.change(f"UPDATE batch SET body = {flipped} WHERE sequence = 9")
    code, told = run("verify", school, by=run_bansui)
    assert (code, told["whole"]) == (1, False)
    assert any(fault.startswith("the bytes of batch") and "-9 " in fault for fault in told["faults"])
    assert "✕" in say("verify", school, language="zh_CN")


def test_bytes_that_became_hashes_still_count(school: School) -> None:
    """Batches and summaries stay in the totals, and the chain whole; what is gone is said."""
    before = run("ledger", school, "--day", "2025-10-13")[1]["days"][0]
    school.change("UPDATE batch SET body = NULL WHERE sequence <= 10")
    code, told = run("ledger", school, "--day", "2025-10-13")
    [after] = told["days"]
    gone = school.sent[:10]
    summaries = sum(len(lines(send)) for _, send in gone)
    assert (after["batches"], after["summaries"]) == (before["batches"], before["summaries"])
    assert after["only_hash"] == {"batches": 10, "summaries": summaries, "bytes": 0}
    assert after["bytes"] == before["bytes"] - sum(len(send.body) for _, send in gone)
    assert sum(after["by_quantity"].values()) == after["summaries"] - summaries
    code, told = run("verify", school)
    assert (code, told["heads"][0]["only_hash"]) == (0, 10)
    assert "only the hash" in say("ledger", school, "--day", "2025-10-13")


def test_who_looked_is_written_down(school: School) -> None:
    """Every look is a line with time, account and command; one that cannot be written down is not granted."""
    run("ledger", school, "--day", "2025-10-13")
    run("verify", school)
    first, second = (school.state / ACCESS_LOG).read_text().splitlines()
    assert first.startswith("2025-10-15T09:00:00+08:00 account=")
    assert first.endswith(" privacy ledger --day 2025-10-13")
    assert second.endswith(" privacy verify")
    (school.state / ACCESS_LOG).unlink()
    (school.state / ACCESS_LOG).mkdir()
    code, told = run("ledger", school)
    assert (code, told["errors"][0]["code"]) == (3, "access_not_logged")


@pytest.mark.parametrize("command", [("ledger",), ("verify",), ("export", "--year", "2025")])
def test_before_the_agent_has_run_there_is_nothing_to_look_at(tmp_path: Path, command: tuple[str, ...]) -> None:
    """That, and what to do; not that a log cannot be written."""
    done = call_bansui("privacy", *command, "--config", str(configure(tmp_path, LISTENER, _DEVICES)))
    assert done.returncode == 3
    assert "there is no store in" in done.stderr
    assert "bansui agent run" in done.stderr


def exported(school: School, *args: str) -> str:
    config = ("--config", str(school.config), "--clock", CLOCK)
    done = call_bansui("privacy", "export", "--year", "2025", *config, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def tables(text: str) -> dict[str, list[list[str]]]:
    """The account's tables, by their English titles."""
    assert text.startswith("\ufeff")
    found: dict[str, list[list[str]]] = {}
    for block in text[1:].split("\n\n"):
        title, *rows = csv.reader(io.StringIO(block))
        found[title[0].rpartition(" / ")[2]] = rows
    return found


def test_the_account_of_a_year(lived: School) -> None:
    """Its months are the sums of its days; it has versions, purposes, recipients and times of keeping."""
    _, ledger = run("ledger", lived)
    _, told = run("export", lived, "--year", "2025", by=run_bansui)
    assert list(told["months"]) == [f"2025-{month:02}" for month in range(1, 13)]
    assert told["whole"] == told["months"]["2025-10"]
    for figure in ("batches", "summaries", "bytes"):
        assert told["whole"][figure] == sum(day[figure] for day in ledger["days"]) > 0
    assert told["months"]["2025-09"]["batches"] == 0
    assert sum(told["whole"]["by_class"].values()) == told["whole"]["summaries"]
    assert told["classes"]["X"] is None
    assert told["classes"]["P1"]["recipients"] == ["school", "district"]
    assert (told["ledger"]["whole"], told["budget"]) == (True, None)
    assert told["policy"]["name"] == "strict"
    assert [each["command"] for each in told["accesses"]][-1] == "privacy export --year 2025"
    assert run("export", lived, "--year", "2024")[1]["whole"]["batches"] == 0


def test_the_account_as_a_spreadsheet(lived: School, tmp_path: Path) -> None:
    """Every table with its figures; written whole into a file, or printed."""
    _, told = run("export", lived, "--year", "2025")
    assert exported(lived, "--format", "csv", "--output", str(tmp_path / "2025.csv")).strip() == str(
        tmp_path / "2025.csv"
    )
    found = tables((tmp_path / "2025.csv").read_text())
    months = {row[0]: row[1:4] for row in found["By month"]}
    whole = told["whole"]
    assert months["2025-10"] == [str(whole[name]) for name in ("batches", "summaries", "bytes")]
    assert months["2025-10"] == months["全年 / the year"]
    quantities = {row[0]: int(row[2]) for row in found["By quantity"][1:]}
    assert quantities == told["whole"]["by_quantity"]
    assert ["无：全年没有发布人数。 / None: no count of people was told in the year."] in found["Privacy budget"]
    assert found["Access log"][-1][2] == "privacy export --year 2025"
    classes = {row[0]: row[1:] for row in found["By privacy class: purpose, recipients, retention"]}
    assert classes["P1"][0] == str(told["whole"]["by_class"]["P1"])
    assert classes["P1"][3] == str(told["classes"]["P1"]["retention_days"])
    assert "never leaves" in classes["X"][1]


@pytest.mark.parametrize(("language", "tag"), [("zh", "zh-CN"), ("en", "en"), ("both", "zh-CN")])
def test_the_account_as_a_page(lived: School, language: str, tag: str) -> None:
    """Whole in itself: no script, no address of anything elsewhere; in the language that was asked for."""
    text = exported(lived, "--lang", language)
    assert text.startswith(f'<!doctype html>\n<html lang="{tag}">')
    assert not re.search(r"<script|https?://|<img|<link|url\(", text)
    assert ("逐月" in text) == (language != "en")
    assert ("By month" in text) == (language != "zh")
    assert f"{run('export', lived, '--year', '2025')[1]['whole']['bytes']:,}" in text


def test_what_somebody_writes_into_the_log_stays_text(school: School) -> None:
    """A line of the access log that is no access is shown as it stands, and runs nowhere."""
    (school.state / ACCESS_LOG).write_text("=cmd|'/c calc'!A1 <script>alert(1)</script>\n")
    assert "<script>" not in exported(school)
    rows = tables(exported(school, "--format", "csv"))["Access log"]
    assert [row[2] for row in rows if row[0] == "?"] == ["'=cmd|'/c calc'!A1 <script>alert(1)</script>"]


def test_the_account_says_what_people_counts_cost(school: School) -> None:
    """The year's charges, the most of any 24 hours, and the least noise."""
    hour = 3_600_000
    charges = [(MONDAY_9, 30), (MONDAY_9 + 23 * hour, 40), (MONDAY_9 + 24 * hour, 50), (MONDAY_9 + 400 * DAY, 60)]
    connection = apsw.Connection(str(school.state / FILE_NAME))
    for number, (start_ms, milli) in enumerate(charges, start=1):
        values = number, start_ms, start_ms, milli * 10**6, 6325 + number, b"", b""
        connection.execute("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    budget = run("export", school, "--year", "2025")[1]["budget"]
    assert budget == {
        "slots": 3,
        "rho_nano": 120 * 10**6,
        "most_in_a_day_nano": 90 * 10**6,
        "least_sigma_milli": 6326,
    }
    assert ["任意 24 小时最多已用 rho / most rho spent in any 24 hours", "0.090000"] in tables(
        exported(school, "--format", "csv")
    )["Privacy budget"]


def test_a_damaged_ledger_is_told_in_the_account(school: School) -> None:
    """The account is made all the same, and says what is wrong with it."""
    school.change("UPDATE batch SET body = CAST(substr(body, 1, 4090) || x'0102030405' AS BLOB) WHERE sequence = 3")
    told = run("export", school, "--year", "2025")[1]
    assert told["ledger"]["whole"] is False
    assert "The ledger is not what was sealed:" in exported(school, "--lang", "en")
