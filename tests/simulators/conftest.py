from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulators.scenarios import Scenario, load
from tests.simulators.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session")
def school_day() -> Scenario:
    return load("school-day")


@pytest.fixture(scope="session")
def morning(school_day: Scenario) -> Scenario:
    """The same school until ten o'clock: a quarter of the frames."""
    return school_day.model_copy(update={"ends": "10:00"})


@pytest.fixture(scope="session")
def hour(school_day: Scenario) -> Scenario:
    """The same school until a quarter to nine: sixty frames of each device."""
    return school_day.model_copy(update={"ends": "08:45"})


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    await recorder.open()
    yield recorder
    await recorder.close()
