from __future__ import annotations

from pathlib import Path

import pytest

from cloud_sink.config import hash_token, load_config
from telemetry import ConfigurationError
from telemetry.table_file import ConfigurationMistakes
from tests.cloud_sink.support import CONFIG, TOKENS, write_config

SAMPLE = Path(__file__).parents[2] / "configs" / "centre.toml"


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationMistakes) as caught:
        load_config(write_config(folder, text))
    return [str(mistake).removeprefix("line ") for mistake in caught.value.mistakes]


def test_the_sample_configuration_is_valid() -> None:
    loaded = load_config(SAMPLE)
    assert loaded.config.centre.district.code == "changning"
    assert loaded.token_hashes == {"edge-1": bytes(32)}
    assert loaded.state == SAMPLE.parent / "centre-state"


def test_a_token_file_is_kept_as_its_hash_alone(tmp_path: Path) -> None:
    loaded = load_config(write_config(tmp_path))
    assert loaded.token_hashes == {agent: hash_token(token) for agent, token in TOKENS.items()}
    assert TOKENS["edge-1"] not in repr(loaded.config)


def test_five_mistakes_are_told_at_once_each_with_line_value_and_what_is_allowed(tmp_path: Path) -> None:
    text = (
        CONFIG.replace("port = 0", "prot = 99999")
        .replace('"Asia/Shanghai"', '"Asia/Shangai"')
        .replace('code = "cn-014"', 'code = "CN 014"')
        .replace('id = "edge-1"', "id = 7")
        .replace('token_file = "edge-2.token"', "")
    )
    told = mistakes(tmp_path, text)
    assert [mistake.split(":")[0] for mistake in told] == ["3", "4", "14", "18", "21"]
    assert "did you mean 'port'?" in told[0]
    assert "IANA" in told[1]
    assert "'Asia/Shangai'" in told[1]
    assert "a-z, 0-9 and '-'" in told[2]
    assert "(found 7)" in told[3]
    assert "exactly one of token_file and token_hash" in told[4]


def test_contradictions_between_tables_name_the_line(tmp_path: Path) -> None:
    text = CONFIG.replace('school = "cn-014"', 'school = "cn-041"').replace('id = "edge-2"', 'id = "edge-1"')
    told = mistakes(tmp_path, text)
    assert told[0].startswith("22: agent[2].id: agent 'edge-1' stands twice")
    assert told[1].startswith("23: agent[2].school: 'cn-041' is not a [[school]]")
    assert "did you mean 'cn-014'?" in told[1]


def test_a_timetable_belongs_to_its_school_and_its_mistakes_name_their_line(tmp_path: Path) -> None:
    timetable = '[school.timetable]\nhours = [["08:00", "11:45"]]\nmake_up_days = ["2025-10-11"]\n'
    with_one = CONFIG.replace("[[agent]]", f"{timetable}[[agent]]", 1)
    loaded = load_config(write_config(tmp_path, with_one))
    assert list(loaded.timetables) == ["cn-014"]
    told = mistakes(tmp_path, with_one.replace("make_up_days", "makeup_days").replace("11:45", "07:45"))
    assert "in order" in told[0]
    assert "did you mean 'make_up_days'?" in told[1]


def test_a_missing_or_short_token_file_is_a_mistake(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    (tmp_path / "edge-1.token").write_text("short\n", encoding="ascii")
    (tmp_path / "edge-2.token").unlink()
    with pytest.raises(ConfigurationMistakes) as caught:
        load_config(path)
    first, second = caught.value.mistakes
    assert "has 5 characters" in str(first)
    assert "cannot be read" in str(second)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [("a = = 1\n", "1", "Invalid value"), ("\n[centre\n", "2", "Expected"), ("", "1", "centre: is missing")],
)
def test_broken_toml_names_its_line(tmp_path: Path, text: str, line: str, said: str) -> None:
    told = mistakes(tmp_path, text)[0]
    assert told.startswith(f"{line}: ")
    assert said in told


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config(tmp_path / "nowhere.toml")
