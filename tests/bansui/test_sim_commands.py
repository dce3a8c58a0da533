from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from bansui import cli
from bansui.sim_words import words
from tests.simulators.recorder import Recorder
from tests.support.commands import call_bansui
from tests.support.mosquitto import Mosquitto
from tests.support.processes import run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes


def truth_of(window: str) -> str:
    return f'{{"schema": 2, "school": "s", "devices": {{}}, "faults": [], "windows": [{window}]}}'


def shorter(folder: Path, name: str, ends: str) -> str:
    """The file of a scenario like another, that ends sooner."""
    file = folder / f"short-{name}.toml"
    file.write_text(f'like = "{name}"\ntitle = "Until {ends}"\nends = "{ends}"\n')
    return str(file)


def test_list_names_the_scenarios_with_what_a_clock_needs() -> None:
    done = call_bansui("sim", "list", "--json")
    told = json.loads(done.stdout)
    (entry,) = [entry for entry in told["scenarios"] if entry["name"] == "school-day"]
    assert (entry["rooms"], entry["school"]) == (12, "cn-002")
    assert entry["end_ms"] - entry["start_ms"] == 9.5 * 3600 * 1000
    shown = call_bansui("sim", "list").stdout
    assert "school-day" in shown
    for fault in told["faults"]:
        assert f"{fault['name']} " in shown
        assert fault["attacks"] in shown


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("nope",), "school-day"),
        (("nope.toml",), "there is no such file"),
        (("school-day", "--broker", "he[re"), "HOST:PORT"),
        (("school-day", "--broker", "here:0"), "HOST:PORT"),
        (("school-day", "--broker", "he..re"), "HOST:PORT"),
        (("school-day", "--broker", "he re"), "HOST:PORT"),
        (("school-day", "--speed", "9" * 40), "--speed"),
        (("school-day", "--seconds", "inf"), "--seconds"),
        (("school-day", "--seconds", "1e-9"), "--seconds"),
        (("school-day", "--speed", "fast"), "--speed"),
        (("school-day", "--speed", "2x", "--seconds", "3"), "--seconds"),
        (("school-day", "--clock", "1,2"), "--clock"),
        (("school-day", "--clock", "1,2,3", "--seconds", "5"), "--seconds does not go with --clock"),
        (("school-day", "--stay", "--seconds", "5"), "--relay-to"),
        (("school-day", "--fault", "flood@10:00"), "flood"),
        (("school-day", "--fault", "agent-kill@11:20"), "--agent-pid-file"),
        (("school-day", "--sabotage", "tea"), "--sabotage"),
    ],
)
def test_wrong_call_exits_2_and_says_what_to_do(
    args: tuple[str, ...], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["sim", "run", *args]) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--truth", "--wiring"])
@pytest.mark.parametrize(
    ("file", "what"), [("no/truth.json", "there is no folder"), ("", "is a folder"), ("/proc/truth.json", "written")]
)
def test_a_file_that_cannot_be_written_exits_3_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, file: str, what: str
) -> None:
    assert cli.run(["sim", "run", "school-day", option, str(tmp_path / file)]) == 3
    said = capsys.readouterr()
    assert (what in said.err, said.out) == (True, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.mosquitto
async def test_a_broker_that_is_away_is_told_of_once_and_so_is_its_return(
    mosquitto: Mosquitto, processes: Processes, tmp_path: Path
) -> None:
    mosquitto.stop()
    address = f"127.0.0.1:{mosquitto.port}"
    scenario = shorter(tmp_path, "vr-lesson", "08:30")
    sim = processes.bansui("sim", "run", scenario, "--broker", address, "--seconds", "6")
    await asyncio.to_thread(sim.wait_for_output, "devices do not reach the broker")
    assert f"{address}: devices do not reach the broker, " in sim.stderr
    assert "Connection refused" in sim.stderr
    assert "another --broker" in sim.stderr
    await asyncio.to_thread(mosquitto.start)
    assert await asyncio.to_thread(sim.wait) == 0
    assert sim.stderr.count("do not reach") == 1
    assert sim.stderr.endswith(f"{address}: every device reaches the broker again\n")
    assert "everything sent over MQTT is confirmed" in sim.stdout


@pytest.mark.mosquitto
def test_a_run_is_told_in_chinese(mosquitto: Mosquitto, tmp_path: Path) -> None:
    done = run_bansui(
        *("sim", "run", shorter(tmp_path, "vr-lesson", "08:30"), "--seconds", "1"),
        *("--broker", f"127.0.0.1:{mosquitto.port}", "--truth", str(tmp_path / "truth.json")),
        env={"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "个教室，16 台设备" in done.stdout
    assert "按 Ctrl-C 结束。" in done.stdout
    assert "经 MQTT 发出的全部已确认" in done.stdout


def test_both_languages_have_every_sentence_with_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    english = words()
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    chinese = words()
    assert english.keys() == chinese.keys()
    for key, sentence in english.items():
        assert sorted(re.findall(r"{[^}]*}", sentence)) == sorted(re.findall(r"{[^}]*}", chinese[key])), key


@pytest.mark.mosquitto
async def test_a_broker_that_lets_nobody_in_is_told_of_in_chinese_and_as_json(
    tmp_path: Path, processes: Processes
) -> None:
    closed = Mosquitto(tmp_path / "closed", "allow_anonymous false\n")
    try:
        args = ("sim", "run", "vr-lesson", "--broker", f"127.0.0.1:{closed.port}", "--speed", "60x")
        told, chinese = processes.bansui(*args, "--json"), processes.bansui(*args, env={"LC_ALL": "zh_CN.UTF-8"})
        await asyncio.to_thread(told.wait_for_output, '"broker"')
        await asyncio.to_thread(chinese.wait_for_output, "确认消息代理")
    finally:
        closed.stop()
    news = json.loads(told.stdout.splitlines()[1])
    assert (news["event"], news["is_away"]) == ("broker", True)
    assert "ot authorized" in news["why"]
    assert "设备连不上消息代理" in chinese.stderr


@pytest.mark.mosquitto
def test_runs_alone_against_mosquitto_and_sums_up(mosquitto: Mosquitto, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    started = time.monotonic()
    done = run_bansui(
        *("sim", "run", shorter(tmp_path, "school-day", "09:00"), "--seconds", "2"),
        *("--broker", f"127.0.0.1:{mosquitto.port}", "--truth", str(truth)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started > 2
    assert "MQTT    127.0.0.1" in done.stdout
    assert "2,625 frames" in done.stdout
    assert "everything sent over MQTT is confirmed" in done.stdout
    assert json.loads(truth.read_text())["schema"] == 2


async def test_json_is_an_object_a_line(processes: Processes) -> None:
    """For programs: where everything is reached when it is ready, and the sums when it is over."""
    recorder = Recorder()
    await recorder.open()
    try:
        args = ("sim", "run", "school-day", "--broker", f"127.0.0.1:{recorder.port}", "--speed", "600x", "--json")
        sim = processes.bansui(*args)
        await until(lambda: len(recorder.publishes) > 50, 20)
        sim.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(sim.wait) == 0
    finally:
        await recorder.close()
    ready, over = map(json.loads, sim.stdout.splitlines())
    assert (ready["event"], ready["wiring"]["school"]) == ("ready", "cn-002")
    assert (over["event"], over["stopped"]) == ("over", True)
    assert over["frames_sent"] > 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_early_with_its_truth_written(
    processes: Processes, tmp_path: Path, number: signal.Signals
) -> None:
    recorder = Recorder()
    await recorder.open()
    truth = tmp_path / "truth.json"
    try:
        sim = processes.bansui(
            *("sim", "run", "school-day", "--broker", f"127.0.0.1:{recorder.port}"),
            *("--speed", "600x", "--truth", str(truth)),
        )
        await until(lambda: len(recorder.publishes) > 50, 20)
        sim.send_signal(number)
        assert await asyncio.to_thread(sim.wait) == 0
    finally:
        await recorder.close()
    assert "stopped early" in sim.stdout
    sent = sum(d["frames_sent"] for d in json.loads(truth.read_text())["devices"].values() if d["transport"] == "mqtt")
    assert sent == len(recorder.publishes)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot be read: No such file or directory\n"),
        ("{", "cannot be read"),
        ('{"schema": 1}', "schema 1"),
        ("[]", "schema None"),
        ('{"schema": 2}', "school: is missing"),
        (truth_of('{"device": "d", "quantity": "temperature"}'), "windows.0.start_ms: is missing"),
        (
            truth_of(
                '{"device": "d", "quantity": "q", "start_ms": 0, "sum_ticks": 1, "physics_sum_ticks": null, "n": 1, '
                '"faults": []}'
            ),
            "no quantity is called 'q'",
        ),
        pytest.param("[" * 100_000, "cannot be read", id="deep"),
        pytest.param(f'{{"schema": {"9" * 5000}}}', "cannot be read", id="long"),
    ],
)
def test_score_of_what_is_no_truth_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, what: str
) -> None:
    file = tmp_path / "truth.json"
    if content is not None:
        file.write_text(content)
    assert cli.run(["sim", "score", str(file), "--centre", "http://127.0.0.1:9"]) == 2
    said = capsys.readouterr().err
    assert what in said
    assert "fix: give a file that" in said


WIRING: dict[str, Any] = {
    "schema": 1,
    "clock": [1_760_000_400_000, 1_760_000_000_000, 285.0],
    "district": "changning",
    "school": "cn-002",
    "timezone": "Asia/Shanghai",
    "timetable": {"days": ["mon"], "hours": [["08:00", "12:00"]]},
    "rooms": [{"code": "a-101", "building": "a", "placement": "indoor"}],
    "devices": [
        {
            "id": "screen-1",
            "room": "a-101",
            "role": "display",
            "driver": "pjlink",
            "model": "a display",
            "cadence_s": 60,
            "transport": "tcp",
            "tcp": {"host": "127.0.0.1", "port": 4352, "password": "secret"},
        }
    ],
    "clients": [{"id": "zigbee", "password": "hidden", "publish": ["zigbee2mqtt/#"]}],
    "relay": None,
}


def test_what_configure_writes_is_valid_and_secrets_are_their_owners_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wiring.json").write_text(json.dumps(WIRING))
    out = tmp_path / "a trial"
    call = ["sim", "configure", str(tmp_path / "wiring.json"), "--out", str(out), "--centre-port", "8087"]
    assert cli.run(call) == 0
    clock = "--clock 1760000400000,1760000000000,285.0"
    said = capsys.readouterr().out
    assert f"bansui agent run --config '{out}/agent.toml' {clock}\n" in said
    assert f"bansui centre run --config '{out}/centre.toml' {clock}\n" in said
    assert "bansui sim score truth.json --centre http://127.0.0.1:8087\n" in said
    for part in ("agent", "centre"):
        assert cli.run([part, "validate", "--config", str(out / f"{part}.toml")]) == 0
    assert "8087" in (out / "agent.toml").read_text()
    secrets = {"mqtt-zigbee.password": "hidden\n", "screen-1.password": "secret\n"}
    assert {name: (out / name).read_text() for name in secrets} == secrets
    assert all((out / name).stat().st_mode & 0o777 == 0o600 for name in (*secrets, "uplink.token"))


def test_configure_writes_nothing_where_a_file_of_its_own_is_already(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wiring.json").write_text(json.dumps(WIRING))
    (tmp_path / "agent.toml").write_text("somebody's")
    assert cli.run(["sim", "configure", str(tmp_path / "wiring.json"), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"where: {tmp_path}/agent.toml" in said
    assert "name another folder" in said
    assert {file.name for file in tmp_path.iterdir()} == {"wiring.json", "agent.toml"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file"),
        ("half", "cannot be read"),
        ("[]", "schema None"),
        (json.dumps({**WIRING, "schema": 2}), "schema 2, and 1 is known"),
        (json.dumps({"schema": 1}), "is missing"),
        (json.dumps({**WIRING, "clock": [0, 0, 0]}), "clock.2: has to be more than 0"),
        (json.dumps({**WIRING, "clients": [{"id": "../x", "password": "", "publish": []}]}), "a code is"),
        (json.dumps({**WIRING, "devices": [{**WIRING["devices"][0], "tcp": {}}]}), "where the device is reached"),
    ],
)
def test_configure_of_what_is_no_wiring_exits_2_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, what: str
) -> None:
    file, out = tmp_path / "wiring.json", tmp_path / "trial"
    if content is not None:
        file.write_text(content)
    assert cli.run(["sim", "configure", str(file), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert what in said
    assert f"where: {file}" in said
    assert "fix: give a file that" in said
    assert not out.exists()


def test_configure_names_the_wirings_of_several_schools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for school in ("cn-002", "cn-003"):
        (tmp_path / f"wiring.{school}.json").write_text(json.dumps({**WIRING, "school": school}))
    assert cli.run(["sim", "configure", str(tmp_path / "wiring.json"), "--out", str(tmp_path / "trial")]) == 2
    assert "give one: wiring.cn-002.json, wiring.cn-003.json" in capsys.readouterr().err


def test_configure_speaks_chinese(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    file = tmp_path / "wiring.json"
    call = ["sim", "configure", str(file), "--out", str(tmp_path / "trial")]
    assert cli.run(call) == 2
    assert "给出由 `bansui sim run --wiring` 写出的文件" in capsys.readouterr().err
    file.write_text(json.dumps(WIRING))
    assert cli.run(call) == 0
    assert "各开一个终端" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://[::1"])
def test_score_without_a_centre_exits_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unused_tcp_port: int, url: str
) -> None:
    file = tmp_path / "truth.json"
    file.write_text('{"schema": 2, "school": "cn-002", "devices": {}, "windows": [], "faults": []}')
    assert cli.run(["sim", "score", str(file), "--centre", url.format(port=unused_tcp_port)]) == 3
    assert "http://127.0.0.1:8086" in capsys.readouterr().err


@pytest.mark.mosquitto
def test_many_schools_have_a_truth_each(mosquitto: Mosquitto, tmp_path: Path) -> None:
    done = run_bansui(
        *("sim", "run", shorter(tmp_path, "school-day", "09:15"), "--schools", "2", "--rooms", "3", "--seconds", "3"),
        *("--broker", f"127.0.0.1:{mosquitto.port}", "--truth", str(tmp_path / "truth.json")),
        *("--fault", "spike@09:00:cn-003-co2-a-101"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    truths = {name: json.loads((tmp_path / f"truth.{name}.json").read_text()) for name in ("cn-002", "cn-003")}
    assert {file.name for file in tmp_path.glob("truth*")} == {f"truth.{name}.json" for name in truths}
    assert [len(truth["faults"]) for truth in truths.values()] == [0, 1]
    for name, truth in truths.items():
        assert truth["school"] == name
        assert all(device.startswith(name) for device in truth["devices"])
        published = [device for device in truth["devices"].values() if device["transport"] == "mqtt"]
        assert all(device["frames_sent"] == device["frames_confirmed"] == 90 for device in published)
    assert "% of a core" in done.stdout
