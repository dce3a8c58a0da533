"""The measurement of a broker: processes of publishers, a live table, and what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bansui.sim_words import words
from edge_agent.client_tls import ClientTls, TrustUnusable
from simulators.latencies import Latencies
from simulators.publishers import BrokerUnreachable, Load, Progress, TooFewFiles, publish
from telemetry import BansuiError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARES: Final = (0.5, 0.9, 0.99, 0.999, 1.0)
_NAMES: Final = ("median", "90 %", "99 %", "99.9 %", "longest")
_TROUBLES: Final = {kind.code: kind for kind in (BrokerUnreachable, TooFewFiles, TrustUnusable)}
_LOOPBACK: Final = "127."


@dataclasses.dataclass(slots=True)
class Measured:
    """The sums over all processes."""

    progress: list[Progress]
    latencies: Latencies
    last: Latencies
    """Those of the last half second."""
    trouble: BansuiError | None = None
    """What a process could not do."""

    def as_dict(self, loads: Sequence[Load]) -> dict[str, Any]:
        """For programs."""
        seconds = max((each.seconds for each in self.progress), default=0.0)
        acknowledged = sum(each.acknowledged for each in self.progress)
        return {
            "devices": sum(load.devices for load in loads),
            "connections": sum(load.connections for load in loads),
            "processes": len(loads),
            "offered_per_s": sum(load.rate for load in loads) or None,
            "seconds": round(seconds, 2),
            "sent": sum(each.sent for each in self.progress),
            "acknowledged": acknowledged,
            "acknowledged_per_s": round(acknowledged / seconds) if seconds else 0,
            "lost_connections": sum(each.lost_connections for each in self.progress),
            "latency_ms": {
                name: round(self.latencies.percentile_ms(share), 2) for name, share in zip(_NAMES, _SHARES, strict=True)
            },
            "cpu_percent": [round(100 * each.cpu_s / each.seconds) if each.seconds else 0 for each in self.progress],
            "memory_mb": [round(each.memory_mb) for each in self.progress],
        }


def loads(
    *,
    address: tuple[str, int],
    devices: int,
    connections: int,
    rate: float,
    seconds: float,
    processes: int,
    user: str = "",
    password: str = "",
) -> list[Load]:
    """The load of each process: an even share, from an address of its own where the broker is on loopback."""
    run = f"bench-{os.getpid()}"
    shares = [divmod(total, processes) for total in (devices, connections)]
    return [
        Load(
            host=address[0],
            port=address[1],
            devices=shares[0][0] + (number < shares[0][1]),
            connections=shares[1][0] + (number < shares[1][1]),
            rate=rate / processes,
            seconds=seconds,
            name=f"{run}-{number}",
            source=f"127.0.0.{number + 2}" if address[0].startswith(_LOOPBACK) and processes > 1 else "",
            user=user,
            password=password,
        )
        for number in range(processes)
    ]


def measure(parts: Sequence[Load], *, is_live: bool, ca_file: Path | None = None) -> Measured:
    """Run the loads, each in a process, by TLS if a CA is named; show them in a table if `is_live`.

    Raises what a process could not do.
    """
    measured = Measured([Progress() for _ in parts], Latencies(), Latencies())
    lock = threading.Lock()
    children = [_child(load, ca_file) for load in parts]
    readers = [
        threading.Thread(target=_read, args=(child, number, measured, lock), daemon=True)
        for number, child in enumerate(children)
    ]
    for reader in readers:
        reader.start()
    try:
        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            while any(reader.is_alive() for reader in readers):
                readers[0].join(0.5)
                for reader in readers[1:]:
                    reader.join(0.01)
                if is_live:
                    with lock:
                        live.update(_table(parts, measured), refresh=True)
                        measured.last = Latencies()
    finally:
        measured.last = Latencies()
        for child in children:
            child.terminate()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
    if measured.trouble is not None:
        raise measured.trouble
    return measured


def print_measured(parts: Sequence[Load], measured: Measured) -> None:
    """What came of it, for a person."""
    Console(highlight=False).print(_table(parts, measured))


def _child(load: Load, ca_file: Path | None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "bansui.sim_bench", *([] if ca_file is None else [str(ca_file)])],
        stdin=subprocess.PIPE,  # every user of the machine may read a command line, and a load may hold a password
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin:  # how it ended is told by whoever reads its output
        child.stdin.write(json.dumps(dataclasses.asdict(load)))
    return child


def _read(child: subprocess.Popen[str], number: int, measured: Measured, lock: threading.Lock) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        told = json.loads(line)
        with lock:
            if "code" in told:
                kind = _TROUBLES[told.pop("code")]
                measured.trouble = kind(**told)
                continue
            measured.progress[number] = Progress(**told)
            measured.latencies.merge(told["counts"])
            measured.last.merge(told["counts"])
    if (code := child.wait()) and measured.trouble is None:
        measured.trouble = EnvironmentFault(
            f"a process that publishes ended with {code}",
            where=f"process {number + 1} of {len(measured.progress)}",
            fix="see whether the machine has memory enough (`dmesg`)",
        )


def _table(parts: Sequence[Load], measured: Measured) -> Table:
    told, say = measured.as_dict(parts), words()
    title = say["bench"].format(address=f"{parts[0].host}:{parts[0].port}")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    connected = sum(each.connected for each in measured.progress)
    on = {"devices": told["devices"], "connected": connected, "connections": told["connections"]}
    lost, last = told["lost_connections"], measured.last
    offered = f"{told['offered_per_s']:,.0f}" if told["offered_per_s"] else say["bench.all"]
    rows = [
        ("bench.devices", say["bench.on"].format(**on)),
        ("bench.offered", offered),
        ("bench.acknowledged", f"{told['acknowledged_per_s']:,}"),
        ("bench.sums", f"{told['sent']:,}, {told['acknowledged']:,}"),
        ("bench.seconds", f"{told['seconds']:.1f}"),
        *((f"bench.{name}", f"{value:,.2f} ms") for name, value in told["latency_ms"].items()),
        *((("bench.now", f"{last.percentile_ms(0.99):,.2f} ms"),) if last.total else ()),
        ("bench.lost", say["bench.all.lost"].format(lost=lost) if lost == told["connections"] else f"{lost:,}"),
        ("bench.cpu", ", ".join(f"{each} %" for each in told["cpu_percent"])),
        ("bench.memory", ", ".join(f"{each} MB" for each in told["memory_mb"])),
    ]
    for name, text in rows:
        table.add_row(say[name], text)
    return table


def _main() -> None:
    """One process of publishers: a load as JSON on standard input, reports as lines of JSON on standard output.

    Its argument, where there is one, is the file of the CA that signs the broker's certificate.
    """
    load = Load(**json.load(sys.stdin))

    def tell(told: dict[str, Any]) -> None:
        print(json.dumps(told), flush=True)

    try:
        tls = ClientTls(Path(sys.argv[1])).context() if sys.argv[1:] else None
        publish(load, lambda progress: tell(dataclasses.asdict(progress)), tls)
    except BansuiError as error:
        tell(error.as_dict())


if __name__ == "__main__":
    _main()
