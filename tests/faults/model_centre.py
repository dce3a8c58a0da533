"""A centre in memory, by the uplink contract: marks, a chain, a window of four, refusals, forks, copies of itself."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from edge_agent.events import Applied, Delivered, Forked, Refused
from edge_agent.transactions import Span
from telemetry import Decoder
from telemetry.uplink_contract import GENESIS, REPORT_PATH, BatchId, link, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.events import Event, Send
    from telemetry import Summary

OPEN_WINDOW: Final = 4


@dataclass(slots=True)
class _Mark:
    digest: bytes
    span: Span | None
    is_refused: bool
    position: int
    """In the order of arrival, over all epochs."""


@dataclass(slots=True)
class _Epoch:
    applied: int = 0
    head: bytes = GENESIS
    marks: dict[int, _Mark] = field(default_factory=dict)
    last: int = 0
    """The position of the latest mark."""
    forgotten: set[int] = field(default_factory=set)
    """What it had taken when its past became another's."""


class ModelCentre:
    """Takes batches as `cloud_sink` does, and remembers every summary that it ever took, by its key."""

    def __init__(self, is_poison: Callable[[Summary], bool] = lambda _: False) -> None:
        self._is_poison = is_poison
        self._decoder = Decoder()
        self._epochs: dict[str, _Epoch] = {}
        self.bodies: dict[BatchId, bytes] = {}
        """The bytes of each batch, as it came first."""
        self.stored: dict[tuple[str, int], str] = {}
        """The line of each summary, by its series and start: what a store would hold."""
        self.doubled: list[str] = []
        """Summaries that came twice, under two identities."""
        self.changed: list[str] = []
        """Batches that came with other bytes than before, and were not disputed."""
        self.misplaced: list[BatchId] = []
        """Batches that it had, and was given again behind a past that is not theirs."""
        self._taken: set[BatchId] = set()

    def take(self, send: Send) -> Event:
        """The answer to a batch."""
        epoch = self._epochs.setdefault(send.batch.epoch, _Epoch())
        sequence, digest = send.batch.sequence, hashlib.sha256(send.body).digest()
        known = epoch.marks.get(sequence)
        if known is not None and known.digest != digest:
            return Forked(send.batch, Applied(epoch.applied, epoch.head), self._told_since(epoch, sequence))
        if known is not None and not known.is_refused:
            return Delivered(send.batch, Applied(epoch.applied, epoch.head))
        if sequence > epoch.applied + OPEN_WINDOW:
            return Forked(send.batch, Applied(epoch.applied, epoch.head))
        if known is None and sequence in epoch.forgotten:
            self.misplaced.append(send.batch)
        text = b"" if send.path == REPORT_PATH else unseal(send.body)
        summaries = self._decoder.decode(text)
        is_refused = any(map(self._is_poison, summaries))
        if known is None or not is_refused:
            position = 1 + max(each.last for each in self._epochs.values())
            epoch.marks[sequence] = _Mark(digest, None if is_refused else _span(summaries), is_refused, position)
            epoch.last = max(epoch.last, position)
        if not is_refused:
            self._store(send, text.decode().splitlines())
        while (following := epoch.marks.get(epoch.applied + 1)) is not None:
            epoch.applied, epoch.head = epoch.applied + 1, link(epoch.head, following.digest)
        applied = Applied(epoch.applied, epoch.head)
        return (
            Refused(send.batch, 422, applied)
            if is_refused
            else Delivered(send.batch, Applied(epoch.applied, epoch.head))
        )

    def lines_of(self, send: Send) -> int:
        """How many summaries a batch holds."""
        return unseal(send.body).count(b"\n")

    def copy(self) -> object:
        """A backup of its inbox."""
        return deepcopy(self._epochs)

    def restore(self, backup: object) -> None:
        """The backup takes the inbox's place; the stores behind it know the batches that they have."""
        assert isinstance(backup, dict)
        self._epochs = deepcopy(backup)

    def change_past(self, name: str, lost: int) -> None:
        """Of an epoch, so many batches are gone, and the last that is left is of another copy of the agent."""
        epoch = self._epochs[name]
        last = epoch.applied - lost
        marks = {sequence: mark for sequence, mark in epoch.marks.items() if sequence <= last}
        marks[last] = replace(marks[last], digest=hashlib.sha256(marks[last].digest).digest())
        head = GENESIS
        for sequence in range(1, last + 1):
            head = link(head, marks[sequence].digest)
        taken = {batch.sequence for batch in self._taken if batch.epoch == name}
        self._epochs[name] = replace(epoch, applied=last, head=head, marks=marks, forgotten=taken)

    def head_in(self, epoch: str) -> bytes:
        """The head of an epoch, where it has come to."""
        return self._epochs[epoch].head if epoch in self._epochs else GENESIS

    def _told_since(self, epoch: _Epoch, sequence: int) -> Span:
        """What came with this batch or one after it, and behind that, in whatever epoch: all the other copy told."""
        position = min(mark.position for number, mark in epoch.marks.items() if number >= sequence)
        marks = [mark for each in self._epochs.values() for mark in each.marks.values() if mark.position >= position]
        spans = [mark.span for mark in marks if mark.span is not None]
        return Span(min((s.from_ms for s in spans), default=0), max((s.to_ms for s in spans), default=0))

    def applied_in(self, epoch: str, backup: object = None) -> int:
        """How far an epoch has come, or had come when the backup was made."""
        epochs = self._epochs if backup is None else backup
        assert isinstance(epochs, dict)
        return epochs[epoch].applied if epoch in epochs else 0

    def _store(self, send: Send, lines: list[str]) -> None:
        if self.bodies.setdefault(send.batch, send.body) != send.body:
            self.changed.append(f"batch {send.batch} has changed")
        elif send.batch in self._taken:
            return
        self._taken.add(send.batch)
        for line in lines:
            key = line.partition(" ")[0], int(line.rpartition(" ")[2])
            if key in self.stored:
                self.doubled.append(line)
            self.stored[key] = line


def _span(summaries: list[Summary]) -> Span | None:
    if not summaries:
        return None
    return Span(min(each.start_ms for each in summaries), max(each.end_ms for each in summaries))
