"""What is installed is ours, and what is built is whole."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from telemetry.policy import SHIPPED
from tests.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_is_our_own(name: str) -> None:
    """`telemetry` and `broker` exist on PyPI too: what is imported under these names is this project's."""
    module = importlib.import_module(name)
    assert module.__file__ == str(ROOT / name / "__init__.py")
    assert metadata.packages_distributions().get(name, ["bansui"]) == ["bansui"]


def test_every_folder_of_code_is_in_the_wheel() -> None:
    """A new room that the build does not know would be missing from every installation."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - {"tests", "bench"} == set(PACKAGES)
    assert all((ROOT / name / "py.typed").exists() for name in PACKAGES)


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    """The wheel, built without a network, holds every package, the configurations and the pages' files."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("bansui-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True)
    assert names.issuperset(tracked.stdout.split())
    for path in (ROOT / "configs").rglob("*.*"):
        assert f"bansui/_configs/{path.relative_to(ROOT / 'configs')}" in names
    assert {f"telemetry/policies/{name}.toml" for name in SHIPPED} <= names
    vendored = [path for path in (ROOT / "cloud_sink/static/vendor").rglob("*") if path.is_file()]
    assert vendored
    assert names.issuperset(str(path.relative_to(ROOT)) for path in vendored)
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


def test_locked_versions_satisfy_the_project() -> None:
    """What `make setup` installs is what the project asks for; what `make fuzz` adds is locked apart."""
    locked = {
        line.split("==")[0].lower().replace("_", "-")
        for file in ("requirements.lock", "fuzz.lock")
        for line in (ROOT / file).read_text().splitlines()
        if "==" in line
    }
    for requirement in metadata.requires("bansui") or []:
        name = re.split(r"[^A-Za-z0-9-]", requirement)[0].lower()
        if name != "bansui" and "p2" not in requirement.partition(";")[2]:
            assert name in locked, f"{name} is not locked"
