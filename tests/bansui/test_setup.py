"""Set-up on a machine that lacks something: what is missing is named, with the command that brings it."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from tests import conftest, prerequisites
from tests.documents import ROOT
from tests.support import programs
from tests.support.programs import CHROMIUM, Program

if TYPE_CHECKING:
    from pathlib import Path

ABSENT = Program("mosquitto", ("no-such-program",), "no-such-package")


def _find_python(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/find-python where the only Python is `script`."""
    if script:
        python = folder / "python3"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    return subprocess.run(
        ["/bin/sh", ROOT / ".ci/find-python"], env={"PATH": str(folder)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", ["", "exit 1"], ids=["none", "too-old"])
def test_without_a_python_the_package_is_named(tmp_path: Path, script: str) -> None:
    """No Python, or only an old one: apt's name for it is printed."""
    done = _find_python(tmp_path, script)
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_without_venv_the_package_is_named(tmp_path: Path) -> None:
    """Debian's Python comes without ensurepip: the package that brings it is printed."""
    done = _find_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')
    assert done.returncode == 1
    assert "cannot make virtual environments" in done.stderr
    assert "apt-get install python3-venv" in done.stderr


def test_a_good_python_is_found(tmp_path: Path) -> None:
    """The path of a Python that can do it is all that is printed."""
    done = _find_python(tmp_path, "exit 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/python3\n", "")


def test_make_alone_lists_its_targets() -> None:
    """Whoever types `make` learns what there is; every target that is promised is told."""
    done = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "check", "docs", "bench", "clean"):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_what_is_left_out_is_told(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing may be installed, the tests left out are named with the reason; in CI that is a failure."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(prerequisites, "missing", lambda: [ABSENT])
    monkeypatch.setattr(prerequisites, "_right_to_install", lambda: ("neither root nor passwordless sudo", []))
    assert prerequisites.main() == code
    shown = capsys.readouterr().out
    assert "not installed: no-such-package (neither root nor passwordless sudo)" in shown
    assert "left out: tests marked 'mosquitto'" in shown
    assert "apt-get install no-such-package" in shown


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_marked_test_is_left_out_or_fails(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test whose program is missing is skipped with the command that brings it; in CI it fails."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(programs, "PROGRAMS", (ABSENT, CHROMIUM))
    item = cast("pytest.Item", SimpleNamespace(iter_markers=lambda: [pytest.mark.mosquitto.mark]))
    with pytest.raises(outcome, match="apt-get install no-such-package"):
        conftest.pytest_runtest_setup(item)


def test_programs_are_found_where_only_root_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian puts Mosquitto into /usr/sbin, which is on no user's PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    shell = tmp_path / "a-program"
    shell.write_text("")
    shell.chmod(0o755)
    assert Program("mosquitto", ("a-program",), "a").find() == str(shell)
    assert Program("mosquitto", ("chroot",), "coreutils").find() == "/usr/sbin/chroot"
