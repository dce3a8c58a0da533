"""A backlog as an agent would have it: its own core and store, fed message by message, with time that is moved on."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench._load import payload, topic
from device_drivers.contract import Frame
from edge_agent.bindings import prepare
from edge_agent.clock_trust import Always
from edge_agent.config_file import load
from edge_agent.core import Core
from edge_agent.events import Arrival, Arrived, Batch, Commit, Committed, Send, Tick, Undelivered
from edge_agent.privacy.release import people_counts
from edge_agent.reporting import Surroundings
from edge_agent.room import room_of
from edge_agent.state import State
from edge_agent.store import Store
from edge_agent.store.epoch import new_epoch
from edge_agent.timing import Timing
from telemetry import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.events import Event

MINUTE_MS: Final = 60_000
_GATHERED_MS: Final = 200
"""More than a group commit waits."""
_CHECKPOINT_S: Final = 900.0
"""Of the time that is moved on: one a minute is what a real agent does, and most of the work here."""
_PACKET_IDS: Final = 65_535
_SEED: Final = 4
_VARIETY: Final = 700


@dataclass(frozen=True, slots=True)
class Filled:
    """What was put in."""

    messages: int
    payload_bytes: int
    summaries: int


def fill(config: Path, *, devices: int, fields: int, minutes: int, ends_ms: int) -> Filled:
    """Let every device send once a minute for so long, until `ends_ms`, with a centre that never answers."""
    loaded = load(config)
    clock = ManualClock(ends_ms - minutes * MINUTE_MS, 1000.0)
    folder = loaded.state_folder
    store = Store(folder, new_epoch=new_epoch)
    admission = prepare(loaded).admission
    tables = loaded.tables
    timetable = tables.school_hours
    state = State.rebuild(store.load(0), timetable, admission.bindings)
    core = Core(
        school=tables.agent.school,
        admission=admission,
        state=state,
        clock=clock,
        rng=random.Random(_SEED),
        timing=Timing(checkpoint_s=_CHECKPOINT_S),
        surroundings=Surroundings(0, 0, room_of(loaded, admission.bindings, folder), Always()),
        new_epoch=new_epoch,
        people=people_counts(
            loaded.policy.tables.P2,
            timetable,
            state=state,
            bindings=admission.bindings,
            school=tables.agent.school,
            clock=clock,
            waits_at_first=True,
        ),
    )
    size = 0
    payloads = [payload(number, fields) for number in range(_VARIETY)]
    for minute in range(minutes):
        sent = [payloads[(minute + device) % _VARIETY] for device in range(devices)]
        size += sum(map(len, sent))
        _play(core, store, Arrived([_batch(device, each, minute, clock.now()) for device, each in enumerate(sent)]))
        clock.advance(_GATHERED_MS)
        _play(core, store, Tick())
        clock.advance(MINUTE_MS - _GATHERED_MS)
        _play(core, store, Tick())
    core.flush()
    _play(core, store, Tick())
    waiting = core.report().waiting
    store.close()
    return Filled(minutes * devices, size, waiting)


def _batch(device: int, sent: bytes, minute: int, now_ms: int) -> Batch:
    """What a device sends over a connection of its own."""
    arrival = Arrival(Frame(sent, topic(device)), minute % _PACKET_IDS + 1)
    return Batch([arrival], now_ms, session=f"load/device-{device}")


def _play(core: Core, store: Store, event: Event) -> None:
    """One event and all that follows from it: commits are written, batches do not arrive."""
    events = deque([event])
    while events:
        for effect in core.handle(events.popleft()):
            match effect:
                case Commit(transaction):
                    events.append(Committed(transaction, store.commit(transaction)))
                case Send(batch, _, _):
                    events.append(Undelivered(batch, "the centre is away"))
