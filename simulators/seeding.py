"""One seed, and from it a stream of random numbers for every part that needs one."""

from __future__ import annotations

from random import Random


class Noise(Random):
    """Random numbers of one part; while it is `still`, what its sensors add to the truth is nothing."""

    still = False

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """As in the standard library, or `mu` of a sensor that hangs."""
        return mu if self.still else super().gauss(mu, sigma)


def stream(seed: int, name: str) -> Noise:
    """The random numbers of the part called `name`: the same for the same seed, whatever the other parts draw."""
    return Noise(f"{seed}/{name}")
