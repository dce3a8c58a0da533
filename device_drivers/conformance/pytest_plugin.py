"""The suite as tests. One line in a test beside `driver.toml` runs each check of the driver by its name:

from device_drivers.conformance.pytest_plugin import pytest_generate_tests, test_conformance  # noqa: F401
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_drivers.conformance.findings import Result
from device_drivers.conformance.suite import check, rules, subject_of

if TYPE_CHECKING:
    from device_drivers.conformance.subject import Subject
    from device_drivers.conformance.suite import Rule


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each rule, of the driver in whose folder the test stands."""
    if metafunc.function is test_conformance:
        subject = subject_of(str(Path(metafunc.module.__file__ or "").parent))
        cases = [pytest.param(subject, rule, id=rule.id) for rule in rules() if subject.has(rule.needs)]
        metafunc.parametrize(("subject", "rule"), cases)


def test_conformance(subject: Subject, rule: Rule) -> None:
    """The driver is as the rule has it; what is exempt, or still to be earned, is left out with the reason."""
    finding = check(subject, rule)
    if finding.result in (Result.EXEMPT, Result.OPEN, Result.NOT_FOR_IT):
        pytest.skip(f"{finding.result}: {finding.figure}")
    if finding.result is Result.FAILED:
        pytest.fail(f"{rule.what['en']}: {finding.figure}", pytrace=False)
