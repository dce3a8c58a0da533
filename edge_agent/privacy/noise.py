"""Noise for people counts: OpenDP's discrete Gaussian on integers, exact to the last bit; never a float.

OpenDP is the extra `p2`, since it takes 265 MB. Without it, or with one whose cost for a slot is not what the budget
charges, there is no noise, and so nothing is told.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from edge_agent.privacy.budget import NANO
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.privacy.budget import Budget

OLDEST: Final = (0, 16)
"""Before it, samplers of OpenDP were biased (its changelog, 0.14.2)."""
_FIX: Final = "install it with `pip install 'bansui[agent,p2]'`, or set [P2] export = \"none\" in the policy"

Noise: TypeAlias = "Callable[[int], int]"
"""Gives a number with noise added, another at every call."""


class NoiseMissing(EnvironmentFault):
    """There is no noise that may be trusted."""

    code = "noise_missing"


def discrete_gaussian(budget: Budget) -> Noise:
    """The noise that this budget asks for. Raises `NoiseMissing`."""
    try:
        installed = version("opendp")
        dp: Any = importlib.import_module("opendp.prelude")
    except (PackageNotFoundError, ImportError, OSError) as error:
        raise NoiseMissing(f"OpenDP is not there: {type(error).__name__}", fix=_FIX) from None
    if tuple(int(part) for part in installed.split(".")[:2]) < OLDEST:
        raise NoiseMissing(f"OpenDP {installed} is too old: 0.16 or newer is needed", fix=_FIX)
    dp.enable_features("contrib")
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    measurement = dp.m.make_gaussian(*space, scale=budget.sigma_milli / 1000)
    costs_nano = measurement.map(1) * budget.weight * NANO
    if costs_nano > budget.charge_nano + 1e-6:  # a millionth of a nano-rho: the scale is a float
        raise NoiseMissing(f"OpenDP {installed} takes {costs_nano:.0f} nano-rho for a slot", fix=_FIX)

    def noise(exact: int) -> int:
        return int(measurement(exact))

    return noise
