"""What holds for every test, in `tests/` and beside each driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.programs import in_ci

if TYPE_CHECKING:
    from collections.abc import Generator

FIRST: Final = (
    "tests/privacy/test_proofs.py",
    "tests/faults/test_campaigns.py",
    "tests/system/test_demo.py",
    "tests/faults/test_hostile_campaigns.py",
    "tests/bansui/test_privacy.py",
    "tests/device_drivers/test_conformance_of_ours.py",
    "tests/simulators/test_school.py",
    "tests/cloud_sink/test_browser.py",
    "tests/bansui/test_buffer.py",
    "tests/system/test_kill_agent.py",
    "tests/privacy/test_schema.py",
    "tests/system/test_score.py",
    "tests/system/test_sabotaged_vendor.py",
    "tests/bansui/test_driver_scaffold.py",
)
"""The files that take longest, longest first: what began last would be waited for alone."""

# The machine may be busy: slowness is no failure. In CI every run tries the same examples.
settings.register_profile("bansui", deadline=None, derandomize=in_ci(), suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bansui")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each of several workers begin each folder at another place. In a fresh clone every test file has to be
    rewritten and compiled, longer than all else that collecting is: so each does its part, and finds what the others
    have written."""
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and isinstance(collector, pytest.Directory):
        begin = len(report.result) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        report.result = report.result[begin:] + report.result[:begin]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin first; the others go by their names, wherever collecting began."""
    place = {name: number for number, name in enumerate(FIRST)}

    def order(item: pytest.Item) -> tuple[int, str]:
        file = item.nodeid.partition("::")[0]
        return place.get(file, len(FIRST)), file

    items.sort(key=order)
