"""A centre that is away, slow, half open, full, or wrong: a whole agent on real sockets lives through each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unittest import mock

from edge_agent import delivery, uplink
from edge_agent.events import Applied, Delivered, Forked, Refused, Send
from telemetry.uplink_contract import WRITE_PATH, BatchId
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.edge_agent.servers import read_request, serving
from tests.edge_agent.test_agent import Bridge
from tests.faults.campaign import Campaign, Outcome
from tests.faults.model_centre import ModelCentre
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.events import Event
    from telemetry import Summary
    from tests.edge_agent.running import Running
    from tests.edge_agent.servers import Request

SEED: Final = 72
SPEED: Final = 6000.0
"""72 hours are 43 seconds."""
_PATIENCE: Final = {
    "ANSWER_TIMEOUT_S": 0.5,
    "WHOLE_TIMEOUT_S": 0.8,
    "CONNECT_TIMEOUT_S": 0.5,
    "NOT_OURS_WAIT_S": 0.3,
}


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a centre behaves while its fault lasts."""

    name: str
    seconds: float
    status: str = ""
    """An answer instead of its own, with its headers; nothing is taken."""
    hangs_up: str = ""
    """`before` or `after` the batch is taken."""
    is_silent: bool = False
    drips: bool = False
    is_garbage: bool = False
    answers_twice: bool = False
    most_lines: int = 0
    """413 for a batch of more summaries, for ever, of which the centre knows nothing."""
    has_poison: bool = False
    forgets: bool = False
    """It is restored from a copy when the fault begins."""


CONDUCTS: Final = (
    Conduct("away", 8, hangs_up="before"),
    Conduct("1 byte a second", 4, drips=True),
    Conduct("half open", 4, is_silent=True),
    Conduct("429", 3, status="429 Too Many\r\nRetry-After: 1"),
    Conduct("503", 3, status="503 Busy\r\nRetry-After: 0"),
    Conduct("401, then mended", 2, status="401 Unauthorized"),
    Conduct("413 from a proxy", 2, most_lines=3),
    Conduct("a poison line", 2, has_poison=True),
    Conduct("every answer lost", 5, hangs_up="after"),
    Conduct("every answer twice", 3, answers_twice=True),
    Conduct("garbage", 3, is_garbage=True),
    Conduct("restored from a copy", 2, forgets=True),
)


class HostileCentre:
    """The model centre behind HTTP, with a conduct of its own until `heal`; without one, it behaves."""

    def __init__(self, conduct: Conduct | None = None) -> None:
        self.conduct = conduct
        self._most_lines = conduct.most_lines if conduct is not None else 0
        self.model = ModelCentre(_is_poison if conduct is not None and conduct.has_poison else lambda _: False)
        self.requests = 0
        self.harmed = 0
        """Requests that the fault hit."""

    def heal(self) -> None:
        """Behave from now on."""
        self.conduct = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Part of `serving`."""
        while True:
            request = await read_request(reader)
            self.requests += 1
            if not await self._answer_one(request, writer):
                writer.close()
                return

    async def _answer_one(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        conduct = self.conduct
        harmful = conduct is not None and not (conduct.most_lines or conduct.has_poison or conduct.forgets)
        self.harmed += harmful
        if conduct is None or not harmful:
            writer.write(self._take(request))
            return True
        if conduct.is_silent:
            await asyncio.sleep(60)
        if conduct.hangs_up == "before":
            return False
        if conduct.status:
            writer.write(f"HTTP/1.1 {conduct.status}\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        if conduct.is_garbage:
            writer.write(random.randbytes(300))
            return False
        answer = self._take(request)
        if conduct.hangs_up == "after":
            return False
        if conduct.drips:
            for number in range(len(answer)):
                writer.write(answer[number : number + 1])
                await asyncio.sleep(1)
        writer.write(answer * (2 if conduct.answers_twice else 1))
        return True

    def _take(self, request: Request) -> bytes:
        send = Send(BatchId.parse(request.headers["idempotency-key"]), request.path.partition("?")[0], request.body)
        if self._most_lines and send.path == WRITE_PATH and self.model.lines_of(send) > self._most_lines:
            self.harmed += 1
            return b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
        return _response(self.model.take(send))


def _response(event: Event) -> bytes:
    match event:
        case Delivered(batch, applied):
            status, tail = "204 No Content", ""
        case Forked(batch, applied, told):
            span = f"Bansui-Told: {told.from_ms}-{told.to_ms}\r\n" if told is not None else ""
            status, tail = "409 Conflict", f"{span}Content-Length: 0\r\n"
        case Refused(batch, _, Applied() as applied):
            status, tail = "422 Unprocessable", "Content-Length: 0\r\n"
        case _:
            raise AssertionError(event)
    marks = f"Bansui-Applied: {batch.epoch}-{applied.sequence}\r\nBansui-Ledger-Head: {applied.head.hex()}\r\n"
    return f"HTTP/1.1 {status}\r\n{marks}{tail}\r\n".encode()


def _is_poison(summary: Summary) -> bool:
    return summary.series.quantity == "temperature" and summary.start_ms // 900_000 % 3 == 0


async def live_through(conduct: Conduct, folder: Path, factor: float) -> tuple[str, HostileCentre, dict[str, int]]:
    """One agent, one fault: what is wrong at the end, the centre, the balance."""
    centre = HostileCentre(conduct)
    stored_before = dict[tuple[str, int], str]()
    async with serving(centre.answer) as port:
        path = configure(folder, LISTENER, SENSOR, centre=f"http://127.0.0.1:{port}")
        path.write_text(path.read_text().replace("retry_s = 0.1", "retry_s = 0.02"))
        async with running(path, speed=SPEED) as agent:
            bridge = Bridge(agent.agent)
            sending = asyncio.create_task(_send(bridge))
            if conduct.forgets:
                centre.heal()
                await until(lambda: len(centre.model.stored) > 3, timeout=20)
                backup = centre.model.copy()
                await until(lambda: len(centre.model.stored) > 12, timeout=20)
                stored_before = dict(centre.model.stored)
                centre.model.restore(backup)
            await asyncio.sleep(conduct.seconds * factor)
            centre.heal()
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
            wrong = await _settled(agent)
            bridge.stop()
            await agent.stop()
    balance = dict(agent.audit().balance)
    faults = list(agent.audit().faults)
    told = balance["summaries"] - balance["refused"]
    checks = {
        wrong: bool(wrong),
        f"{told} summaries told, {len(centre.model.stored)} stored": told != len(centre.model.stored),
        "; ".join(faults): bool(faults),
        "; ".join(centre.model.changed): bool(centre.model.changed),
        "the fault hit nothing": not (centre.harmed or conduct.has_poison or conduct.forgets),
        "no line was refused": conduct.has_poison and not balance["refused"],
        "the copy was the same": conduct.forgets and not stored_before,
    }
    return "; ".join(sentence for sentence, is_so in checks.items() if is_so), centre, balance


async def _send(bridge: Bridge) -> None:
    number = 0
    while True:
        number += 1
        bridge.publish(json.dumps({"co2": 500 + number % 400, "temperature": 20 + number % 9, "humidity": 40}))
        await asyncio.sleep(0.02)


async def _settled(agent: Running) -> str:
    """Wait until everything is at the centre."""

    def is_done() -> bool:
        state = agent.agent.core.state
        sealed = any(batch.summaries for batch in state.unacknowledged.values())
        return not (state.waiting or sealed or state.open_readings() or agent.agent.core.pending)

    try:
        await until(is_done, timeout=60)
    except AssertionError:
        return f"it does not recover: {agent.agent.core.report()}"
    return ""


def run(count: int, folder: Path) -> Outcome:
    """Go through the conducts in turn, so many times in all; beyond one round each lasts longer."""
    broken: list[str] = []
    doubled = harmed = summaries = 0
    with contextlib.ExitStack() as stack:
        for name, seconds in _PATIENCE.items():
            stack.enter_context(mock.patch.object(uplink, name, seconds))
        stack.enter_context(mock.patch.object(delivery, "LONGEST_WAIT_S", 0.1))
        for number in range(count):
            conduct = CONDUCTS[number % len(CONDUCTS)]
            factor = 0.3 if count <= len(CONDUCTS) else 6.0
            place = folder / f"life-{number}"
            wrong, centre, balance = asyncio.run(live_through(conduct, place, factor))
            broken += [f"{conduct.name}: {wrong}"] if wrong else []
            doubled += len(centre.model.doubled)
            harmed += centre.harmed
            summaries += balance["summaries"]
    seen = f"{', '.join(each.name for each in CONDUCTS)}: {harmed:,} requests hit, {summaries:,} summaries delivered"
    return Outcome(count, 0, doubled, seen, tuple(broken))


CAMPAIGNS: Final = [
    Campaign(
        name="hostile-centre",
        fault="a centre that is away (up to 72 h), slow, half open, full, or wrong",
        short=len(CONDUCTS),
        long=3 * len(CONDUCTS),
        run=run,
    )
]
