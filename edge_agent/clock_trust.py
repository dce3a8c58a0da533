"""Whether the machine's clock may be believed: a time service keeps it, or the centre's clock agrees with it."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemetry import Clock

EARLIEST_MS: Final = 1_735_689_600_000
"""2025-01-01: a clock that shows less has lost its battery."""
TOLERANCE_S: Final = 5.0
"""How far the centre's Date, which tells whole seconds, may be off."""
ASK_EVERY_S: Final = 1.0
"""How often the kernel is asked: a clock that is set is noticed by itself, and a time service does not come and go."""
_STA_UNSYNC: Final = 0x40


class ClockTrust(Protocol):
    """Asked whenever the agent looks at the clock."""

    @property
    def offset_ms(self) -> int:
        """How far the clock was ahead of the centre's when that was last heard."""
        ...

    def holds(self) -> bool:
        """Whether the clock may be believed."""
        ...

    def stepped(self) -> None:
        """The clock was set: what was heard of it before says nothing any more."""
        ...

    def heard(self, offset_s: float) -> None:
        """The centre's clock was seen, and this one was so far ahead of it."""
        ...


class Always:
    """Trust in a clock that is right by definition: a scaled one, or one that the operator vouches for."""

    offset_ms = 0

    def holds(self) -> bool:
        """It may."""
        return True

    def stepped(self) -> None:
        """Nothing changes."""

    def heard(self, offset_s: float) -> None:
        """Keep it for the report."""
        self.offset_ms = round(offset_s * 1000)


class Confirmed:
    """Trust in the machine's own clock, once somebody has confirmed it."""

    def __init__(self, clock: Clock, is_kept: Callable[[], bool] | None = None) -> None:
        self._clock = clock
        self._ask = is_kept or kernel_is_synchronised
        self._ask_next = float("-inf")
        self._is_kept = False
        self._agreed = False
        self.offset_ms = 0

    def holds(self) -> bool:
        """As the protocol says: kept by a time service since it was last set, or agreed with by the centre."""
        if self._clock.now() < EARLIEST_MS:
            return False
        if not self._agreed and (now := self._clock.monotonic()) >= self._ask_next:
            self._is_kept, self._ask_next = self._ask(), now + ASK_EVERY_S
        return self._agreed or self._is_kept

    def stepped(self) -> None:
        """As the protocol says."""
        self._agreed = False
        self._ask_next = float("-inf")

    def heard(self, offset_s: float) -> None:
        """As the protocol says."""
        self.offset_ms = round(offset_s * 1000)
        self._agreed = abs(offset_s) <= TOLERANCE_S


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); the kernel writes no more than the padding holds."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def kernel_is_synchronised() -> bool:
    """Whether a time service keeps the clock: the kernel forgets it when the clock is set by hand (adjtimex(2))."""
    timex = _Timex()
    answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return answer >= 0 and not timex.status & _STA_UNSYNC
