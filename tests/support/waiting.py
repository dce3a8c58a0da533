"""Waiting for what will be true soon, with a deadline instead of a sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
_PAUSE_S: Final = 0.01


async def until(predicate: Callable[[], T | Awaitable[T]], timeout: float = 10.0, what: str = "") -> T:
    """Poll `predicate`, which may be a coroutine function, until it is true, and return what it returned.

    Raises AssertionError naming `what` after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_too_late(predicate, timeout, what))
        await asyncio.sleep(_PAUSE_S)


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, what: str = "") -> T:
    """As `until`, outside a loop."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(_too_late(predicate, timeout, what))
        time.sleep(_PAUSE_S)


def _too_late(predicate: Callable[[], object], timeout: float, what: str) -> str:
    return f"not within {timeout:g} s: {what or getattr(predicate, '__qualname__', repr(predicate))}"
