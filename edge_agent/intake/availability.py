"""Says once that a device is gone and once that it is back, and how long to wait before the next try."""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
_MOST_DOUBLINGS: Final = 10
"""Beyond the longest wait: a device may be away for years."""


class Availability:
    """Whether one device answers; the only place that logs it."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._failures = 0

    @property
    def is_available(self) -> bool:
        """Whether the last try succeeded; true before the first."""
        return self._failures == 0

    def up(self) -> None:
        """The device answered."""
        if self._failures:
            _log.info("device %s is back", self._device)
        self._failures = 0

    def down(self, what: str) -> float:
        """The device did not answer; returns the seconds to wait before the next try."""
        if not self._failures:
            _log.warning("device %s is unavailable: %s", self._device, what)
        self._failures += 1
        return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures - 1, _MOST_DOUBLINGS)))
