"""What a listener on the line hears of an agent is its egress ledger, byte for byte, and no bit of it can change.

The heads of the requests say which batch it is and how long, and nothing else that is another from one to the next.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from typing import TYPE_CHECKING, Any, Final

import apsw

from edge_agent.store import batches
from edge_agent.store.engine import FILE_NAME
from tests.broker.device import Device, connect, publish
from tests.edge_agent.running import LISTENER, SENSOR, configure, running
from tests.edge_agent.servers import DURABLE, Centre, Request, reply, serving
from tests.privacy.proof import Proof, Result
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = 7
SPEED: Final = 3600.0
_BATCHES: Final = 12
_MOST_READINGS: Final = 5_000
_OF_A_BATCH: Final = {"idempotency-key", "content-length"}
_HEADERS: Final = frozenset(
    """accept accept-encoding authorization connection content-encoding content-type host user-agent""".split()  # noqa: SIM905 - words
)
_PATHS: Final = 2
"""For summaries, and for reports."""
_AWAY: Final = reply(503)
_REFUSES: Final = reply(422, "Bansui-Applied: {mark}", f"Bansui-Ledger-Head: {'0' * 64}")
Row = dict[str, Any]


def run(count: int, folder: Path) -> Result:
    """An agent's life through an outage and a refusal; then its ledger with one bit changed, `count` times."""
    heard = asyncio.run(_live(folder / "agent"))
    state = folder / "agent" / "state"
    rows = _rows(state)
    broken = _differences(heard, rows) + _heads(heard)
    if len(rows) < _BATCHES:
        broken.append(f"{len(rows)} batches alone")
    if batches.verify(state).faults:
        broken.append("the ledger is not whole to begin with")
    rng, missed = random.Random(SEED), 0
    for number in range(count):
        place = folder / "changed"
        shutil.copytree(state, place)
        what = _flip(place, rows, rng)
        if not batches.verify(place).faults:
            missed += 1
            broken.append(f"flip {number} of seed {SEED} is not seen: {what}")
        shutil.rmtree(place)
    sent = sum(len(request.body) for request in heard)
    seen = (
        f"{len(heard)} requests with {sent:,} bytes, {len(rows)} batches of the ledger: equal both ways; "
        f"{count - missed} of {count} flipped bits seen"
    )
    return Result(count, seen, tuple(broken[:20]))


async def _live(folder: Path) -> list[Request]:
    """All that went over the wire, what was sent again included."""
    centre = Centre(DURABLE, _AWAY, _AWAY, DURABLE, _REFUSES, DURABLE)
    async with serving(centre.answer) as port:
        path = configure(folder, LISTENER, SENSOR, centre=f"http://127.0.0.1:{port}")
        path.write_text(path.read_text().replace("interval_s = 0.2", "interval_s = 0.2\nreport_s = 0.5"))
        async with running(path, speed=SPEED) as agent:
            device = await Device.dial(agent.agent.listener_port or 0)
            await device.send(connect("sensor", username="bridge"))
            await device.read_packet()

            for _ in range(_MOST_READINGS):
                await device.send(publish("zigbee2mqtt/co2", b'{"co2":600,"battery":50}', packet_id=1))
                await device.pubacks(1)
                await asyncio.sleep(0.01)
                kinds = {request.path for request in centre.requests}
                named = {request.headers["idempotency-key"] for request in centre.requests}
                if len(named) >= _BATCHES and len(kinds) == _PATHS:
                    break
            await device.close()
            await until(lambda: agent.agent.core.is_idle)
            await agent.stop()
    return centre.requests


def _rows(state: Path) -> list[Row]:
    connection = apsw.Connection(str(state / FILE_NAME), flags=apsw.SQLITE_OPEN_READWRITE)
    names = ("epoch", "sequence", "state", "body_sha256", "head", "body")
    found = [dict(zip(names, row, strict=True)) for row in connection.execute(f"SELECT {', '.join(names)} FROM batch")]
    connection.close()
    return found


def _differences(heard: list[Request], rows: list[Row]) -> list[str]:
    """Bytes on the wire that the ledger does not have under that name, and batches that were answered unheard."""
    ledger = {f"{row['epoch']}-{row['sequence']}": row["body"] for row in rows}
    wire = {request.headers["idempotency-key"]: request.body for request in heard}
    found = [f"{name} was heard otherwise" for name, body in wire.items() if ledger.get(name) != body]
    found += [
        f"{request.headers['idempotency-key']} was sent again otherwise"
        for request in heard
        if wire[request.headers["idempotency-key"]] != request.body
    ]
    answered = (name for name, row in zip(ledger, rows, strict=True) if row["state"] != "sealed")
    return found + [f"{name} is in the ledger and was never heard" for name in answered if name not in wire]


def _heads(heard: list[Request]) -> list[str]:
    """What the heads of requests say besides which batch it is and how long: the same each time, by path."""
    said = {
        (request.path, *sorted(line for line in request.headers.items() if line[0] not in _OF_A_BATCH))
        for request in heard
    }
    names = {name for request in heard for name in request.headers}
    found = [f"a header more: {name}" for name in sorted(names - _HEADERS - _OF_A_BATCH)]
    return found if len(said) == _PATHS else [*found, f"heads of {len(said)} kinds"]


def _flip(state: Path, rows: list[Row], rng: random.Random) -> str:
    """Change one bit of the bytes, the hash or the link of one batch."""
    row, column = rng.choice(rows), rng.choice(("body", "body", "body_sha256", "head"))
    value = bytearray(row[column])
    at, bit = rng.randrange(len(value)), rng.randrange(8)
    value[at] ^= 1 << bit
    connection = apsw.Connection(str(state / FILE_NAME))
    sql = f"UPDATE batch SET {column} = ? WHERE epoch = ? AND sequence = ?"
    connection.execute(sql, (bytes(value), row["epoch"], row["sequence"]))
    connection.close()
    return f"bit {bit} of byte {at} of {column} of batch {row['sequence']}"


PROOFS: Final = [
    Proof(
        name="wire",
        claim_en="what goes over the wire is the egress ledger, byte for byte, and one flipped bit of it is seen",
        claim_zh="线路上的内容与出口账本逐字节相同，账本翻转任何一位都会被发现",
        short=50,
        long=2_000,
        run=run,
    )
]
