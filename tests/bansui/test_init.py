"""`bansui init`: what it writes is accepted as it is, in either language, asked or told."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority
from tests.support.processes import BANSUI, run_bansui
from tests.support.programs import MOSQUITTO_CLIENTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Processes


def test_the_defaults_are_a_valid_configuration(tmp_path: Path) -> None:
    """Without a question; the secrets are for their owner alone, and the password is the one in the file."""
    out = tmp_path / "agent.toml"
    told = json.loads(run_bansui("init", "--defaults", "--out", str(out), "--json").stdout)
    assert run_bansui("agent", "validate", "--config", str(out)).returncode == 0
    secrets = [tmp_path / "uplink.token", tmp_path / "zigbee.password"]
    assert told["files"] == [str(file) for file in (out, *secrets)]
    assert secrets[1].read_text() == f"{told['password']}\n"
    assert [file.stat().st_mode & 0o777 for file in secrets] == [0o600, 0o600]


@pytest.mark.mosquitto
def test_a_device_gets_in_with_the_login_that_is_shown(tmp_path: Path, processes: Processes) -> None:
    """Devices connect to the agent itself unless a broker is named; TLS stands beside it, to be uncommented."""
    out = tmp_path / "agent.toml"
    told = json.loads(run_bansui("init", "--defaults", "--out", str(out), "--json").stdout)
    written = tomllib.loads(out.read_text())
    assert (written["listener"], "subscriber" in written) == (
        {"host": "0.0.0.0", "port": 1883, "client": [written["listener"]["client"][0]]},
        False,
    )
    authority = Authority(tmp_path / "tls")
    files = authority.server()
    files.certificate.rename(tmp_path / "listener.pem")
    files.key.rename(tmp_path / "listener.key")
    text = re.sub(r"^# (?=\[listener\.tls\]|port|certificate_file|key_file)", "", out.read_text(), flags=re.MULTILINE)
    out.write_text(re.sub(r"^port = \d+$", "port = 0", text.replace("0.0.0.0", "127.0.0.1"), flags=re.MULTILINE))
    agent = processes.bansui("agent", "run", "--config", str(out), "--json")
    agent.wait_for_output("ready")
    ready = json.loads(agent.stdout)
    program = MOSQUITTO_CLIENTS.find()
    assert program is not None
    login = ("-u", "zigbee", "-P", told["password"], "-q", "1", "-t", "zigbee2mqtt/x", "-m", "{}", "-h", "127.0.0.1")
    for way in ((ready["listener_port"],), (ready["listener_tls_port"], "--cafile", str(authority.file))):
        done = subprocess.run(
            [program.removesuffix("sub") + "pub", *login, "-p", *map(str, way)], timeout=30, check=False
        )
        assert done.returncode == 0
    assert agent.terminate() == 0


def test_six_questions_in_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer is asked again; the comments and the questions are the reader's."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    answers = "changning\ncn-7\n\nhttp://centre.example\nhttps://centre.example\na-1, b-2\n\n"
    out = tmp_path / "agent.toml"
    done = subprocess.run(
        [*BANSUI, "init", "--out", str(out)], input=answers, capture_output=True, text=True, check=True, timeout=60
    )
    text = out.read_text()
    assert "学校代码" in done.stdout
    assert "写作 https://HOST[:PORT]；http 仅限本机回环地址\n" in done.stdout
    assert 'school = "cn-7"' in text
    assert text.count("[[room]]") == 2
    assert "## 边缘网关的配置" in text
    assert run_bansui("agent", "validate", "--config", str(out)).returncode == 0


def test_a_school_with_a_broker_of_its_own(tmp_path: Path) -> None:
    """The agent subscribes; no login is made."""
    out = tmp_path / "agent.toml"
    done = run_bansui("init", "--defaults", "--broker", "127.0.0.1:1883", "--out", str(out))
    assert "[subscriber]" in out.read_text()
    assert "[listener]" not in out.read_text()
    assert not (tmp_path / "zigbee.password").exists()
    assert "password" not in done.stdout
    assert run_bansui("agent", "validate", "--config", str(out)).returncode == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A secret that is there stops it before anything is written."""
    (tmp_path / "uplink.token").write_text("precious\n")
    done = run_bansui("init", "--defaults", "--out", str(tmp_path / "agent.toml"))
    assert done.returncode == 2
    assert "uplink.token" in done.stderr
    assert not (tmp_path / "agent.toml").exists()
    assert (tmp_path / "uplink.token").read_text() == "precious\n"


@pytest.mark.parametrize(
    ("option", "text", "fix"),
    [
        ("--school", "School 7", "use 1 to 32 of a-z, 0-9 and '-'"),
        ("--timezone", "Beijing", "write one of the IANA database, such as Asia/Shanghai"),
        ("--centre", "ftp://centre.example", "write https://HOST[:PORT]; http is for loopback alone"),
        ("--rooms", "a-1,a-1", "write each room once"),
        ("--broker", "broker.example:99999", "such as 127.0.0.1:1883"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(tmp_path: Path, option: str, text: str, fix: str) -> None:
    """Told by option, with what would do; exit code 2."""
    done = run_bansui("init", "--defaults", option, text, "--out", str(tmp_path / "agent.toml"))
    assert (done.returncode, done.stderr.splitlines()[1:]) == (2, [f"  where: {option}", f"  fix: {fix}"])
    assert repr(text) in done.stderr


def test_a_folder_that_is_not_there_is_to_be_made(tmp_path: Path) -> None:
    done = run_bansui("init", "--defaults", "--out", str(tmp_path / "none" / "agent.toml"))
    assert done.returncode == 3
    assert "fix: make the folder first" in done.stderr
