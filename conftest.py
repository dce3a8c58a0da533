"""What holds for every test, in `tests/` and beside each driver."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.programs import in_ci

# The machine may be busy: slowness is no failure. In CI every run tries the same examples.
settings.register_profile("bansui", deadline=None, derandomize=in_ci(), suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bansui")
