"""An agent that every value is sent to, in a process of its own or in this one, and all that it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import shutil
import ssl
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import apsw
import httpx

from edge_agent.local.secret import load_or_make, token
from edge_agent.store.engine import FILE_NAME, LOG_NAME
from telemetry import ScaledClock
from tests.documents import ROOT
from tests.edge_agent.harness import MONDAY_9
from tests.edge_agent.running import configure, running
from tests.edge_agent.servers import DURABLE, serving
from tests.privacy.inlets import LOGIN, Endpoints, answers_at_length, send_all, serial_line, talking, write_program
from tests.privacy.vendor import PACKAGE, install
from tests.support.processes import BANSUI
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from telemetry import Clock
    from tests.support.processes import Processes, Spawned

SPEED: Final = 3600.0
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For what is asked over plain HTTP: reading those of the system takes a while."""
MINUTE_MS: Final = 60_000
_LISTENER: Final = """
[listener]
host = "127.0.0.1"
port = 0
[listener.limits]
publications_per_s = 1000000
publications_burst = 1000000
max_connections = 60000
max_connections_per_client = 60000
[[listener.client]]
id = "{login}"
password_file = "password"
publish = ["#"]
subscribe = ["#"]
[[listener.client]]
id = "{name}"
password_file = "password of {name}"
publish = ["{name}/#"]
[subscriber]
host = "127.0.0.1"
port = 9
client_id = "{name}"
username = "{name}"
topics = ["{name}/#"]
"""
_PAGES: Final = """
[pages]
host = "127.0.0.1"
port = 0
"""
_DEVICE: Final = """
[[device]]
id = "{id}"
room = "a-301"
role = "room_sensor"
driver = "{driver}"
cadence_s = 10
{more}
"""
_BY_MQTT: Final = {
    "co2": ("zigbee2mqtt", "zigbee2mqtt/co2/#", ""),
    "plug": ("tasmota", "tele/plug/#", ""),
    "esp": ("home_assistant", "esp/#", ""),
    "lora": ("lorawan", "application/1/device/2/event/#", 'model = "AM307"'),
    "careless": ("careless", "careless/#", 'options = {{ note = "{name}" }}'),
    "elsewhere": ("zigbee2mqtt", "{name}/board/#", ""),
}
_PACKAGES: Final = ("token", "password", "agent.toml", "vendor")
"""What a test puts into an agent's folder: values may stand there."""


@dataclass(slots=True)
class Exposed:
    """What an agent left behind, by where it was found."""

    surfaces: dict[str, bytes] = field(default_factory=dict, repr=False)  # asyncio.run writes its result down
    summaries: int = 0
    """That the centre was sent: an agent that tells nothing proves nothing."""


class _Wire:
    """A centre that answers 204 to all, and keeps every byte of a request, its head as it came."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.summaries = self.reports = 0
        """Batches of them."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            self.heard += head + body
            self.summaries += head.startswith(b"POST /api/v2/write")
            self.reports += head.startswith(b"POST /api/v1/agent-report")
            mark = re.search(rb"(?i)idempotency-key: (\S+)", head)
            writer.write(DURABLE.replace(b"{mark}", mark[1] if mark else b""))
            await writer.drain()


@dataclass(slots=True)
class _Stage:
    """What an agent under test needs around it."""

    folder: Path
    config: Path
    endpoints: Endpoints
    wire: _Wire


@contextlib.asynccontextmanager
async def _stage(folder: Path, name: str, values: Sequence[str]) -> AsyncIterator[_Stage]:
    """Devices on lines, over TCP and a centre; a configuration with `name` wherever a person's could stand."""
    wire, answers, failing_answers = _Wire(), deque[str](), answers_at_length(values)
    async with serving(wire.answer) as centre, talking(answers) as asked, talking(failing_answers) as careless:
        with serial_line(folder / f"line of {name}") as line, serial_line(folder / "failing line") as failing:
            tables = [_LISTENER.format(login=LOGIN, name=name), _PAGES]
            for device, (driver, topic, more) in _BY_MQTT.items():
                where = f'{more}\nmqtt = {{{{ topic = "{topic}" }}}}'.format(name=name)
                tables.append(_DEVICE.format(id=device, driver=driver, more=where))
            more = f'model = "PMS5003"\nserial = {{ port = "{folder}/line of {name}" }}'
            tables.append(_DEVICE.format(id="pm", driver="plantower", more=more))
            more = f'serial = {{ port = "{folder}/failing line" }}'
            tables.append(_DEVICE.format(id="noise", driver="careless_stream", more=more))
            for device, driver, port in (("projector", "pjlink", asked), ("player", "careless_poll", careless)):
                more = f'tcp = {{ host = "127.0.0.1", port = {port} }}'
                tables.append(_DEVICE.format(id=device, driver=driver, more=more))
            more = f'model = "PMS5003"\nserial = {{ port = "{folder}/no line of {name}" }}'
            tables.append(_DEVICE.format(id="gone", driver="plantower", more=more))
            program = write_program(folder / "vendor" / "program", values)
            more = f'quantities = ["temperature"]\nexec = {{ command = ["{program}", "{name}"], lines_per_s = 10000 }}'
            tables.append(_DEVICE.format(id="program", driver="exec", more=more))
            config = configure(folder, *tables, centre=f"http://127.0.0.1:{centre}")
            config.write_text(config.read_text().replace("interval_s = 0.2", "interval_s = 0.2\nreport_s = 0.5", 1))
            (folder / f"password of {name}").write_text(name)
            endpoints = Endpoints(0, 0, 0, line, failing, answers, failing_answers, program)
            yield _Stage(folder, config, endpoints, wire)


async def expose_process(
    values: Sequence[str], name: str, folder: Path, processes: Processes, *, minutes: int = 130
) -> Exposed:
    """A real agent, started as a person would; what it left is read while it runs and after its end."""
    environment = _environment(folder / "agent")
    async with _stage(folder / "agent", name, values) as stage:
        clock = ScaledClock(MONDAY_9, time.time_ns() // 1_000_000, SPEED)
        command = (*BANSUI, "agent", "run", "--json", "--config", str(stage.config), "--clock")
        time_option = f"{clock.origin_ms},{clock.started_ms},{clock.speed}"
        agent = processes.start(*command, time_option, env=environment)
        await asyncio.to_thread(agent.wait_for_output, "ready", 60)
        told = json.loads(agent.stdout)
        stage.endpoints.mqtt, stage.endpoints.pages = told["listener_port"], told["pages_port"]
        stage.endpoints.health = urlsplit(told["health"]).port or 0
        exposed = await _expose(values, stage, clock, minutes)
        exposed.surfaces |= _open_files(agent)
        await asyncio.to_thread(agent.terminate, 60)
        exposed.surfaces |= _left_on_disk(stage, "after the end")
        exposed.surfaces |= {"stdout": agent.stdout.encode(), "stderr": agent.stderr.encode()}
        return exposed


def _environment(folder: Path) -> dict[str, str]:
    """The vendor's drivers, and temporary files where they are found."""
    scratch = folder / "tmp"
    scratch.mkdir(parents=True)
    return {"PYTHONPATH": os.pathsep.join((str(ROOT), str(install(folder / "vendor")))), "TMPDIR": str(scratch)}


@contextlib.contextmanager
def _drivers(folder: Path) -> Iterator[None]:
    """The vendor's drivers, in this process."""
    sys.path.insert(0, str(install(folder)))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


@contextlib.contextmanager
def _log() -> Iterator[io.StringIO]:
    """What `bansui agent run` writes to stderr, in the same words."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    root.addHandler(handler)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def expose_here(values: Sequence[str], name: str, folder: Path, *, minutes: int = 130) -> Exposed:
    """The same agent in this process, where a test can change it."""
    with _drivers(folder / "agent" / "vendor"), _log() as log:
        async with _stage(folder / "agent", name, values) as stage, running(stage.config, speed=SPEED) as agent:
            stage.endpoints.mqtt = agent.agent.listener_port or 0
            stage.endpoints.health = agent.agent.health.port
            stage.endpoints.pages = agent.agent.pages.port if agent.agent.pages is not None else 0
            exposed = await _expose(values, stage, agent.clock, minutes)
            await agent.stop()
            exposed.surfaces |= _left_on_disk(stage, "after the end")
        exposed.surfaces["stderr"] = log.getvalue().encode()
        return exposed


async def _expose(values: Sequence[str], stage: _Stage, clock: Clock, minutes: int) -> Exposed:
    """Send all, and let so many minutes of the agent's time pass: windows close, and leave."""
    await send_all(values, stage.endpoints)
    enough_ms = clock.now() + minutes * MINUTE_MS
    await until(lambda: clock.now() > enough_ms, timeout=60)
    health, exposed = f"http://127.0.0.1:{stage.endpoints.health}", Exposed()
    async with httpx.AsyncClient(trust_env=False, verify=_NO_AUTHORITIES) as client:
        await until(lambda: stage.wire.summaries and stage.wire.reports, timeout=60, what="both kinds at the centre")
        pages = f"http://127.0.0.1:{stage.endpoints.pages}"
        secret = load_or_make(stage.folder / "state")
        light = f"{pages}/light/{token(secret, 'cn-002', 'a-301')}"
        shown = [
            f"{health}/healthz",
            f"{health}/metrics",
            f"{pages}/",
            f"{pages}/new",
            f"{pages}/rooms/a-301/label",
            light,
        ]
        for page in shown:
            answer = await client.get(page)
            assert answer.is_success, page
            exposed.surfaces[urlsplit(page).path] = str(answer.headers).encode() + answer.content
    exposed.surfaces |= _left_on_disk(stage, "while it ran")
    exposed.surfaces["wire"] = bytes(stage.wire.heard)
    exposed.summaries = stage.wire.summaries
    return exposed


def _left_on_disk(stage: _Stage, when: str) -> dict[str, bytes]:
    """Every file in the agent's folder but what a test put there, whole: free pages and the log of the database too."""
    found = {}
    for path in sorted(stage.folder.rglob("*")):
        name = str(path.relative_to(stage.folder))
        if path.is_file() and not name.startswith(_PACKAGES):
            found[f"{name}, {when}"] = path.read_bytes()
    return found | {f"rows, {when}": _rows(stage.folder / "state")}


def _rows(state: Path) -> bytes:
    """Every value of every row of a copy of the database: what lies across pages in the file is in one piece here."""
    copy = state.parent / "vendor" / "copy"
    copy.mkdir(parents=True, exist_ok=True)
    for name in (FILE_NAME, LOG_NAME):
        if (state / name).exists():
            shutil.copy(state / name, copy / name)
        else:
            (copy / name).unlink(missing_ok=True)
    connection = apsw.Connection(str(copy / FILE_NAME))
    rows = bytearray()
    for (table,) in list(connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")):
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            rows += b"|".join(each if isinstance(each, bytes) else str(each).encode() for each in row) + b"\n"
    connection.close()
    return bytes(rows)


def _open_files(agent: Spawned) -> dict[str, bytes]:
    """What the process has open that no folder shows any more."""
    found = {}
    for link in Path(f"/proc/{agent.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("/") and target.endswith(" (deleted)"):
                found[f"deleted file {target}"] = link.read_bytes()
    return found
