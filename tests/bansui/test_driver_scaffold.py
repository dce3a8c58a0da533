"""`bansui driver new`: of every kind a folder whose tests pass at once, and that a driver can be made of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from bansui.driver_scaffold import KINDS, PROGRAM, write
from device_drivers.cases import run_line
from device_drivers.conformance.findings import Grade
from device_drivers.conformance.suite import check, examine, rules, subject_of
from device_drivers.registry import at
from edge_agent.config import DeviceTable
from telemetry import ConfigurationError
from tests.documents import ROOT
from tests.support.processes import BANSUI

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("short_memory_check")


def bansui(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [*BANSUI, *args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind_the_new_driver_is_silver_at_once_and_gold_when_its_readme_is_written(
    tmp_path: Path, kind: str
) -> None:
    folder = write("acme_x", kind, tmp_path)
    report = examine(subject_of(str(folder)))
    assert not report.failed
    assert report.grade is Grade.SILVER
    open_ones = {finding.check for finding in report.findings if not finding.result.is_met}
    assert open_ones == {"bilingual", "captured"}  # nobody has described or recorded a device that there is not
    readme = folder / "README.md"
    readme.write_text(re.sub(r"<!-- to be written.*?-->", "Said.", readme.read_text()))
    assert examine(subject_of(str(folder))).grade is Grade.GOLD


@pytest.mark.parametrize("kind", KINDS)
def test_the_agent_takes_the_new_drivers_sample(tmp_path: Path, kind: str) -> None:
    (device,) = tomllib.loads(at(write("acme_x", kind, tmp_path)).manifest.sample)["device"]
    DeviceTable.model_validate(device)


def test_the_commands_from_nothing_to_a_passing_test(tmp_path: Path) -> None:
    made = bansui(tmp_path, "driver", "new", "acme_co2", "--kind", "modbus")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "bansui driver test acme_co2"
    assert (tmp_path / "acme_co2" / "driver.toml").is_file()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "acme_co2"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "21 passed, 2 skipped" in done.stdout


def test_a_changed_table_fails_its_readme_until_that_is_written_again(tmp_path: Path) -> None:
    folder = write("acme_co2", "mqtt-json", tmp_path)
    manifest = folder / "driver.toml"
    manifest.write_text(manifest.read_text() + '\n[[field]]\nkey = "rh"\nquantity = "humidity"\n')
    assert bansui(tmp_path, "driver", "test", "acme_co2").returncode == 1
    assert bansui(tmp_path, "driver", "readme", "acme_co2").returncode == 0
    assert bansui(tmp_path, "driver", "test", "acme_co2").returncode == 0
    assert "| `rh` | `humidity` |" in (folder / "README.md").read_text()


def test_a_readme_without_its_marks_is_not_touched_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = write("acme_co2", "mqtt-json", tmp_path)
    (folder / "README.md").write_text("# mine")
    done = bansui(tmp_path, "driver", "readme", "acme_co2")
    assert done.returncode == 2
    assert "<!-- fields -->" in done.stderr
    assert (folder / "README.md").read_text() == "# mine"


def test_a_readme_that_cannot_be_read_is_the_callers_to_mend(tmp_path: Path) -> None:
    folder = write("acme_co2", "mqtt-json", tmp_path)
    (folder / "README.md").write_bytes(b"\xff\xfe")
    done = bansui(tmp_path, "driver", "readme", "acme_co2")
    assert (done.returncode, "is not UTF-8 text" in done.stderr) == (2, True)
    (folder / "README.md").unlink()
    done = bansui(tmp_path, "driver", "readme", "acme_co2")
    assert (done.returncode, "`bansui driver new`" in done.stderr) == (2, True)


def test_a_line_of_the_recorded_frames_that_is_no_text_is_named(tmp_path: Path) -> None:
    """And one whose text has a separator of lines that JSON does not know is one line."""
    folder = write("acme_co2", "mqtt-json", tmp_path)
    cases = folder / "fixtures" / "cases.jsonl"
    whole = cases.read_text()
    cases.write_text(whole.replace("the manual, page 1", "the manual,\u2028page 1"))
    assert bansui(tmp_path, "driver", "test", "acme_co2").returncode == 0
    cases.write_bytes(b'{"id": "\xff"}\n' + whole.encode())
    done = bansui(tmp_path, "driver", "test", "acme_co2")
    assert (done.returncode, "fixtures/cases.jsonl:1 is not JSON" in done.stdout) == (1, True)


def test_the_new_program_writes_lines_that_its_driver_reads(tmp_path: Path) -> None:
    folder = write("acme_probe", "exec", tmp_path)
    done = subprocess.run([folder / PROGRAM], input="68\n50\n", capture_output=True, text=True, timeout=10, check=True)
    entry = at(folder)
    readings = [
        run_line(json.dumps({"family": "acme-probe", "payload": json.loads(line)}).encode(), {entry.id: entry}).readings
        for line in done.stdout.splitlines()
    ]
    assert [[(each.quantity, each.value) for each in found] for found in readings] == [
        [("temperature", 20)],
        [("temperature", 10)],
    ]


@pytest.mark.parametrize(
    ("name", "kind", "what"), [("Acme-1", "tcp", "no name"), ("acme", "carrier-pigeon", "no kind")]
)
def test_a_name_or_a_kind_that_cannot_be_is_refused(tmp_path: Path, name: str, kind: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        write(name, kind, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    folder = write("acme_co2", "tcp", tmp_path)
    (folder / "driver.toml").write_text("mine")
    with pytest.raises(ConfigurationError, match="there already"):
        write("acme_co2", "tcp", tmp_path)
    assert (folder / "driver.toml").read_text() == "mine"


def golden(folder: Path) -> str:
    """What the check of recorded frames says."""
    return check(subject_of(str(folder)), next(rule for rule in rules() if rule.id == "golden")).figure


@pytest.mark.parametrize("kind", ["modbus", "serial-poll", "serial-stream", "binary"])
def test_of_a_frame_made_by_hand_the_right_check_sum_is_told(tmp_path: Path, kind: str) -> None:
    folder = write("acme_x", kind, tmp_path)
    cases = folder / "fixtures" / "cases.jsonl"
    lines = cases.read_text().splitlines()
    right = json.loads(lines[0])["bytes_hex"]
    wrong = right[:8] + f"{int(right[8:10], 16) ^ 0xFF:02x}" + right[10:]
    cases.write_text("\n".join([lines[0].replace(right, wrong), *lines[1:]]))
    told = golden(folder).partition("with the right check sum it is ")[2]
    cases.write_text("\n".join([lines[0].replace(right, told), *lines[1:]]))
    assert told != wrong
    assert "checksum" not in golden(folder)
