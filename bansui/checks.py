"""What `bansui doctor` looks at: each check says how it stands, and the command that mends it."""

from __future__ import annotations

import datetime as dt
import enum
import errno
import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

import bansui
import broker
import telemetry
from broker.topics import overlap
from edge_agent.client_tls import why_not
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian
from edge_agent.privacy.plan import plan_counts
from edge_agent.room import room_of
from edge_agent.store.engine import LOCK_NAME, StoreBusy, lock
from edge_agent.uplink import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.bindings import Prepared
    from edge_agent.client_tls import ClientTls
    from edge_agent.config_file import LoadedConfiguration

PROMISED_HOURS: Final = 72
"""How long an agent without its centre keeps everything: design, buffer."""
LARGEST_OFFSET_S: Final = 2.0
_ROUND_TRIP_S: Final = 3.0
_AT_ONCE: Final = 16
"""How many devices are tried at once: those that are off take the whole time."""
_SET_CLOCK: Final = "run `timedatectl set-ntp true`"
_OLDEST_SQLITE: Final = (3, 51, 3)


class Verdict(enum.StrEnum):
    """How a check stands."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"

    @property
    def mark(self) -> str:
        """The sign before the line; the word stands in `--json`."""
        return _MARKS[self]


_MARKS: Final = {Verdict.GOOD: "✓", Verdict.DOUBTFUL: "!", Verdict.BAD: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    verdict: Verdict
    what: str
    fix: str = ""


def examine(loaded: LoadedConfiguration, prepared: Prepared) -> Iterator[Finding]:
    """Everything there is to check of an agent whose configuration is valid, one finding after another."""
    yield Finding(
        "configuration", Verdict.GOOD, what=f"{len(loaded.tables.device)} devices, every driver and secret there"
    )
    yield _policy(loaded.policy.name)
    yield from _noise(loaded, prepared)
    yield _packages()
    yield _sqlite()
    folder = loaded.folder / loaded.tables.agent.state
    running = _agent_runs(folder)
    yield _disk(loaded, folder, prepared)
    yield from _serial_lines(loaded)
    yield from _tcp_devices(loaded, running=running)
    yield from _fitted_to_come(loaded)
    yield from _topics(loaded)
    yield from _ports(loaded, running=running)
    yield from _broker(loaded)
    yield from _centre(loaded, prepared.token)
    yield _time_service()


def _policy(name: str) -> Finding:
    if name == "demo":
        return Finding(
            "privacy",
            Verdict.DOUBTFUL,
            what="the policy is `demo`, which is for simulated devices: it tells more of rooms than a school should",
            fix='set `policy = "strict"` in [privacy]',
        )
    return Finding("privacy", Verdict.GOOD, what=f"the policy is `{name}`; `bansui privacy explain` says what leaves")


def _noise(loaded: LoadedConfiguration, prepared: Prepared) -> Iterator[Finding]:
    """Whether people counts, where the policy tells any, can be told."""
    timetable = loaded.tables.school_hours
    plan = plan_counts(loaded.policy.tables.P2, prepared.admission.bindings.values(), timetable)
    if plan is None:
        return
    try:
        discrete_gaussian(plan.budget)
    except NoiseMissing as error:
        yield Finding("noise", Verdict.BAD, what=f"people counts are not told: {error.what}", fix=error.fix)
        return
    sigma = plan.budget.sigma_milli / 1000
    yield Finding("noise", Verdict.GOOD, what=f"people counts have noise of sigma {sigma:.2f}, drawn by OpenDP")


def _packages() -> Finding:
    """PyPI has other packages named `broker` and `telemetry`."""
    home = Path(bansui.__file__).parents[1]
    foreign = [room.__name__ for room in (broker, telemetry) if Path(str(room.__file__)).parents[1] != home]
    if foreign:
        return Finding(
            "packages",
            Verdict.BAD,
            what=f"{', '.join(foreign)} came from another distribution",
            fix="use an environment of its own: python3 -m venv .venv && .venv/bin/pip install 'bansui[agent]'",
        )
    return Finding("packages", Verdict.GOOD, what="every room came with this Bansui")


def _sqlite() -> Finding:
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < _OLDEST_SQLITE:
        return Finding(
            "sqlite",
            Verdict.BAD,
            what=f"SQLite {version} can corrupt the store",
            fix="run `pip install 'apsw>=3.51.3'`",
        )
    return Finding("sqlite", Verdict.GOOD, what=f"SQLite {version}")


def _agent_runs(folder: Path) -> bool:
    if not (folder / LOCK_NAME).exists():
        return False
    try:
        os.close(lock(folder))
    except StoreBusy:
        return True
    return False


def _disk(loaded: LoadedConfiguration, folder: Path, prepared: Prepared) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Finding(
            "disk", Verdict.BAD, what=f"{existing} cannot be written", fix=f"run `chown {_user()} {existing}`"
        )
    bindings = prepared.admission.bindings
    an_hour = sum(binding.summaries_an_hour for binding in bindings.values())
    room = room_of(loaded, bindings, existing)
    hours = room.minutes(0, an_hour) // 60
    is_short = hours < PROMISED_HOURS
    return Finding(
        "disk",
        Verdict.BAD if is_short else Verdict.GOOD,
        what=f"{room.free_bytes() >> 20} MiB free: room for {hours} h at least without the centre",
        fix=f"raise [store] buffer_hours or buffer_mib, or make room on the disk: `du -xh {existing} | sort -h`"
        if is_short
        else "",
    )


def _serial_lines(loaded: LoadedConfiguration) -> Iterator[Finding]:
    for port in sorted({device.serial.port for device in loaded.tables.device if device.serial is not None}):
        if not Path(port).exists():
            yield Finding(
                "serial",
                Verdict.BAD,
                what=f"{port} is not there",
                fix="plug the adapter in; `ls -l /dev/serial/by-id` shows it",
            )
        elif not os.access(port, os.R_OK | os.W_OK):
            yield Finding(
                "serial",
                Verdict.BAD,
                what=f"{port} is not ours to open",
                fix=f"run `usermod -aG {Path(port).group()} {_user()}`, then log in again",
            )
        else:
            yield Finding("serial", Verdict.GOOD, what=f"{port} is there and ours to open")


def _tcp_devices(loaded: LoadedConfiguration, *, running: bool) -> Iterator[Finding]:
    tables = {(device.tcp.host, device.tcp.port) for device in loaded.tables.device if device.tcp is not None}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failures = pool.map(lambda where: "" if running else _cannot_reach(where), sorted(tables))
        for (host, port), failure in zip(sorted(tables), failures, strict=True):
            if running:  # a gateway may take one connection alone, which is the agent's
                yield Finding("devices", Verdict.GOOD, what=f"{host}:{port}: the agent is running, and asks it")
            elif failure:
                yield Finding(
                    "devices",
                    Verdict.DOUBTFUL,
                    what=f"{host}:{port} takes no connection: {failure}",
                    fix=f"is it on, and in this network? `nc -vz {host} {port}`; "
                    "some displays are out of reach in standby",
                )
            else:
                yield Finding("devices", Verdict.GOOD, what=f"{host}:{port} takes a connection")


def _fitted_to_come(loaded: LoadedConfiguration) -> Iterator[Finding]:
    """No mistake of the file: a configuration may be written before its day, and an agent's clock may be behind."""
    today = dt.datetime.now(loaded.tables.zone).date()
    for device in loaded.tables.device:
        if device.fitted is not None and device.fitted > today:
            yield Finding(
                "devices",
                Verdict.DOUBTFUL,
                what=f"{device.id} is fitted on {device.fitted}, which is to come",
                fix="mend `fitted` before the agent runs with it: each other date makes what counts up begin anew",
            )


def _cannot_reach(where: tuple[str, int], tls: ClientTls | None = None) -> str:
    """Why there is no connection, or none that is believed; empty when there is one."""
    try:
        with socket.create_connection(where, _ROUND_TRIP_S) as line:
            if tls is not None:
                tls.context().wrap_socket(line, server_hostname=where[0]).close()
    except OSError as error:
        return why_not(error) or error.strerror or str(error)
    return ""


def _topics(loaded: LoadedConfiguration) -> Iterator[Finding]:
    """Whether what devices publish can come in at all: a login, or the subscription, has to let it."""
    listener, subscriber = loaded.tables.listener, loaded.tables.subscriber
    ways = [way for client in (listener.client if listener is not None else ()) for way in client.publish]
    ways += subscriber.topics if subscriber is not None else ()
    topics = {device.id: device.mqtt.topic for device in loaded.tables.device if device.mqtt is not None}
    unheard = [device for device, topic in topics.items() if not any(overlap(way, topic) for way in ways)]
    if unheard:
        yield Finding(
            "topics",
            Verdict.BAD,
            what=f"{len(unheard)} of {len(topics)} MQTT devices cannot be heard, the first at {topics[unheard[0]]}",
            fix="add their topics to `publish` of a [[listener.client]], or to `topics` of [subscriber]",
        )
    elif topics:
        yield Finding("topics", Verdict.GOOD, what=f"each of {len(topics)} MQTT devices may be heard")


def _ports(loaded: LoadedConfiguration, *, running: bool) -> Iterator[Finding]:
    for key, host, port in loaded.tables.own_ports:
        if running:
            yield Finding("ports", Verdict.GOOD, what=f"{key} {port}: the agent is running")
            continue
        if not port:
            yield Finding("ports", Verdict.GOOD, what=f"{key} 0: a free port is chosen at each start")
            continue
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                yield Finding("ports", Verdict.GOOD, what=f"{key} {port} is free")
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                yield Finding(
                    "ports",
                    Verdict.BAD,
                    what=f"{key} {port} is taken",
                    fix=f"`ss -ltnp 'sport = :{port}'` says who has it",
                )
                continue
            yield Finding(
                "ports",
                Verdict.BAD,
                what=f"{key} {port} cannot be opened at {host}: {_said_by(error)}",
                fix="choose an address of this machine (`ip -br address`), and a port from 1024 upwards",
            )


def _broker(loaded: LoadedConfiguration) -> Iterator[Finding]:
    table = loaded.tables.subscriber
    if table is None:
        return
    host, port = table.address
    tls = None if table.tls is None else table.tls.files(loaded.folder)
    if failure := _cannot_reach(table.address, tls):
        way = f"openssl s_client -connect {host}:{port}" if tls is not None else f"nc -vz {host} {port}"
        yield Finding(
            "broker",
            Verdict.BAD,
            what=f"the school's broker {host}:{port} does not answer: {failure}",
            fix=f"start it, or open the way: `{way}`",
        )
    else:
        yield Finding("broker", Verdict.GOOD, what=f"{host}:{port} answers; its password is not tried")


def _centre(loaded: LoadedConfiguration, token: str) -> Iterator[Finding]:
    url = loaded.tables.uplink.url
    seen = probe(url, token, loaded.tables.uplink.tls(loaded.folder), timeout_s=_ROUND_TRIP_S)
    if seen.failure:
        yield Finding(
            "centre",
            Verdict.BAD,
            what=f"{url} is out of reach: {seen.failure}",
            fix=f"`curl -sv {url}/api/v1/health` shows where it ends; batches wait meanwhile",
        )
        return
    if seen.knows_token:
        yield Finding("centre", Verdict.GOOD, what=f"{url} answers and knows the token")
    else:
        yield Finding(
            "centre",
            Verdict.BAD,
            what=f"{url} does not know the token",
            fix=f"ask the district for this agent's token, and write it into {loaded.tables.uplink.token_file}",
        )
    if seen.offset_s is None:
        return
    is_off = abs(seen.offset_s) > LARGEST_OFFSET_S
    yield Finding(
        "clock",
        Verdict.BAD if is_off else Verdict.GOOD,
        what=f"this clock is {seen.offset_s:+.1f} s off the centre's",
        fix=_SET_CLOCK if is_off else "",
    )


def _time_service() -> Finding:
    try:
        told = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_ROUND_TRIP_S,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return Finding(
            "time service",
            Verdict.DOUBTFUL,
            what="timedatectl does not tell",
            fix="run `apt-get install systemd-timesyncd`",
        )
    if told != "yes":
        return Finding("time service", Verdict.DOUBTFUL, what="the clock is not synchronised", fix=_SET_CLOCK)
    return Finding("time service", Verdict.GOOD, what="the clock is synchronised")


def _said_by(error: OSError) -> str:
    """What the system said, without what Python adds to it."""
    return (error.strerror or str(error)).partition(" (while")[0]


def _user() -> str:
    return os.environ.get("USER", "bansui")
