"""What an error asks for is said in Chinese too, and every sentence that the code can say has its translation."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from bansui import cli
from bansui.failures import show
from bansui.remedies import TABLES, chinese, table_of, translate
from telemetry import ConfigurationError
from tests.support.sentences import sentences, templates

CALLS = (
    "nonsense",
    "agent validte",
    "agent validate --confg x",
    "agent validate --jso",
    "agent validate",
    "agent validate --config",
    "agent validate --json=3",
    "agent validate extra",
    "driver capture",
    "driver new acme nonsense too-much",
    "privacy year --format xls --config x",
    "privacy year --year much --config x",
    "sim run school --rooms -1",
    "sim run school --seconds much",
)
"""A call for each way in which one can be wrong."""


def test_every_sentence_has_a_translation_and_no_translation_is_left_over() -> None:
    assert sentences() == table_of("mistakes").keys() | table_of("remedies").keys()
    assert sum(len(table_of(name)) for name in TABLES) == len(chinese()), "each stands once"
    assert all(english.count("{}") == text.count("{}") for english, text in chinese().items())


def test_what_is_wrong_is_found_behind_the_place_where_it_is() -> None:
    """A clause that begins with what it puts in takes the place before it along, so its Chinese begins with it too."""
    begun = {english: text for english, text in table_of("mistakes").items() if english.startswith("{}")}
    assert begun
    assert [text for text in begun.values() if not text.startswith("{}")] == []


def test_every_way_in_which_a_file_may_be_no_toml_has_a_translation() -> None:
    found = find_spec("tomllib._parser")
    assert found is not None
    assert found.origin is not None
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raised = [call.args[2] for call in calls if ast.unparse(call.func) == "suffixed_err"]
    said = {template for each in raised for template in templates(each, {})}
    assert said
    assert said <= table_of("libraries").keys()


@pytest.mark.parametrize("call", CALLS)
def test_what_is_wrong_with_a_call_is_told_in_chinese(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert cli.run(call.split()) == 2
    told, *_ = capsys.readouterr().err.splitlines()
    assert not re.findall(r"[A-Za-z]+", re.sub(rf"'[^']*'|--\w+|{call.rsplit(maxsplit=1)[-1]}", "", told)), told


def test_all_that_typer_puts_around_a_help_is_chinese(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every command: the words before and behind what is ours."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    english = re.compile(r"Usage|OPTIONS|COMMAND|ARGS|Arguments|Options|Commands|Show this|required|default:")
    paths = list(_paths(typer.main.get_command(cli.build()), ()))
    assert len(paths) > 30
    for path in paths:
        assert cli.run([*path, "--help"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("用法: bansui")
        assert not english.findall(shown), path


def _paths(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", {}).items()
    return [path, *(each for name, child in below for each in _paths(child, (*path, name)))]


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("give it another id", "换一个 id"),
        ("let the agent's user own /var/lib/bansui", "让边缘网关的用户拥有 /var/lib/bansui"),
        ("did you mean 'co2'? there is: co2, pm25", "是否要写 'co2'？现有：co2, pm25"),
        ("take one of strict, demo, or a file NAME.toml", "取其一：strict, demo，或文件 NAME.toml"),
        ("nobody has said this", "nobody has said this"),
        ("agent 'a; b: c' stands twice", "边缘网关 'a; b: c' 出现两次"),
        (
            "  a.toml:3: device[1].mqtt.topc: no such key; did you mean 'topic'? (allowed: qos, topic)",
            "  a.toml:3: device[1].mqtt.topc: 没有这个键；是否要写 'topic'？（可用：qos, topic）",
        ),
        (
            "  a.toml:9: room[1].area: has to be more than 0 (found -3)",
            "  a.toml:9: room[1].area: 必须大于 0（现为 -3）",
        ),
        ("3 mistakes in the configuration", "3 处错误（在配置文件中）"),
    ],
)
def test_what_an_error_puts_in_stands_in_its_place(english: str, expected: str) -> None:
    assert translate(english, chinese()) == expected


def test_a_chinese_reader_is_told_in_chinese_what_to_do_and_a_program_in_english(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    error = ConfigurationError("no client", why="without one, nobody may connect", fix="mend [centre] host")
    show([error], as_json=False)
    told = capsys.readouterr().err
    assert "原因: 没有客户端就没有人能连接" in told
    assert "处理: 修改 [centre] host" in told
    show([error], as_json=True)
    assert '"fix": "mend [centre] host"' in capsys.readouterr().err
