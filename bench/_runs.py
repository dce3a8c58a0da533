"""One run of each path that messages can take, and what it came to."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from bench._agent import Setup, agent
from bench._brokers import mosquitto, mosquitto_sub
from bench._publishers import publishers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench._load import Load
    from bench._processes import Usage

RUNS: Final = 5
_GIVE_UP_S: Final = 120
_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Messages a second from the first byte to the last word; for an agent, what it used."""

    per_second: float
    load_share: float
    """Of one core, by the publishers: near 1, it is they who are measured."""
    cpu_us: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Ours and a peer's in the same run: the medians, and the median of the ratios pair by pair."""

    ours: Run
    peer: Run
    ratio: float


def through_mosquitto(load: Load) -> Run:
    """Publishers to Mosquitto to mosquitto_sub, QoS 1 all the way."""
    with (
        tempfile.TemporaryDirectory() as name,
        mosquitto(Path(name)) as port,
        mosquitto_sub(Path(name), port, load.messages) as subscriber,
        publishers(replace(load, port=port)) as devices,
    ):
        started = time.perf_counter()
        devices.start()
        subscriber.wait(_GIVE_UP_S)
        seconds = time.perf_counter() - started
        loaded = devices.wait()
    return Run(per_second=load.messages / seconds, load_share=loaded.cpu_s / loaded.seconds)


def to_listener(load: Load) -> Run:
    """Publishers to the agent's listener; every PUBACK after the commit."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as name,
        agent(Path(name), Setup(devices=load.devices, listener=port)) as running,
        publishers(replace(load, port=port)) as devices,
    ):
        before = running.usage()
        devices.start()
        loaded = devices.wait()
        share = loaded.cpu_s / loaded.seconds
        return _run(load.messages, loaded.seconds, share, before, running.usage())


def subscribed(load: Load) -> Run:
    """Publishers to Mosquitto to the agent as its subscriber, until the last reading is on disk."""
    with (
        tempfile.TemporaryDirectory() as name,
        mosquitto(Path(name)) as port,
        agent(Path(name), Setup(devices=load.devices, subscriber=port)) as running,
    ):
        running.wait_until_subscribed(port)
        with publishers(replace(load, port=port)) as devices:
            before, held = running.usage(), running.received()
            started = time.perf_counter()
            devices.start()
            while running.received() - held < load.messages * load.fields:
                time.sleep(_LOOK_EVERY_S)
                if time.perf_counter() - started > _GIVE_UP_S:
                    raise SystemExit("the agent did not receive everything")
            seconds = time.perf_counter() - started
            after, loaded = running.usage(), devices.wait()
        return _run(load.messages, seconds, loaded.cpu_s / loaded.seconds, before, after)


def interleaved(ours: Callable[[Load], Run], peer: Callable[[Load], Run], load: Load) -> Pairs:
    """Ours and the peer's in turn."""
    pairs = [(ours(load), peer(load)) for _ in range(RUNS)]
    ratio = median(our.per_second / their.per_second for our, their in pairs)
    return Pairs(_median([our for our, _ in pairs]), _median([their for _, their in pairs]), ratio)


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        per_second=median(run.per_second for run in runs),
        load_share=median(run.load_share for run in runs),
        cpu_us=median(run.cpu_us for run in runs),
        peak_mb=median(run.peak_mb for run in runs),
    )


def _run(messages: int, seconds: float, share: float, before: Usage, after: Usage) -> Run:
    return Run(
        per_second=messages / seconds,
        load_share=share,
        cpu_us=(after.cpu_s - before.cpu_s) / messages * 1e6,
        peak_mb=after.peak_mb,
    )
