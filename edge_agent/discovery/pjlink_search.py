"""Searches for projectors: a question to all of a network, and the addresses that answer.

JBMIA, PJLink Class 2 specification, "Search procedure": `%2SRCH` to UDP port 4352 by broadcast; each device answers
`%2ACKN=` and its hardware address, which is not read here: where the answer came from is what placing needs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from device_drivers.connections import reason
from edge_agent.discovery.proposals import MOST, Proposal, Source, Transport

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

PORT: Final = 4352
WAIT_S: Final = 2.0
_QUESTION: Final = b"%2SRCH\r"
_ANSWER: Final = b"%2ACKN="
_ANYWHERE: Final = ("0.0.0.0", 0)  # noqa: S104 - answers come to where the question went from


class Answers(asyncio.DatagramProtocol):
    """Who answered, or why nobody could be asked."""

    def __init__(self) -> None:
        self.hosts: dict[str, None] = {}
        self.failure = ""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Keep where an answer came from."""
        if data[: len(_ANSWER)].upper() == _ANSWER and len(self.hosts) < MOST:
            self.hosts[addr[0]] = None

    def error_received(self, exc: Exception) -> None:
        """The question did not get away."""
        self.failure = reason(exc)


async def search(address: str, *, port: int = PORT, wait_s: float = WAIT_S) -> Answers:
    """Ask at an IPv4 `address`, mostly a broadcast address, and wait for who answers."""
    answers = Answers()
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: answers, local_addr=_ANYWHERE, allow_broadcast=True
        )
    except OSError as error:
        answers.failure = reason(error)
        return answers
    transport.sendto(_QUESTION, (address, port))
    await asyncio.sleep(wait_s)
    transport.close()
    return answers


def projectors(hosts: Iterable[str], used: Container[str]) -> list[Proposal]:
    """A proposal for each host that no device of the configuration has."""
    return [Proposal(Source.PJLINK, Transport.TCP, host, ("pjlink",)) for host in sorted(hosts) if host not in used]
