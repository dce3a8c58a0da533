"""What holds for every test, in `tests/` and beside each driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, settings

from tests.support.programs import in_ci

if TYPE_CHECKING:
    import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin first; the others keep their order."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(FIRST)))
