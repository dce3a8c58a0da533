"""The conformance suite: what every driver is held to, on its recorded frames, without hardware.

`suite` runs the checks of `rules.toml` and gives a grade; `pytest_plugin` runs them as tests. A driver's own tests take
from here what they need of its recorded frames.
"""

from device_drivers.conformance.readme import fields_table
from device_drivers.conformance.recorded import check_case, fixture_cases, outcome

__all__ = ["check_case", "fields_table", "fixture_cases", "outcome"]
