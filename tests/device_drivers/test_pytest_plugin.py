"""One line in a vendor's test runs the whole suite, a test for each check."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from device_drivers.conformance.suite import rules
from tests.device_drivers.sample_drivers import SampleDriver
from tests.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LINE = "from device_drivers.conformance.pytest_plugin import pytest_generate_tests, test_conformance  # noqa: F401\n"


def run(driver: SampleDriver) -> str:
    (driver.write().folder / "test_driver.py").write_text(LINE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--color=no", "test_driver.py"]
    done = subprocess.run(
        command,
        cwd=driver.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


def test_each_check_is_a_test_by_its_name(tmp_path: Path) -> None:
    said = run(SampleDriver(tmp_path, "mqtt"))
    for rule in rules():
        is_tested = f"PASSED test_driver.py::test_conformance[{rule.id}]" in said
        assert is_tested is (rule.needs in ("decode", "mqtt")), said


def test_a_check_that_fails_is_a_test_that_fails_and_an_exempt_one_is_left_out(tmp_path: Path) -> None:
    driver = SampleDriver(tmp_path, "mqtt").replace("float(value)", "value + 1.0")
    driver.manifest = driver.manifest.replace(
        "[families]", '[exempt]\nrange = "a sensor of another planet"\n[families]'
    )
    said = run(driver)
    assert "FAILED test_driver.py::test_conformance[golden]" in said
    assert "it gives {'carbon_dioxide': 413}" in said
    assert "exempt: a sensor of another planet" in said
    assert "1 failed" in said
