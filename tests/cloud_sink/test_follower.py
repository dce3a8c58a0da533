"""A second store behind the inbox: what it may have lost is written again, and the inbox keeps it until then."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from cloud_sink.decoding import Decoding
from cloud_sink.follower import Follower, StoreAway
from cloud_sink.inbox import Batch, Inbox, Kind
from cloud_sink.victoria_metrics import VictoriaMetrics
from telemetry.uplink_contract import BatchId
from tests.cloud_sink.support import EPOCH, NOON_MS, QUARTER_MS, sealed, summary
from tests.edge_agent.servers import read_request, reply, serving
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cloud_sink.projector import Projector


@dataclass
class Target:
    """A store that forgets with each run what it was told in the one before."""

    run: int = 1
    lines: list[str] = field(default_factory=list)
    is_away: bool = False

    async def started_s(self) -> int:
        if self.is_away:
            raise StoreAway("told to")
        return self.run

    async def write(self, text: bytes) -> None:
        self.lines += text.decode().splitlines()

    def restart(self) -> None:
        self.run += 1
        self.lines.clear()


@dataclass
class Embedded:
    """How far the embedded store has come."""

    position: int = 0


class Bench:
    """A real inbox, and a follower of it that is run for as long as a block lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox = Inbox(folder, lambda: NOON_MS)
        self.decoding = Decoding()
        self.target, self.embedded = Target(), Embedded()
        self.sent = 0

    async def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.sent += 1
            body = sealed(summary(start_ms=NOON_MS + self.sent * QUARTER_MS))
            await self.inbox.commit(Batch("edge-1", BatchId(EPOCH, self.sent), Kind.SUMMARIES, body, 1))
        self.embedded.position = self.sent

    @contextlib.asynccontextmanager
    async def following(self, settles_s: float = 600.0) -> AsyncIterator[Follower]:
        follower = Follower(
            cast("VictoriaMetrics", self.target),
            inbox=self.inbox,
            decoding=self.decoding,
            projector=cast("Projector", self.embedded),
            file=self.folder / "place",
            settles_s=settles_s,
        )
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def has_everything(self) -> None:
        await until(lambda: len(set(self.target.lines)) == self.sent, what="everything is there")


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr("cloud_sink.follower.LOOK_EVERY_S", 0.01)
    made = Bench(tmp_path)
    yield made
    await made.inbox.close()
    made.decoding.close()


async def test_after_a_restart_of_the_store_everything_is_written_again(bench: Bench) -> None:
    async with bench.following():
        await bench.send(3)
        await bench.has_everything()
        bench.target.restart()
        await bench.send()
        await bench.has_everything()
    assert len(bench.target.lines) == 4


async def test_what_is_settled_is_not_written_again(bench: Bench) -> None:
    async with bench.following(settles_s=0) as follower:
        await bench.send(3)
        await until(lambda: follower.settled == 3)
        bench.target.restart()
        await bench.send()
        await until(lambda: follower.settled == 4)
    assert len(bench.target.lines) == 1


async def test_a_restart_of_the_centre_goes_on_from_what_is_settled(bench: Bench) -> None:
    async with bench.following(settles_s=0) as follower:
        await bench.send(2)
        await until(lambda: follower.settled == 2)
    async with bench.following():
        await bench.send()
        await until(lambda: len(bench.target.lines) == 3)
        bench.target.lines.clear()
    async with bench.following():
        await until(lambda: len(bench.target.lines) == 1, what="the third alone comes again")


@pytest.mark.parametrize("place", ["", "\0\0\0", "-5\n", "99\n"], ids=["empty", "zeros", "negative", "ahead"])
async def test_a_place_that_cannot_be_meant_passes_nothing_over(bench: Bench, place: str) -> None:
    """It is ahead of the embedded store where the inbox and that were taken away, and it was not."""
    (bench.folder / "place").write_text(place)
    async with bench.following():
        await bench.send(2)
        await bench.has_everything()


async def test_it_never_overtakes_the_embedded_store(bench: Bench) -> None:
    """An inbox that has lost some goes on behind the embedded store: one ahead of that would pass batches over."""
    await bench.send(2)
    bench.embedded.position = 1
    async with bench.following() as follower:
        await until(lambda: follower.position == 1)
        await until(lambda: not follower.lacks)
        assert len(bench.target.lines) == 1


async def test_a_store_that_is_away_is_waited_for(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.target.is_away = True
    async with bench.following() as follower:
        await bench.send(2)
        await until(lambda: not follower.is_up)
        assert follower.lacks == 2
        bench.target.is_away = False
        await bench.has_everything()
        await until(lambda: follower.is_up)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the store is away",
        "the store is back, and has everything again",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(200, body=b"vm_app_start_timestamp 17\nvm_app_uptime_seconds 1\n"), "just now"),
        (reply(200, body=b"<html>"), "no VictoriaMetrics"),
        (reply(503), "HTTP 503"),
        (None, "no connection"),
    ],
    ids=["young", "foreign", "refusing", "gone"],
)
async def test_what_is_no_store_at_work(answer: bytes | None, said: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer or b"")
        writer.close()

    async with serving(talk) as port:
        target = VictoriaMetrics(f"http://127.0.0.1:{port}")
        with pytest.raises(StoreAway, match=said):
            await target.started_s()
        await target.close()
