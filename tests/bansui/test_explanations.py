"""`bansui explain`: every code in the tree is explained, in both languages, by what the tree says of it."""

from __future__ import annotations

import ast
import importlib
import json
import re
from typing import TYPE_CHECKING

import pytest

from bansui import failures
from bansui.explanations import Explanation, explanations
from device_drivers import contract as drivers
from edge_agent import admission
from edge_agent.store.balance import STAGES
from tests.documents import ROOT
from tests.errors import every_error
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ERRORS = {entry.code: entry for entry in explanations() if entry.kind == "error"}
REASONS = {entry.code for entry in explanations() if entry.kind == "reason"}
WITHHELD = {"device_moved", "device_removed", "device_replaced", "outside_hours", "rule_changed", "told_elsewhere"}


def test_every_error_code_is_explained_and_no_other() -> None:
    """A code that a person can meet has an explanation; an explanation is of a code that there is."""
    assert ERRORS.keys() == {error.code for error in every_error()}


def test_every_exit_code_is_the_trees() -> None:
    """An explanation names the exit code that the error really has."""
    for error in every_error():
        assert ERRORS[error.code].exit_code == failures.exit_code([error.__new__(error)]), error.code


def test_every_reason_of_a_rejection_is_explained_and_no_other() -> None:
    """What a driver or admission may count as the reason of a rejection is explained."""
    found = {reason for path in _sources() for reason in _reasons_in(path)}
    found |= {word for name, word in vars(admission).items() if name.isupper() and isinstance(word, str)}
    assert len(found) > 20
    assert found | WITHHELD | drivers.REASONS == REASONS
    refusals = {
        reason for path in _sources() if path.is_relative_to(ROOT / "device_drivers") for reason in _reasons_in(path)
    }
    assert refusals <= drivers.REASONS
    withholding = "".join((ROOT / f"edge_agent/{name}.py").read_text() for name in ("closing", "refitting"))
    assert all(f'"{reason}"' in withholding for reason in WITHHELD)


def test_every_word_of_the_balance_is_explained() -> None:
    """The audit's words and the explained ones are the same."""
    assert {entry.code for entry in explanations() if entry.kind == "stage"} == set(STAGES)


@pytest.mark.parametrize("entry", explanations(), ids=lambda entry: f"{entry.kind}-{entry.code}")
def test_an_explanation_is_whole_in_both_languages(entry: Explanation) -> None:
    """What, why and what to do: a sentence each, English without Chinese and Chinese with."""
    for part in (entry.what, entry.why, entry.fix):
        assert part.keys() == {"en", "zh"}
        assert part["en"].isascii()
        assert re.search(r"[\u4e00-\u9fff]", part["zh"])
        assert part["en"].endswith((".", "`"))
        assert part["zh"].endswith(("。", "`"))


def test_commands_in_explanations_exist() -> None:
    """What an explanation tells to type is a command, with an option that it has."""
    from tests.documents import commands, parameters  # noqa: PLC0415 - builds the whole command

    known = {path: " ".join(name for name, _ in parameters(command)) for path, command in commands()}
    for entry in explanations():
        for language in ("en", "zh"):
            for called in re.findall(r"`(bansui [^`]+)`", entry.fix[language]):
                path = max((path for path in known if called.startswith(path)), key=len, default="")
                assert path, called
                assert all(option in known[path] or option == "--help" for option in re.findall(r"--[a-z-]+", called))


def test_explain_speaks_the_readers_language() -> None:
    """The same code, in English and in Chinese."""
    english = run_bansui("explain", "port_taken").stdout
    chinese = run_bansui("explain", "port_taken", env={"LC_ALL": "zh_CN.UTF-8"}).stdout
    assert "error, exit code 3" in english
    assert "what to do: `ss -ltnp" in english
    assert "退出码 3" in chinese
    assert "怎么办: `ss -ltnp" in chinese


def test_explain_for_programs_has_both_languages() -> None:
    """A supervisor's page can show either."""
    [entry] = json.loads(run_bansui("explain", "personal", "--json").stdout)
    assert (entry["code"], entry["kind"], entry["exit_code"]) == ("personal", "reason", None)
    assert entry["what"].keys() == {"en", "zh"}


def test_explain_alone_lists_every_code() -> None:
    """Whoever does not know the code finds it."""
    lines = run_bansui("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [entry.code for entry in explanations()]


def test_an_unknown_code_is_guessed() -> None:
    """A slip of the pen leads to the likely code."""
    done = run_bansui("explain", "port-takn")
    assert done.returncode == 2
    assert "fix: bansui explain port_taken" in done.stderr
    assert "fix: bansui explain\n" in run_bansui("explain", "xyzzy").stderr


def test_an_error_in_chinese_says_what_it_means_in_chinese() -> None:
    """The sentence of an error is English; its meaning, its frame and the way to more are the reader's."""
    done = run_bansui("explain", "nope", env={"LC_ALL": "zh_CN.UTF-8"})
    assert "含义: 这个词既不是错误代码" in done.stderr
    assert "详见: bansui explain unknown_code" in done.stderr


def _sources() -> Iterator[Path]:
    for room in ("device_drivers", "edge_agent"):
        for path in (ROOT / room).rglob("*.py"):
            if not path.name.startswith("test_"):
                yield path


def _reasons_in(path: Path) -> Iterator[str]:
    """The first argument of each FrameRefused, whether it stands there, is a constant, or comes from a table."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FrameRefused":
            yield from _first_words(node.args[0], module)


def _first_words(node: ast.expr, module: str) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Starred):
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id.strip("_").isupper():
                table = getattr(importlib.import_module(module), name.id)
                yield from (reason for reason, _ in (table.values() if isinstance(table, dict) else [table]))
    elif isinstance(node, ast.Name) and node.id.isupper():
        value = getattr(importlib.import_module(module), node.id)
        if isinstance(value, str):
            yield value
