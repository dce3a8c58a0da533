"""Who is writing: the agent behind a token."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_sink.config import hash_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud_sink.catalogue import AgentRow


@dataclass(frozen=True, slots=True)
class Writer:
    """An agent, and the one school it may write for."""

    agent: str
    school: str


class Access:
    """Knows every agent's token by its hash alone."""

    def __init__(self, agents: Iterable[AgentRow]) -> None:
        self._writers = [(agent.token_hash, Writer(agent.id, agent.school)) for agent in agents]

    def writer(self, authorization: str | None) -> Writer | None:
        """The agent of an `Authorization: Token ...` header; the time it takes does not tell how near it was."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "token":
            return None
        given = hash_token(token.strip())
        found = None
        for token_hash, writer in self._writers:
            if hmac.compare_digest(token_hash, given):
                found = writer
        return found
