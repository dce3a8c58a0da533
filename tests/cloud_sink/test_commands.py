from __future__ import annotations

import json
from pathlib import Path

from cloud_sink.config import hash_token
from tests.cloud_sink.support import CONFIG, write_config
from tests.support.processes import run_bansui

SAMPLE = Path(__file__).parents[2] / "configs" / "centre.toml"


def test_validate_says_what_a_valid_file_holds() -> None:
    done = run_bansui("centre", "validate", "--config", str(SAMPLE))
    assert done.returncode == 0
    assert "1 schools, 1 agents, 0 named rooms" in done.stdout


def test_validate_names_every_mistake_with_exit_code_2(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.replace("port = 0", 'port = "x"').replace("timezone", "timezon"))
    done = run_bansui("centre", "validate", "--config", str(config))
    assert done.returncode == 2
    assert "centre.toml:3" in done.stderr
    assert "did you mean 'timezone'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_validate_prints_json_for_programs(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.replace("port = 0", "port = -1"))
    done = run_bansui("centre", "validate", "--json", "--config", str(config))
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told["valid"] is False
    assert len(told["mistakes"]) == 1


def test_a_token_is_written_for_its_owner_alone_and_never_over_another(tmp_path: Path) -> None:
    out = tmp_path / "edge-1.token"
    done = run_bansui("centre", "token", "--out", str(out))
    token = out.read_text(encoding="ascii").strip()
    assert done.returncode == 0
    assert out.stat().st_mode & 0o777 == 0o600
    assert f"token_hash sha256:{hash_token(token).hex()}" in done.stdout
    assert token not in done.stdout
    assert run_bansui("centre", "token", "--out", str(out)).returncode == 2
    assert out.read_text(encoding="ascii").strip() == token


def test_each_token_is_another(tmp_path: Path) -> None:
    first, second = (run_bansui("centre", "token").stdout.split() for _ in range(2))
    assert first[0] == "token"
    assert len(first[1]) >= 40
    assert first[1] != second[1]
    assert first[3] == f"sha256:{hash_token(first[1]).hex()}"


def test_a_clock_that_cannot_be_meant_is_a_mistake(tmp_path: Path) -> None:
    done = run_bansui("centre", "run", "--config", str(write_config(tmp_path)), "--clock", "noon")
    assert done.returncode == 2
    assert "ORIGIN_MS,STARTED_MS,SPEED" in done.stderr
