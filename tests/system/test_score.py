"""`bansui sim configure` and `bansui sim score`: a morning that went through a real agent to a real centre."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from bansui import cli
from bansui.free_port import free_port
from bansui.sim_score import judge, read
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.processes import Processes

MORNING = 'like = "school-day"\ntitle = "A morning"\nends = "11:30"\n'


def test_what_a_centre_has_of_a_morning_is_what_devices_sent(
    tmp_path: Path, processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "morning.toml").write_text(MORNING)
    truth_file, wiring_file = tmp_path / "truth.json", tmp_path / "wiring.json"
    listener_port, centre_port = free_port(), free_port()
    processes.bansui(
        *("sim", "run", str(tmp_path / "morning.toml"), "--seconds", "25", "--seed", "4"),
        *("--broker", f"127.0.0.1:{listener_port}", "--relay-to", f"127.0.0.1:{centre_port}", "--stay"),
        *("--truth", str(truth_file), "--wiring", str(wiring_file)),
        *("--fault", "uplink-outage@08:40+20m", "--fault", "reorder@08:20+30m:co2-a-102"),
        *("--fault", "stuck@08:30+2h45m:co2-a-101"),
    )
    wait_until(wiring_file.exists, 30, "the school's wiring")
    told = configured(tmp_path, capsys, "--port", str(listener_port), "--centre-port", str(centre_port))
    processes.bansui(*shlex.split(told["centre"])[1:]).wait_for_output("listening on ")
    processes.bansui(*shlex.split(told["agent"])[1:]).wait_for_output("agent ready")
    wait_until(truth_file.exists, 90, "the end of the morning")
    url, truth = f"http://127.0.0.1:{centre_port}", read(truth_file)
    wait_until(
        lambda: judge(truth, url).completeness > 0.7, 60 + told["settled_s"], "most of the morning at the centre"
    )
    wait_until(lambda: judge(truth, url).detections[0].found_ms is not None, 60, "the sensor that was stuck")

    assert cli.run(["sim", "score", str(truth_file), "--centre", url, "--json", "--least", "0.7"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert (scored["unknown_devices"], scored["false_alarms"]) == ([], [])
    assert [(found["device"], found["fault"]) for found in scored["detections"]] == [("co2-a-101", "stuck")]
    temperature = scored["quantities"]["temperature"]
    assert temperature["arrived"] > 0.7 * temperature["windows"]
    assert temperature["sent"]["worst"] <= 0.0051  # the centre has hundredths of a degree
    assert 0.01 < temperature["physics"]["mean_absolute"] < 0.5
    assert cli.run(["sim", "score", str(truth_file), "--centre", url, "--least", "1"]) == 1
    assert "of the truth's windows arrived" in capsys.readouterr().out


def configured(folder: Path, capsys: pytest.CaptureFixture[str], *ports: str) -> dict[str, Any]:
    """What `bansui sim configure` tells a program of the school's wiring, having written into a folder of its own."""
    out = folder / "trial"
    assert cli.run(["sim", "configure", str(folder / "wiring.json"), "--out", str(out), *ports, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert sorted(told["files"]) == sorted(str(file) for file in out.iterdir())
    return told
