"""A session driven by any bytes in any pieces, and what has to hold whatever they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from broker.limits import Limits
from broker.outcome import Admission, Outcome
from broker.packets import split
from broker.session import Session
from broker.session_state import SessionState
from broker.subscription import Login, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from broker.publications import Publication
    from broker.refusals import Refusal

LIMITS: Final = Limits(max_packet_bytes=2_048, max_unacknowledged=5, max_exchanges=5)
_SENT: Final = frozenset((0x20, 0x30, 0x40, 0x50, 0x70, 0x90, 0xB0, 0xD0, 0xE0))
"""Packet types that a server sends (MQTT 5 table 2-1)."""


@dataclass
class Heard:
    """What became of a stream."""

    publications: list[Publication] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    reply: bytes = b""
    refusal: Refusal | None = None
    ended: bool = False
    denied: int = 0
    resent: int = 0

    _committed: tuple[int, int] = (0, 0)

    def commit(self, session: Session) -> None:
        """All that was handed on is on disk; then the session goes on with what had to wait."""
        publications, steps = self._committed
        self._committed = len(self.publications), len(self.steps)
        is_full = session.must_wait
        session.state.exchanges.settle(self.steps[steps:])
        packet_ids = [one.packet_id for one in self.publications[publications:] if one.packet_id]
        found, answers = session.acknowledge(packet_ids, self.steps[steps:])
        assert found or not is_full, "it waits for nothing"
        self.reply += answers
        self.note(session.go_on(1.0))

    def note(self, outcome: Outcome) -> None:
        """Add what one call brought; after the end, nothing may come."""
        assert not (self.ended and (outcome.publications or outcome.reply or outcome.steps))
        assert outcome.ended or outcome.refusal is None
        self.publications += outcome.publications
        self.steps += outcome.steps
        self.reply += outcome.reply
        self.refusal = self.refusal or outcome.refusal
        self.ended = self.ended or outcome.ended
        self.denied += outcome.denied
        self.resent += outcome.resent


def admission(may_publish: Callable[[str], bool] = lambda _: True) -> Admission:
    """Lets a client in, with a session of its own."""
    return Admission("c", "c/d", 1, may_publish, may_publish, SessionState(), session_present=False)


def drive(chunks: Iterable[bytes]) -> Heard:
    """Feed a session and admit whoever asks."""
    session, heard = Session(LIMITS, 0.0), Heard()
    for chunk in chunks:
        outcome = session.receive(chunk, 1.0)
        heard.note(outcome)
        if outcome.login is not None:
            assert not outcome.publications
            heard.note(session.admit(admission(lambda topic: topic.startswith("t/")), 2.0))
        while session.has_backlog and not heard.ended:
            heard.commit(session)
        assert len(session._pending) <= LIMITS.max_packet_bytes + len(chunk)
    assert_well_formed(heard.reply)
    return heard


def pieces(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The stream, cut there."""
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(edges)]


def assert_well_formed(sent: bytes) -> None:
    """Whole packets, of the types that a server sends."""
    found = split(sent, len(sent) + 1)
    assert found.fault is None
    assert found.consumed == len(sent)
    assert all(first & 0xF0 in _SENT for first, _, _ in found.packets)


def exercise(data: bytes) -> None:
    """One input of a fuzzer, which holds how to cut what follows: nothing worse than a refusal, wherever it is cut."""
    count = data[0] % 8 if data else 0
    cuts, stream = [2 * cut for cut in data[1 : 1 + count]], data[1 + count :]
    assert drive(pieces(stream, cuts)) == drive([stream])
    for level in (4, 5):
        subscription = Subscription(Login(client_id="c", topics=("a/#",)), level, 0.0)
        for piece in pieces(stream, cuts):
            subscription.receive(piece, 1.0)
