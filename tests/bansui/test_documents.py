"""Documentation that cannot go stale: what the code has, the documents have."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import BaseModel

from cloud_sink.config import CentreConfig
from edge_agent.config import Configuration
from telemetry import quantities
from tests import documents
from tests.documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README, README_ZH = ROOT / "README.md", ROOT / "README.zh-CN.md"


def test_generated_parts_are_fresh() -> None:
    """`make docs` was run after the last change."""
    assert documents.stale() == []


def test_every_command_and_option_is_documented() -> None:
    """Whoever reads docs/cli.md knows every command, and each of its options."""
    text = (ROOT / "docs/cli.md").read_text()
    sections = dict(re.findall(r"^### `(.+?)`\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))
    found = dict(documents.commands())
    assert sections.keys() == found.keys()
    for path, command in found.items():
        assert command.help, f"{path} has no help"
        for name, meaning in documents.parameters(command):
            assert f"| `{name}` |" in sections[path]
            assert meaning.strip(), f"{path} {name} has no help"


def test_every_command_answers_programs() -> None:
    """`--json` is on each command; those that run until they are told to end print an object a line."""
    for path, command in documents.commands():
        [meaning] = [meaning for name, meaning in documents.parameters(command) if "--json" in name]
        assert ("one object a line" in meaning) == path.endswith(" run"), path


def test_every_quantity_is_documented() -> None:
    """docs/vocabulary.md has a row for each quantity, with both its names."""
    text = (ROOT / "docs/vocabulary.md").read_text()
    for entry in quantities():
        assert f"| `{entry.id}` | {entry.name_en} | {entry.name_zh} | `{entry.unit}` |" in text


def test_a_stale_part_is_found() -> None:
    """The check sees a command or quantity that the document does not have."""
    text = (ROOT / "docs/vocabulary.md").read_text()
    changed = re.sub(r"\| `temperature` .*\n", "", text)
    assert changed != text == documents.renew(changed)


@pytest.mark.parametrize(
    ("model", "heading"), [(Configuration, "agent.toml"), (CentreConfig, "centre.toml")], ids=["agent", "centre"]
)
def test_every_configuration_key_is_documented(model: type[BaseModel], heading: str) -> None:
    """docs/configuration.md has every key under its table's heading, and no key that is not there."""
    text = (ROOT / "docs/configuration.md").read_text()
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = dict(re.findall(r"^### (\S+)\n(.*?)(?=^#|\Z)", part, re.MULTILINE | re.DOTALL))
    documented = {
        f"{table}.{key}"
        for table, body in tables.items()
        for key in re.findall(r"^\| `([a-z_]+)` \|", body, re.MULTILINE)
    }
    assert documented == set(_keys(model, ""))


def _keys(model: type[BaseModel], table: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for kind in inner:
            yield from _keys(kind, f"{table}.{name}" if table else name)
        if not inner:
            yield f"{table}.{name}"


def _kinds(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link names a file that is there."""
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_readmes_say_the_same() -> None:
    """Both have the same outline, commands and links; a document that is there in Chinese is linked in Chinese."""
    english, chinese = README.read_text(), README_ZH.read_text()
    for document in (ROOT / "docs").glob("*.zh-CN.md"):
        in_english = document.name.replace(".zh-CN", "")
        assert f"(docs/{in_english})" not in chinese
        chinese = chinese.replace(f"docs/{document.name}", f"docs/{in_english}")
    for pattern in (r"^(#+) ", r"^ {4}(.+?)(?: +#.*)?$", r"\]\(((?!README)[^)]+)\)"):
        assert re.findall(pattern, english, re.MULTILINE) == re.findall(pattern, chinese, re.MULTILINE)


def test_the_readmes_commands_are_targets() -> None:
    """What the README tells a stranger to type exists."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for readme in (README, README_ZH):
        named = set(re.findall(r"\bmake ([a-z]+)", readme.read_text()))
        assert {"demo", "test"} <= named <= targets


def test_the_changelog_has_the_version() -> None:
    """The changelog keeps to its form, and is begun for what is not released."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "keepachangelog.com" in text
    assert "## [Unreleased]" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_map_is_short_and_whole() -> None:
    """ARCHITECTURE.md fits in 200 lines and has every room."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 200
    for room in ("telemetry", "device_drivers", "simulators", "broker", "edge_agent", "cloud_sink", "bansui"):
        assert f"`{room}/`" in text


def test_commands_in_documents_exist() -> None:
    """Whatever a document tells a person to type is a command, with options that it has."""
    known = {path: {name for name, _ in documents.parameters(command)} for path, command in documents.commands()}
    seen = 0
    for file in DOCUMENTS:
        for called in re.findall(r"(?m)(?:^    |`)(bansui [a-z][^`\n]*)", file.read_text()):
            if any(path.startswith(f"{called} ") for path in known):
                continue  # a group as a whole
            path = max((path for path in known if f"{called} ".startswith(f"{path} ")), key=len, default="")
            assert path, f"{file.name}: {called}"
            options = " ".join((*known[path], "--help"))
            for option in re.findall(r"(?<=\s)--[a-z-]+", called.partition("#")[0]):
                assert option in options, f"{file.name}: {called}"
            seen += 1
    assert seen > 30
