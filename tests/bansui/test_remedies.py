"""What an error asks for is said in Chinese too, and every sentence that the code can say has its translation."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bansui
from bansui.failures import show
from bansui.remedies import chinese, translate
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(bansui.__file__).parent.parent
ROOMS = ("bansui", "broker", "cloud_sink", "device_drivers", "edge_agent", "simulators", "telemetry")
SUGGESTIONS = {"allowed: {}", "did you mean {}? (allowed: {})", "did you mean {}? there is: {}", "there is: {}"}
"""What `suggest` says."""


def sentences() -> set[str]:
    """Every `fix=` and `why=` of the code that is written out where an error is made, or beside it as a constant.

    And every `what=` of the doctor's: it is no error, and told as a whole.
    """
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = {
                node.target.id: node.value
                for node in tree.body
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    is_finding = isinstance(node.func, ast.Name) and node.func.id == "Finding"
                    for keyword in node.keywords:
                        if keyword.arg in ("fix", "why") or (is_finding and keyword.arg == "what"):
                            found |= set(_templates(keyword.value, constants))
    return found


def _templates(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _templates(body, constants)
            yield from _templates(orelse, constants)
        case ast.Name(id=name) if name in constants:
            yield from _templates(constants[name], constants)


def test_every_sentence_has_a_translation_and_no_translation_is_left_over() -> None:
    words = chinese()
    assert sentences() | SUGGESTIONS == set(words)
    assert all(english.count("{}") == text.count("{}") for english, text in words.items())


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("give it another id", "换一个 id"),
        ("let the agent's user own /var/lib/bansui", "让边缘网关的用户拥有 /var/lib/bansui"),
        ("did you mean 'co2'? there is: co2, pm25", "是否要写 'co2'？现有：co2, pm25"),
        ("take one of strict, demo, or a file NAME.toml", "取其一：strict, demo，或文件 NAME.toml"),
        ("nobody has said this", "nobody has said this"),
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
