"""`bansui driver`: what it lists, what it decodes, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from bansui.driver_commands import app
from device_drivers.conformance.suite import rules
from telemetry import ConfigurationError
from tests.device_drivers.sample_drivers import SampleDriver
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from pathlib import Path

GOOD = json.dumps({"id": "one", "family": "zigbee2mqtt", "payload": {"co2": 812, "Zhang San": 1}})
LINES = f'{GOOD}\nnot a case\n{{"id": "[red]", "family": "zigbee2mqtt", "payload": {{"contact": true}}}}\n'


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_text(LINES, encoding="utf-8")
    return path


def test_the_list_names_every_driver_with_its_transport() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for word in ("zigbee2mqtt", "plantower", "serial-stream", "tcp-poll", "PMS5003ST", "投影机", "bansui 1.0.0"):
        assert word in result.stdout


def test_the_list_as_json_has_every_field_of_every_driver() -> None:
    result = CliRunner().invoke(app, ["list", "--json"])
    drivers = {driver["id"]: driver for driver in json.loads(result.stdout)}
    assert drivers["vr_station"]["contract"] == 1
    assert {"key": "thermal", "quantity": "thermal_state", "channel": ""} in drivers["vr_station"]["fields"]


def test_decoding_as_json_gives_one_line_per_case(cases: Path) -> None:
    result = CliRunner().invoke(app, ["decode", "--cases", str(cases), "--json"])
    assert result.exit_code == 0
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert first["readings"] == [{"quantity": "carbon_dioxide", "channel": None, "value": 812, "unit": "[ppm]"}]
    assert first["dropped"] == ["?"]
    assert (second["id"], second["error"]["code"]) == (None, "malformed_case")
    assert third["readings"][0]["value"] is False


def test_decoding_for_a_person_shows_values_and_refusals(cases: Path) -> None:
    result = CliRunner().invoke(app, ["decode", "--cases", str(cases)])
    assert result.exit_code == 0
    for word in ("carbon_dioxide", "812", "[ppm]", "[red]", "✕ malformed_case: the line is not JSON"):
        assert word in result.stdout


def test_decoding_ends_with_the_score_of_each_family_over_all_files(tmp_path: Path, cases: Path) -> None:
    expecting = [
        {"family": "zigbee2mqtt", "payload": {"co2": 812}, "expect": {"readings": {"carbon_dioxide": 812}}},
        {"family": "zigbee2mqtt", "payload": {"co2": 812}, "expect": {"readings": {"carbon_dioxide": 811}}},
        {"family": "plantower-pms3003", "bytes_hex": "424d0014", "expect": {"error": "length"}},
        {"family": "nobody", "payload": {}},
    ]
    second = tmp_path / "second.jsonl"
    second.write_text("\n".join(map(json.dumps, expecting)), encoding="utf-8")
    result = CliRunner().invoke(app, ["decode", "--cases", str(cases), "--cases", str(second)])
    words = [line.split() for line in result.stdout.splitlines()]
    scores = words[words.index(["family", "cases", "decoded", "refused", "no", "driver", "as", "expected"]) + 1 :]
    assert scores == [
        ["1", "0", "1", "0", "-"],
        ["nobody", "1", "0", "0", "1", "-"],
        ["plantower-pms3003", "1", "0", "1", "0", "1/1"],
        ["zigbee2mqtt", "4", "4", "0", "0", "1/2"],
    ]


def test_a_folder_stands_for_its_files_of_cases(tmp_path: Path, cases: Path) -> None:
    (tmp_path / "also.jsonl").write_text(cases.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "README.md").write_text("no case", encoding="utf-8")
    of_both = CliRunner().invoke(app, ["decode", "--cases", str(cases), "--cases", str(cases), "--json"])
    of_folder = CliRunner().invoke(app, ["decode", "--cases", str(tmp_path), "--json"])
    assert of_folder.stdout == of_both.stdout != ""


def test_a_dash_reads_from_stdin() -> None:
    result = CliRunner().invoke(app, ["decode", "--cases", "-", "--json"], input=GOOD)
    assert json.loads(result.stdout)["id"] == "one"


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_read_is_a_mistake_of_the_caller(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["decode", "--cases", str(tmp_path / name)])
    assert isinstance(result.exception, ConfigurationError)
    assert str(tmp_path) in str(result.exception)


def test_the_installed_command_decodes_a_pipe_and_fails_with_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bansui", "driver", "decode", "--cases"]
    done = subprocess.run([*command, "-", "--json"], input=LINES.encode(), capture_output=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 3
    failed = subprocess.run([*command, str(tmp_path / "no")], capture_output=True, timeout=60, check=False)
    assert failed.returncode == 2
    assert b"Traceback" not in failed.stderr


def test_a_driver_in_a_folder_is_graded_check_by_check(tmp_path: Path) -> None:
    driver = SampleDriver(tmp_path, "mqtt").write()
    done = run_bansui("driver", "test", str(driver.folder))
    assert done.returncode == 0
    assert f"{driver.id}: platinum" in done.stdout
    assert all(rule.id in done.stdout and rule.what["en"] in done.stdout for rule in rules())
    report = json.loads(run_bansui("driver", "test", str(driver.folder), "--json").stdout)
    assert [each["grade"] for each in report] == ["platinum"]
    assert {"check": "golden", "grade": "bronze", "result": "passed", "figure": "7 frames"} in report[0]["checks"]


def test_a_driver_that_fails_a_check_ends_with_exit_code_1_and_says_which(tmp_path: Path) -> None:
    spoiled = SampleDriver(tmp_path, "mqtt").replace("float(value)", "value + 1.0").write()
    done = run_bansui("driver", "test", str(spoiled.folder), "pjlink")
    assert done.returncode == 1
    assert f"{spoiled.id}  none" in done.stdout
    assert "✕ golden: 412: it gives {'carbon_dioxide': 413}" in done.stdout


@pytest.mark.parametrize(("target", "fix"), [("pze", "did you mean 'pzem'?"), ("./nowhere", "a driver's folder")])
def test_a_driver_that_is_not_there_is_a_mistake_of_the_caller(target: str, fix: str) -> None:
    done = run_bansui("driver", "test", target)
    assert done.returncode == 2
    assert fix in done.stderr


def test_a_driver_that_nobody_has_installed_decodes_its_frames_from_its_folder(tmp_path: Path) -> None:
    driver = SampleDriver(tmp_path, "mqtt").write()
    cases = str(driver.folder / "fixtures" / "cases.jsonl")
    done = run_bansui("driver", "decode", "--driver", str(driver.folder), "--cases", cases, "--json")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["readings"][0]["value"] for each in results if each["readings"]] == [412, 650, 801, 1203, 2400, 812]
    unpicked = CliRunner().invoke(app, ["decode", "--cases", cases, "--json"])
    assert json.loads(unpicked.stdout.splitlines()[0])["error"]["code"] == "unknown_driver"
