"""Frames that came in and wait for their commit: grouped, in order, and bounded by holding the senders back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.events import Batch

MOST_FRAMES: Final = 4000
"""Frames after which a journal transaction takes no further batch."""
ENOUGH_FRAMES: Final = 200
"""Frames that do not wait for a group commit's time: a transaction of so many is worth a sync of the disk."""
HOLD_FROM: Final = 40_000
"""Frames with which senders are held back; those that cannot be, such as serial lines, go on to twice as many."""
RESUME_BELOW: Final = 10_000


class Pending:
    """A queue of batches."""

    def __init__(self, group_commit_s: float) -> None:
        self._group_commit_s = group_commit_s
        self._batches: deque[Batch] = deque()
        self._since: float | None = None
        """When the oldest began to wait."""
        self._is_holding = False
        self._dropped = 0
        self.frames = 0

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, batch: Batch, now: float) -> None:
        """Let a batch wait. With no room left for it, what nobody waits for a word about is dropped, and counted."""
        if self.frames >= 2 * HOLD_FROM:
            kept = [arrival for arrival in batch.arrivals if arrival.packet_id]
            self._dropped += len(batch.arrivals) - len(kept)
            batch = replace(batch, arrivals=kept)
        if not (batch.arrivals or batch.exchanges or batch.departed):
            return
        if self._since is None:
            self._since = now
        self._batches.append(batch)
        self.frames += len(batch.arrivals)

    def put_back(self, batches: Sequence[Batch], dropped: int) -> None:
        """Batches that were taken and could not be committed wait again, before all others; with them, the number of
        frames that were dropped before."""
        self._batches.extendleft(reversed(batches))
        self._dropped += dropped
        self.frames += sum(len(batch.arrivals) for batch in batches)
        self._since = float("-inf")

    def hurry(self) -> None:
        """Let what waits be due."""
        self._since = float("-inf") if self._batches else None

    def is_due(self, now: float) -> bool:
        """Whether a group is complete, or has waited for its time."""
        since = self._since
        return since is not None and (now - since >= self._group_commit_s or self.is_enough)

    @property
    def is_enough(self) -> bool:
        """Whether as much waits as is worth a transaction by itself, whatever the time."""
        return self.frames >= ENOUGH_FRAMES

    def is_more_than_one(self) -> bool:
        """Whether more waits than one transaction takes."""
        return self.frames >= MOST_FRAMES

    @property
    def is_provisional(self) -> bool:
        """Whether the oldest that waits came in while the clock could not be believed."""
        return bool(self._batches) and self._batches[0].is_provisional

    def take(self, now: float) -> tuple[list[Batch], int]:
        """The batches of one transaction, and how many frames were dropped since the last.

        What is stamped with provisional time goes by itself.
        """
        taken: list[Batch] = []
        frames, is_provisional = 0, self.is_provisional
        while self._batches and frames < MOST_FRAMES and self._batches[0].is_provisional == is_provisional:
            taken.append(self._batches.popleft())
            frames += len(taken[-1].arrivals)
        self.frames -= frames
        self._since = now if self._batches else None
        dropped, self._dropped = self._dropped, 0
        return taken, dropped

    def turned(self, *, is_full: bool) -> bool | None:
        """Whether senders are to be held back from here on; None while nothing changes."""
        wanted = is_full or self.frames >= (RESUME_BELOW if self._is_holding else HOLD_FROM)
        if wanted == self._is_holding:
            return None
        self._is_holding = wanted
        return wanted
