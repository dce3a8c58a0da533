"""One seed, and from it a stream of random numbers for every part that needs one."""

from __future__ import annotations

from random import Random


def stream(seed: int, name: str) -> Random:
    """The random numbers of the part called `name`: the same for the same seed, whatever the other parts draw."""
    return Random(f"{seed}/{name}")  # noqa: S311 - a simulation has to be repeatable, and guards no secret
