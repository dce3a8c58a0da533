"""A second store that follows the embedded one: at least once, on idempotent keys, so that it has everything once.

Its place counts as kept only when it is older than anything such a store may still have in memory alone. After a
restart of the store, or of the centre, it goes on from there, and the last minutes are written again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from cloud_sink import state_folder
from cloud_sink.inbox import Kind
from telemetry import DeliveryFault

if TYPE_CHECKING:
    from pathlib import Path

    from cloud_sink.decoding import Decoding
    from cloud_sink.inbox import Inbox
    from cloud_sink.projector import Projector
    from cloud_sink.victoria_metrics import VictoriaMetrics

SETTLES_S: Final = 600.0
"""After which what was written is on the store's disk."""
LOOK_EVERY_S: Final = 1.0
MOST_BATCHES: Final = 32
_LONGEST_WAIT_S: Final = 30.0
_log = logging.getLogger(__name__)


class StoreAway(DeliveryFault):
    """A store behind the inbox does not answer, or does not take what it is given."""

    code = "store_away"


class Follower:
    """Brings into one store what the inbox has and the embedded store has taken."""

    def __init__(
        self,
        target: VictoriaMetrics,
        *,
        inbox: Inbox,
        decoding: Decoding,
        projector: Projector,
        file: Path,
        settles_s: float = SETTLES_S,
    ) -> None:
        """Never further than what `projector` has brought into the embedded store; `file` keeps the place."""
        self._target = target
        self._inbox = inbox
        self._decoding = decoding
        self._projector = projector
        projector.followed_to = lambda: self.settled
        self._file = file
        self._settles_s = settles_s
        self.settled = min(_place(file), projector.position)
        """Up to here everything is on the store's disk."""
        self.position = self.settled
        self.is_up = True
        self._written: deque[tuple[float, int]] = deque()
        """When it came to which position, of what is not settled."""
        self._started_s: int | None = None

    async def run(self) -> None:
        """Follow until cancelled; while the store is away, wait. Raises `InboxFault`."""
        failures = 0
        while True:
            try:
                while await self._step():
                    failures = 0
            except StoreAway as error:
                if self.is_up:
                    _log.warning("the store is away: %s; what it lacks is kept", error)
                self.is_up = False
                wait_s = min(_LONGEST_WAIT_S, 0.25 * 2 ** min(failures, 16))
                failures += 1
                await asyncio.sleep(wait_s)
                continue
            if not self.is_up:
                _log.warning("the store is back, and has everything again")
            self.is_up, failures = True, 0
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def lacks(self) -> int:
        """How many positions it is behind the embedded store."""
        return max(0, self._projector.position - self.position)

    async def _step(self) -> bool:
        """Write the next batches; whether there were any."""
        started_s = await self._target.started_s()
        if started_s != self._started_s:
            self.position = self.settled  # what it had in memory alone is gone
            self._written.clear()
        self._started_s = started_s
        self._settle(asyncio.get_running_loop().time())
        limit = self._projector.position
        batches = [each for each in await self._inbox.pending(self.position, MOST_BATCHES) if each.position <= limit]
        if not batches:
            return False
        texts = [await self._decoding.text(each.body) for each in batches if each.kind is Kind.SUMMARIES]
        if text := b"".join(texts):
            await self._target.write(text)
        self.position = batches[-1].position
        self._written.append((asyncio.get_running_loop().time(), self.position))
        return True

    def _settle(self, now: float) -> None:
        settled = self.settled
        while self._written and self._written[0][0] <= now - self._settles_s:
            settled = self._written.popleft()[1]
        if settled != self.settled:
            with contextlib.suppress(OSError):  # with no room for it, more is written again than need be
                self._keep(settled)
                self.settled = settled

    def _keep(self, position: int) -> None:
        unfinished = self._file.with_suffix(".part")
        with unfinished.open("w", encoding="ascii") as file:
            file.write(f"{position}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._file)
        state_folder.sync(self._file.parent)


def _place(file: Path) -> int:
    """What the file says; from the beginning where it is not there, or says nothing that can be meant."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return max(0, int(file.read_text(encoding="ascii")))
    return 0
