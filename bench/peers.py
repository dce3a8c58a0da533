"""ThingsBoard Gateway and Node-RED beside ours: throughput, cost, and what is lost and doubled when things break."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from bansui.free_port import free_port
from bench._brokers import mosquitto
from bench._centre import centre
from bench._gateways.line import line_to
from bench._gateways.mqtt_remote import mqtt_remote
from bench._gateways.node_red import NodeRed
from bench._gateways.ours import Ours
from bench._gateways.stream import Stream, message
from bench._gateways.thingsboard import ThingsBoard
from bench._load import topic
from bench._processes import ended
from bench._report import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench._gateways.counting import Count
    from bench._gateways.line import Line
    from bench._gateways.site import Site

ALONE: Final = True
"""It takes half an hour."""
DEVICES: Final = 400
RATE: Final = 200
"""Messages a second while things break: a third of what the slowest of them sustains."""
FLOOD: Final = 60_000
FLOOD_S: Final = 60.0
"""A gateway that has not got the flood through by then is measured by what it has."""
BEFORE_S: Final = 10
CUT_S: Final = 60
AFTER_S: Final = 30
KILLS: Final = 3
BETWEEN_KILLS_S: Final = 15
_BROKER: Final = "max_inflight_messages 1000\n"

Scene: TypeAlias = "tuple[Site, Line, int]"
"""A gateway that runs, its uplink, and the port of the devices' broker."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one gateway."""

    name: str
    per_second: float
    cpu_us: float
    peak_mb: float
    cut: Count
    silent: Count
    killed: Count


def measure() -> Part:
    """One row a gateway; ratios to ours."""
    results = [_result(scene) for scene in (_ours, _thingsboard, _node_red)]
    ours = results[0]
    return Part(
        columns=(
            "gateway",
            "messages/s",
            "to ours",
            "CPU per message",
            "to ours",
            "peak memory",
            f"uplink cut for {CUT_S} s: lost",
            "doubled",
            f"silent for {CUT_S} s: lost",
            "doubled",
            f"killed {KILLS} times: lost",
            "doubled",
        ),
        rows=[
            (
                result.name,
                f"{result.per_second:,.0f}",
                f"{result.per_second / ours.per_second:.3f}",
                f"{result.cpu_us:,.0f} us",
                f"{result.cpu_us / ours.cpu_us:.1f}",
                f"{result.peak_mb:.0f} MB",
                *_cells(result.cut),
                *_cells(result.silent),
                *_cells(result.killed),
            )
            for result in results
        ],
    )


def _cells(count: Count) -> Sequence[str]:
    return (f"**{count.lost:,}** of {count.sent:,}", f"**{count.doubled:,}**")


def _result(scene: Callable[[], contextlib.AbstractContextManager[Scene]]) -> Result:
    with scene() as (site, _, broker):
        print(f"   {site.name}: flood ...", flush=True)
        per_second, cpu_us, peak_mb = _flooded(site, broker)
    with scene() as (site, line, broker):
        print(f"   {site.name}: uplink cut ...", flush=True)
        cut = _cut(site, line, line.cut, broker)
    with scene() as (site, line, broker):
        print(f"   {site.name}: uplink silent ...", flush=True)
        silent = _cut(site, line, line.fall_silent, broker)
    with scene() as (site, _, broker):
        print(f"   {site.name}: killed ...", flush=True)
        killed = _killed(site, broker)
    result = Result(site.name, per_second, cpu_us, peak_mb, cut, silent, killed)
    print(f"   {result}", flush=True)
    return result


def _flooded(site: Site, broker: int) -> tuple[float, float, float]:
    """Messages a second that came through, CPU time of each in microseconds, and the highest memory in MB.

    The devices' broker keeps what the gateway has not taken, so the gateway's own pace is measured.
    """
    before = site.usage()
    with _publishing(Stream(port=broker, devices=DEVICES, messages=FLOOD)):
        began = time.perf_counter()
        while (arrived := site.arrived()) < FLOOD and time.perf_counter() - began < FLOOD_S:
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        after = site.usage()
    return arrived / seconds, (after.cpu_s - before.cpu_s) / arrived * 1e6, after.peak_mb


def _cut(site: Site, line: Line, begin: Callable[[], None], broker: int) -> Count:
    sent = RATE * (BEFORE_S + CUT_S + AFTER_S)
    with _publishing(Stream(port=broker, devices=DEVICES, messages=sent, rate=RATE)) as publisher:
        time.sleep(BEFORE_S)
        begin()
        time.sleep(CUT_S)
        line.mend()
        publisher.wait(10 * AFTER_S)
    site.settle(sent)
    return site.count(sent)


def _killed(site: Site, broker: int) -> Count:
    sent = RATE * (BEFORE_S + (KILLS + 1) * BETWEEN_KILLS_S)
    with _publishing(Stream(port=broker, devices=DEVICES, messages=sent, rate=RATE)) as publisher:
        time.sleep(BEFORE_S)
        for _ in range(KILLS):
            site.kill()
            site.start()
            time.sleep(BETWEEN_KILLS_S)
        publisher.wait(10 * BETWEEN_KILLS_S)
    site.settle(sent)
    return site.count(sent)


@contextlib.contextmanager
def _publishing(stream: Stream) -> Iterator[subprocess.Popen[bytes]]:
    """The process that publishes, which ends when the broker has everything."""
    command = [sys.executable, "-m", "bench._gateways.stream", stream.as_json()]
    with ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        yield process


@contextlib.contextmanager
def _ours() -> Iterator[Scene]:
    port = free_port()
    with (
        _broker() as (folder, broker),
        centre(folder / "centre", port),
        line_to(port) as line,
        Ours(folder / "ours", broker, line.port, folder / "centre", devices=DEVICES, slot_s=DEVICES // RATE) as site,
    ):
        yield _ready(site, line, broker)


@contextlib.contextmanager
def _thingsboard() -> Iterator[Scene]:
    with (
        _broker() as (folder, broker),
        mqtt_remote(folder / "remote") as remote,
        line_to(remote.port) as line,
        ThingsBoard(folder / "thingsboard", broker, line.port, remote) as site,
    ):
        yield _ready(site, line, broker)


@contextlib.contextmanager
def _node_red() -> Iterator[Scene]:
    with (
        _broker() as (folder, broker),
        mqtt_remote(folder / "remote") as remote,
        line_to(remote.port) as line,
        NodeRed(folder / "node-red", broker, line.port, remote) as site,
    ):
        yield _ready(site, line, broker)


@contextlib.contextmanager
def _broker() -> Iterator[tuple[Path, int]]:
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name), _BROKER) as port:
        yield Path(name), port


def _ready(site: Site, line: Line, broker: int) -> Scene:
    """Started, and seen to take messages; what was published to see it is not counted."""
    site.start()
    probe = message(-1).decode()  # of a device that the stream does not have
    site.wait_until_through(["mosquitto_pub", "-p", str(broker), "-q", "1", "-t", topic(DEVICES), "-m", probe])
    time.sleep(1)  # the last of them is through too
    site.is_through()
    return site, line, broker
