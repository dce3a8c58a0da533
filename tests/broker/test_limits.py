"""Every limit of the listener: what it refuses or slows down, in which words, and that it is counted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from broker.connection import Hold
from broker.limits import LimitOutOfRange, Limits
from broker.refusals import Refusal
from tests.broker.device import PINGREQ, connect, packet, publish
from tests.documents import ROOT
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.broker.conftest import Listen

QUICK: Final = Limits(linger_s=0.1)
QUOTA: Final = {4: b"\x20\x02\x00\x03", 5: packet(0x20, b"\x00\x97\x00")}
UNACCEPTABLE: Final = {
    "max_connections": 0,
    "max_connections_per_client": 0,
    "max_packet_bytes": 1_023,
    "max_unacknowledged": 65_536,
    "max_unacknowledged_total": 0,
    "max_exchanges": 0,
    "publications_per_s": 0.0,
    "publications_burst": 0,
    "connect_timeout_s": 0.0,
    "linger_s": -0.1,
}


@pytest.mark.parametrize(("name", "value"), UNACCEPTABLE.items())
def test_a_limit_that_cannot_be_is_named(name: str, value: float) -> None:
    with pytest.raises(LimitOutOfRange, match=str(value)) as caught:
        replace(Limits(), **{name: value})  # type: ignore[arg-type]
    assert caught.value.where == name


@pytest.mark.parametrize("level", [4, 5])
async def test_one_login_has_a_bounded_number_of_connections(listen: Listen, level: int) -> None:
    running = await listen(replace(QUICK, max_connections_per_client=2))
    first, second = [await running.admitted(name, level=level) for name in ("a", "b")]
    surplus = await running.dial()
    await surplus.send(connect("c", level=level))
    assert await surplus.read_to_end() == QUOTA[level]
    assert running.refused("too_many_connections_of_client") == 1
    other = await running.dial()
    await other.send(connect("c", level=level, username="mute", password=b"silent"))
    assert (await other.read_packet())[1][1] == 0, "another login has its own"
    again = await running.admitted("a", level=level)
    await again.expect_silence()
    await first.read_to_end()
    await second.close()
    await until(lambda: running.listener._desk._of_client["sensor"] == 1)
    await running.admitted("c", level=level)


async def test_connections_that_are_not_admitted_are_counted_and_timed_out(listen: Listen) -> None:
    running = await listen(replace(QUICK, connect_timeout_s=0.2))
    device = await running.admitted()
    silent = await running.dial()
    await until(lambda: running.listener.counters["half_open"] == 1)
    assert running.listener.counters["connections"] == 2
    await silent.read_to_end()
    await silent.close()
    await until(lambda: running.listener.counters["connections"] == 1)
    assert running.listener.counters["half_open"] == 0
    assert running.listener.counters["refused"] == {"connect_timeout": 1}
    await device.expect_silence()


async def test_a_refused_client_that_stays_is_cut_off(listen: Listen) -> None:
    running = await listen(replace(QUICK, linger_s=0.05))
    device = await running.admitted()
    await device.send(b"\x00\x00")
    await until(lambda: running.listener.counters["connections"] == 0)
    assert not device.writer.is_closing(), "it was us"


async def test_a_socket_above_its_rate_is_not_read(listen: Listen) -> None:
    """One publication a minute: after the burst nothing more leaves the kernel, whatever the device sends."""
    running = await listen(replace(QUICK, publications_per_s=1 / 60, publications_burst=20))
    device, witness = await running.admitted(), await running.admitted("witness")
    await device.send(publish("t/1", b"first") * 21)
    await running.count(21)
    assert running.listener.counters["pauses"] == {"rate": 1}
    before = running.listener.counters["bytes"]
    await device.send(publish("t/1", b"last"))
    for _ in range(20):
        await witness.expect_silence()
    assert running.listener.counters["bytes"] == before + 40, "PINGREQs of the witness alone"
    assert len(running.received) == 21


async def test_pings_count_as_well(listen: Listen) -> None:
    """A device that asks without end is read at its rate, and its listener goes on."""
    running = await listen(replace(QUICK, publications_per_s=1 / 60, publications_burst=1_000))
    device, witness = await running.admitted(), await running.admitted("witness")
    await device.send(PINGREQ * 50_000)
    await until(lambda: running.listener.counters["pauses"] == {"rate": 1})
    before = running.listener.counters["bytes"]
    for _ in range(20):
        await witness.expect_silence()
    assert running.listener.counters["bytes"] == before + 40, "PINGREQs of the witness alone"


async def test_each_reason_to_pause_is_counted(listen: Listen) -> None:
    running = await listen(replace(QUICK, max_unacknowledged=2, max_unacknowledged_total=3))
    device, other = await running.admitted(), await running.admitted("other")
    await device.send(publish(packet_id=1) + publish(packet_id=2))
    await running.count(2)
    assert running.listener.counters["pauses"] == {"unacknowledged": 1}
    await other.send(publish(packet_id=1))
    await running.count(3)
    assert running.listener.counters["pauses"] == {"unacknowledged": 1, "total": 1}
    running.acknowledge(running.tokens)
    running.listener.hold()
    assert running.listener.counters["pauses"] == {"unacknowledged": 1, "total": 1, "owner": 2}
    running.listener.hold()
    assert running.listener.counters["pauses"]["owner"] == 2, "once, until it is read again"
    running.listener.resume()
    assert await device.pubacks(2) == [1, 2]
    await device.expect_silence()


def test_every_reason_is_documented() -> None:
    document = (ROOT / "docs/metrics.md").read_text().partition("\n## The listener\n")[2].partition("\n## ")[0]
    refused, paused = document.split("| paused because |")
    for refusal in Refusal:
        assert f"`{refusal.word}`" in refused
    for hold in Hold:
        assert hold is Hold.LOGIN or f"`{str(hold.name).lower()}`" in paused


RAISED: Final = """
import resource
from broker.open_files import make_room
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
make_room(1000)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("hard", "soft", "warns"), [(1500, 1256, False), (800, 800, True)])
def test_the_limit_of_open_files_follows(hard: int, soft: int, warns: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISED.format(hard=hard)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == [str(soft), str(hard)]
    assert ("LimitNOFILE" in done.stderr) == warns


async def test_connections_wait_for_none_of_it(listen: Listen) -> None:
    """A client that floods costs the others nothing but its own reads."""
    running = await listen(replace(QUICK, publications_per_s=1.0, publications_burst=1))
    flooding, quiet = await running.admitted("flooding"), await running.admitted("quiet")
    await flooding.send(publish() * 100)
    await until(lambda: running.listener.counters["pauses"])
    async with asyncio.timeout(5):
        await quiet.send(publish("t/quiet"))
        await until(lambda: any(one.topic == "t/quiet" for one in running.received))
