"""`bansui init`: what it writes is accepted as it is, in either language, asked or told."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.support.processes import BANSUI, run_bansui

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_defaults_are_a_valid_configuration(tmp_path: Path) -> None:
    """Without a question; the secrets are for their owner alone, and the password is the one in the file."""
    out = tmp_path / "agent.toml"
    told = json.loads(run_bansui("init", "--defaults", "--out", str(out), "--json").stdout)
    assert run_bansui("agent", "validate", "--config", str(out)).returncode == 0
    secrets = [tmp_path / "uplink.token", tmp_path / "zigbee.password"]
    assert told["files"] == [str(file) for file in (out, *secrets)]
    assert secrets[1].read_text() == f"{told['password']}\n"
    assert [file.stat().st_mode & 0o777 for file in secrets] == [0o600, 0o600]


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
    assert "http is for loopback alone" in done.stdout + done.stderr
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


def test_an_answer_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """Told by option, with what would do; exit code 2."""
    done = run_bansui("init", "--defaults", "--school", "School 7", "--out", str(tmp_path / "agent.toml"))
    assert done.returncode == 2
    assert "a code is 1 to 32" in done.stderr
