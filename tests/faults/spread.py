"""Spreads the repetitions of a campaign over the machine's cores."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[[Item], Result], items: Sequence[Item], at_once: int) -> Iterator[Result]:
    """What `work` makes of each item, in their order. Both, and the results, go from one process to another.

    `at_once` items go together, where one is little work.
    """
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, items, chunksize=at_once)


def parts(count: int) -> list[range]:
    """The numbers below `count`, in a few ranges for each core."""
    size = -(-count // (4 * (os.cpu_count() or 1)))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
