"""One run of each path that messages can take, and what it came to."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._parts import Publishers, Usage, agent, mosquitto, mosquitto_sub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS: Final = 5
_GIVE_UP_S: Final = 120
_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """Messages a second from the first byte to the last word; for an agent, what it used."""

    per_second: float
    cpu_us: float = 0.0
    rss_mb: float = 0.0


def through_mosquitto(messages: int, fields: int) -> Run:
    """Publishers to Mosquitto to mosquitto_sub, QoS 1 all the way."""
    with (
        tempfile.TemporaryDirectory() as name,
        mosquitto(Path(name)) as port,
        mosquitto_sub(Path(name), port, messages) as subscriber,
    ):
        publishers = Publishers(port, messages, fields)
        started = time.perf_counter()
        publishers.start()
        subscriber.wait(_GIVE_UP_S)
        seconds = time.perf_counter() - started
        publishers.seconds()
    return Run(messages / seconds)


def to_listener(messages: int, fields: int) -> Run:
    """Publishers to the agent's listener; every PUBACK after the commit."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name, agent(Path(name), listener=port) as running:
        publishers = Publishers(port, messages, fields)
        before = Usage.of(running.pid)
        publishers.start()
        seconds = publishers.seconds()
        return _run(messages, seconds, before, Usage.of(running.pid))


def subscribed(messages: int, fields: int) -> Run:
    """Publishers to Mosquitto to the agent as its subscriber, until the last reading is on disk."""
    with (
        tempfile.TemporaryDirectory() as name,
        mosquitto(Path(name)) as port,
        agent(Path(name), subscriber=port) as running,
    ):
        running.wait_until_subscribed(port)
        publishers = Publishers(port, messages, fields)
        before, held = Usage.of(running.pid), running.received()
        started = time.perf_counter()
        publishers.start()
        while running.received() - held < messages * fields:
            time.sleep(_LOOK_EVERY_S)
            if time.perf_counter() - started > _GIVE_UP_S:
                raise SystemExit("the agent did not receive everything")
        seconds = time.perf_counter() - started
        publishers.seconds()
        return _run(messages, seconds, before, Usage.of(running.pid))


def interleaved(ours: Callable[[], Run], peer: Callable[[], Run]) -> tuple[Run, Run, float]:
    """Ours and the peer's in turn; the median of each, and of the ratios pair by pair."""
    pairs = [(ours(), peer()) for _ in range(RUNS)]
    ratio = median(our.per_second / their.per_second for our, their in pairs)
    return _median([our for our, _ in pairs]), _median([their for _, their in pairs]), ratio


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        median(run.per_second for run in runs), median(run.cpu_us for run in runs), median(run.rss_mb for run in runs)
    )


def _run(messages: int, seconds: float, before: Usage, after: Usage) -> Run:
    return Run(messages / seconds, (after.cpu_s - before.cpu_s) / messages * 1e6, after.rss_mb)
