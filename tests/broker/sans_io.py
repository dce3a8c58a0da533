"""A session without a connection: packets in, packets out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.credentials import Acl, Client
from broker.limits import Limits
from broker.outcome import Admission
from broker.session import Session
from broker.session_state import SessionState
from tests.broker.device import connect

if TYPE_CHECKING:
    from broker.outcome import Outcome

CLIENT = Client("c", b"pw", ("t/#", "tele/plug-1/#"), ("extra/+",))
ACL = Acl([CLIENT])


@dataclass
class Peer:
    """A client's side of an admitted session, and all that it has been answered."""

    level: int = 4
    clean: bool = True
    limits: Limits = field(default_factory=Limits)
    state: SessionState = field(default_factory=SessionState)
    session_present: bool = False
    keep_alive: int = 0
    properties: bytes = b""
    will: tuple[str, bytes, int] | None = None
    session: Session = field(init=False)
    greeting: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(self.limits, 0.0)
        opening = connect(
            level=self.level,
            clean=self.clean,
            keep_alive=self.keep_alive,
            properties=self.properties,
            will=self.will,
        )
        assert self.session.receive(opening, 0.0).login is not None
        admission = Admission(
            client="c",
            session="c/dev-1",
            generation=1,
            may_publish=ACL.publisher("c"),
            may_subscribe=ACL.subscriber("c"),
            state=self.state,
            session_present=self.session_present,
        )
        self.greeting = self.session.admit(admission, 0.0)

    @property
    def is_v5(self) -> bool:
        return self.level == 5

    def send(self, *packets: bytes, now: float = 1.0) -> Outcome:
        return self.session.receive(b"".join(packets), now)
