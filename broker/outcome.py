"""What a session and its owner tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.packets import Connect
    from broker.publications import Publication
    from broker.refusals import Refusal
    from broker.session_state import SessionState


class Outcome(Struct, eq=False):
    """What one call brought. The reply is to be sent before the publications are handed on."""

    publications: list[Publication] = []
    answers: list[bytes] = []
    requests: int = 0
    """Packets besides the publications, once the client is admitted."""
    login: Connect | None = None
    """A client wants in: answer with `admit` or `refuse`; nothing more is read before."""
    refusal: Refusal | None = None
    """Why the connection ends; None while it goes on, and after the client's own DISCONNECT."""
    ended: bool = False
    denied: int = 0
    """Publications outside the client's topics."""
    resent: int = 0
    """Publications sent again while the first copy still waits for its commit; one PUBACK answers both."""
    steps: list[int] = []
    """Of QoS 2, as `Publications` has them."""
    refused_filters: int = 0
    """Of subscriptions."""

    @property
    def reply(self) -> bytes:
        """The answers, in one."""
        return b"".join(self.answers)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a connection belongs to, decided by its owner."""

    client: str
    """Its login."""
    session: str
    generation: int
    may_publish: Callable[[str], bool]
    may_subscribe: Callable[[str], bool]
    state: SessionState
    session_present: bool
    assigned_client_id: str = ""
