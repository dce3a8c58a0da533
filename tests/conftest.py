"""Fixtures that every room's tests may use, and the rule for tests whose program is not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bansui.free_port import free_port
from tests.faults import small_disk
from tests.support import programs
from tests.support.memory import memory_folder
from tests.support.mosquitto import Mosquitto
from tests.support.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a marked test out, saying why, when its program is missing; in CI fail it. What the machine refuses, no
    installation gives."""
    for mark in item.iter_markers():
        if mark.name == "small_disk" and (reason := small_disk.refusal()):
            pytest.skip(reason)
        for program in programs.missing(mark.name):
            reason = f"{program.names[0]} is not installed: apt-get install {program.package}"
            if programs.in_ci():
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say a figure that the run's summary repeats: how many kills, how many readings, how long."""
    return lambda text: request.node.user_properties.append(("figure", text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests measured."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"{report.nodeid}: {text}")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's own, in memory, gone after the test."""
    with memory_folder("bansui-test-") as folder:
        yield Path(folder)


@pytest.fixture
def short_memory_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers are heard less often for the suite's check of memory; `make supported` has the time for all of it."""
    monkeypatch.setattr("device_drivers.conformance.cost_checks.TIME_S", 0.05)


@pytest.fixture
def port() -> int:
    """A free loopback port; prefer binding port 0 where the program can say which it got."""
    return free_port()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes; every one of them has ended when the test has."""
    started = Processes(tmp_path / "processes")
    yield started
    started.end()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real Mosquitto; mark the test with `pytest.mark.mosquitto`."""
    broker = Mosquitto(tmp_path / "mosquitto")
    yield broker
    broker.stop()
