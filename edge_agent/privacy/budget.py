"""What one person's presence may cost, in zero-concentrated differential privacy (rho), and what of it is spent. Pure.

Everything is an integer or rounded against us: a charge up, sigma up. The Gaussian mechanism with standard deviation
sigma on numbers that one person changes by at most Delta, taken together (in L2), costs rho = Delta^2 / (2 sigma^2)
(Bun and Steinke 2016, proposition 1.6), the discrete one no more (Canonne, Kamath and Steinke 2020, theorem 4); and
costs add up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, isqrt, log, log1p
from typing import Final, NamedTuple

NANO: Final = 10**9
"""Nano-rho in one rho."""
DAY_MS: Final = 86_400_000
"""The time over which one person is protected."""
LEAST_SIGMA_MILLI: Final = 1000
"""Less noise would be taken for none; a budget that allows less is not used up."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much noise each slot gets, so that the slots of any 24 hours cost one person no more than `rho_nano`."""

    rho_nano: int
    """Of one person, over any 24 hours of privacy time."""
    slots: int
    """The most that 24 hours of the timetable have."""
    weight: int
    """The square of how far one person can move, in L2, all that is told of one slot."""
    sigma_milli: int
    """The noise's parameter, in thousandths of a person."""
    charge_nano: int
    """What one slot costs."""

    @classmethod
    def derive(cls, *, rho_milli: int, slots: int, weight: int) -> Budget:
        """The least noise with which so many slots fit."""
        rho_nano = rho_milli * NANO // 1000
        square = -(-500_000_000 * weight * slots // rho_milli)
        sigma_milli = max(LEAST_SIGMA_MILLI, isqrt(square - 1) + 1)
        while slots * _charge(weight, sigma_milli) > rho_nano:  # each charge is rounded up, and all of them must fit
            sigma_milli += 1
        return cls(rho_nano, slots, weight, sigma_milli, _charge(weight, sigma_milli))

    @property
    def error95(self) -> int:
        """How far a told value may be off, at most, in 95 of 100 cases."""
        return -(-196 * self.sigma_milli // 100_000)


def epsilon(rho: float, delta: float = 1e-6) -> float:
    """What rho comes to in (epsilon, delta) terms (Canonne, Kamath and Steinke 2020, corollary 13); for showing."""
    orders = (1 + exp(step / 50) for step in range(-300, 600))
    return min(
        order * rho + (log(1 / delta) - log(order - 1) + order * log1p(-1 / order)) / (order - 1) for order in orders
    )


def _charge(weight: int, sigma_milli: int) -> int:
    """weight / (2 sigma^2) in nano-rho, rounded up."""
    return -(-weight * NANO * 1_000_000 // (2 * sigma_milli**2))


class Charge(NamedTuple):
    """What a slot cost, and when."""

    privacy_ms: int
    rho_nano: int


class Moment(NamedTuple):
    """Privacy time, and what the clocks showed then."""

    privacy_ms: int
    wall_ms: int
    monotonic_ms: int


@dataclass(slots=True)
class Spending:
    """The privacy ledger as it stands on disk."""

    charges: dict[int, Charge] = field(default_factory=dict)
    """By the start of the slot, in the order in which they were made: a slot that stands here is told, for ever."""
    privacy_ms: int = 0
    """How far privacy time is at least."""
    kept: Moment | None = None
    """The last moment that was written down; None in a new store."""
    closed_until_ms: int = 0
    """The privacy time before which nothing is told, because more may have been spent than stands here."""
    is_whole: bool = True
    """Whether every charge is as it was written, and none is missing."""

    def add(self, start_ms: int, charge: Charge) -> None:
        """A slot was told."""
        self.charges[start_ms] = charge
        self.privacy_ms = max(self.privacy_ms, charge.privacy_ms)

    def keep(self, moment: Moment) -> None:
        """Privacy time was written down."""
        self.kept = moment
        self.privacy_ms = max(self.privacy_ms, moment.privacy_ms)

    def close(self, privacy_ms: int) -> None:
        """Tell nothing before this privacy time."""
        self.closed_until_ms = max(self.closed_until_ms, privacy_ms)

    def spent(self, privacy_ms: int) -> int:
        """What the charges of the 24 hours before this moment add up to, in nano-rho."""
        total = 0
        for charge in reversed(self.charges.values()):
            if charge.privacy_ms <= privacy_ms - DAY_MS:
                break
            total += charge.rho_nano
        return total
