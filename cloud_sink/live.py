"""Who is watching: each gets the new summaries of what they watch, over a queue that cannot grow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from telemetry import Summary

MOST_QUEUED: Final = 64
"""Batches a watcher may be behind; after that it is let go, and connects again."""
MOST_WATCHERS: Final = 1000


class News:
    """What is new in one school, or in all: one object for everyone who watches it."""

    def __init__(self, summaries: Sequence[Summary] = ()) -> None:
        self.summaries = summaries
        self._text = ""

    def text(self, write: Callable[[Sequence[Summary]], str]) -> str:
        """As it is told, written once: for each of fifty watchers anew it took seconds."""
        self._text = self._text or write(self.summaries)
        return self._text


class Watcher:
    """One listener, for one school or for all."""

    def __init__(self, school: str | None) -> None:
        self.school = school
        self._queue: asyncio.Queue[News | None] = asyncio.Queue(MOST_QUEUED + 1)

    async def next(self, heartbeat_s: float) -> News | None:
        """What is new next; empty when nothing came for `heartbeat_s`; None when it is over."""
        try:
            return await asyncio.wait_for(self._queue.get(), heartbeat_s)
        except TimeoutError:
            return News()

    def offer(self, news: News) -> bool:
        """Queue it; false when the watcher is too far behind."""
        if self._queue.qsize() >= MOST_QUEUED:
            return False
        self._queue.put_nowait(news)
        return True

    def end(self) -> None:
        """Say that nothing more comes; what is queued and not yet told is dropped."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


class Live:
    """The set of watchers."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._is_over = False

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def is_full(self) -> bool:
        """Whether another watcher would be one too many, or the centre is ending."""
        return self._is_over or len(self._watchers) >= MOST_WATCHERS

    @contextlib.contextmanager
    def watch(self, school: str | None) -> Iterator[Watcher]:
        """Watch one school, or all, for as long as the block runs."""
        watcher = Watcher(school)
        if self._is_over:
            watcher.end()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def publish(self, summaries: Sequence[Summary], touched: Collection[str] = ()) -> None:
        """Tell every watcher what is new in its school; one that is too far behind is let go.

        A school that was `touched` by older windows alone, as after an outage, is told of with nothing new in it.
        """
        watched = {watcher.school for watcher in self._watchers}
        news = {school: News([s for s in summaries if school in (None, s.series.school)]) for school in watched}
        for watcher in list(self._watchers):
            told = news[watcher.school]
            is_touched = bool(touched) if watcher.school is None else watcher.school in touched
            if (told.summaries or is_touched) and not watcher.offer(told):
                self._watchers.discard(watcher)
                watcher.end()

    def end(self) -> None:
        """Let everyone go: the centre is ending."""
        self._is_over = True
        for watcher in self._watchers:
            watcher.end()
