"""`bansui sim score`, of a morning that went through a real agent to a real centre."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bansui import cli
from bansui.demo.configuration import write_agent, write_centre
from bansui.demo.plan import Plan
from bansui.free_port import free_port
from bansui.sim_score import judge, read
from simulators.scenarios import load
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.processes import Processes

MORNING = 'like = "school-day"\ntitle = "A morning"\nends = "10:00"\n'


def test_what_a_centre_has_of_a_morning_is_what_devices_sent(
    tmp_path: Path, processes: Processes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "morning.toml").write_text(MORNING)
    scenario = load(str(tmp_path / "morning.toml"))
    plan = Plan.of(scenario, seconds=20, seed=4, port=free_port(), sabotage="", keep=False)
    clock, listener_port = ("--clock", plan.clock_option), free_port()
    centre = processes.bansui("centre", "run", "--config", str(write_centre(tmp_path, plan)), *clock)
    centre.wait_for_output("listening on ")
    truth_file, wiring_file = tmp_path / "truth.json", tmp_path / "wiring.json"
    processes.bansui(
        *("sim", "run", str(tmp_path / "morning.toml"), *clock, "--broker", f"127.0.0.1:{listener_port}"),
        *("--truth", str(truth_file), "--wiring", str(wiring_file), "--relay-to", f"127.0.0.1:{plan.port}"),
        *("--stay", "--fault", "uplink-outage@08:40+20m", "--fault", "reorder@08:20+30m:co2-a-102"),
    )
    wait_until(wiring_file.exists, 30, "the school's wiring")
    wiring: dict[str, Any] = json.loads(wiring_file.read_text(encoding="utf-8"))
    processes.bansui("agent", "run", "--config", str(write_agent(tmp_path, plan, wiring, listener_port, 0)), *clock)
    wait_until(truth_file.exists, 90, "the end of the morning")
    url = f"http://127.0.0.1:{plan.port}"
    truth = read(truth_file)
    wait_until(lambda: judge(truth, url).completeness > 0.7, 60, "most of the morning at the centre")

    assert cli.run(["sim", "score", str(truth_file), "--centre", url, "--json", "--least", "0.7"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["unknown_devices"], told["false_alarms"], told["detections"]) == ([], [], [])
    temperature = told["quantities"]["temperature"]
    assert temperature["arrived"] > 0.7 * temperature["windows"]
    assert temperature["sent"]["worst"] <= 0.0051  # the centre has hundredths of a degree
    assert 0.01 < temperature["physics"]["mean_absolute"] < 0.5
    assert cli.run(["sim", "score", str(truth_file), "--centre", url, "--least", "1"]) == 1
    assert "of the truth's windows arrived" in capsys.readouterr().out
