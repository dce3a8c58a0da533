"""The local page: true figures, no labels that tell of a room, and no client that can do harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.connection import Hold
from broker.credentials import Credentials
from broker.listener import Addresses, Listener
from broker.refusals import Refusal
from edge_agent.asking import Asking
from edge_agent.config_file import load
from edge_agent.counts import CountKey
from edge_agent.health import Health, HealthServer
from edge_agent.local.server import LONGEST_REQUEST
from edge_agent.store import CommitTimes
from edge_agent.transactions import Kind
from telemetry import ConfigurationError, EnvironmentFault
from tests.documents import ROOT
from tests.edge_agent.harness import MINUTE, Bench, frame
from tests.edge_agent.running import LISTENER, configure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Page:
    """The page of an agent that has lived a little."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.unavailable = 0
        self.is_up = self.is_broker_up = True
        core = bench.core
        self.is_full = False
        self.times = CommitTimes()
        self.listener: Listener | None = Listener(
            Addresses(["127.0.0.1"]), credentials=Credentials([]), handler=lambda _publications: None
        )
        self.listener._desk.refused(Refusal.KEEP_ALIVE)
        self.listener._desk.held(Hold.RATE)
        self.health = Health(
            report=core.report,
            counts=lambda: core.state.counts,
            unavailable=lambda: self.unavailable,
            uplink_up=lambda: self.is_up,
            broker_up=lambda: self.is_broker_up,
            next_retry_s=lambda: 12.4,
            people=lambda: core.people.obstacle,
            buffer=lambda: (core.state.used_bytes, self.is_full),
            commit_times=self.times,
            listener=lambda: self.listener,
            asking=Asking(core.admission, bench.clock, core.rng, list),
        )
        self.server = HealthServer(self.health, 0)

    async def ask(self, request: bytes) -> bytes:
        """What comes back over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def get(self, path: str) -> tuple[str, str]:
        """Status line and body."""
        head, _, body = (await self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())).partition(b"\r\n\r\n")
        return head.partition(b"\r\n")[0].decode(), body.decode()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    bench = Bench(tmp_path)
    bench.read("mast", ["temperature", 5], ["wind_speed", 999])
    bench.read("air", ["carbon_dioxide", 700], ["ozone", 1])
    bench.read("door", ["people_count", 31])
    bench.arrive("board", frame("refuse"))
    bench.until_closed(5 * MINUTE)
    bench.core.state.counts[CountKey("slots", reason="released")] = 2
    made = Page(bench)
    await made.server.start()
    yield made
    await made.server.stop()
    bench.stop()


async def test_health(page: Page) -> None:
    """The balance, and one word: ok, or degraded while the centre, the broker or a device is out of reach."""
    status, body = await page.get("/healthz")
    assert status == "HTTP/1.1 200 OK"
    document = json.loads(body)
    assert (document["status"], document["uplink"], document["received"]) == ("ok", "up", 6)
    assert document["people_counts"] == "policy"
    page.is_up = False
    assert json.loads((await page.get("/healthz"))[1])["status"] == "degraded"
    page.is_up, page.is_broker_up = True, False
    document = json.loads((await page.get("/healthz"))[1])
    assert (document["status"], document["uplink"], document["broker"]) == ("degraded", "up", "down")
    page.is_broker_up, page.unavailable = True, 2
    document = json.loads((await page.get("/healthz"))[1])
    assert (document["status"], document["devices_unavailable"]) == ("degraded", 2)


async def test_metrics_are_true(page: Page) -> None:
    """Prometheus reads them, and they are the balance."""
    page.health.asking.sent, page.health.asking.awaited = 4, 2
    status, text = await page.get("/metrics")
    assert status == "HTTP/1.1 200 OK"
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    balance = page.bench.audit().balance
    for stage in ("received", "admitted", "duplicate", "summarised", "late", "gap", "withheld"):
        assert values["bansui_agent_readings_total", stage] == balance[stage]
    assert values["bansui_agent_rejected_readings_total", "out_of_range"] == 1
    assert values["bansui_agent_rejected_readings_total", "malformed"] == 1
    assert (values["bansui_agent_p2_slots_total", "released"], values["bansui_agent_p2_open",]) == (2, 0)
    assert values["bansui_agent_open_readings",] == balance["open"]
    assert values["bansui_agent_waiting_summaries",] == balance["waiting"] == 1
    assert (values["bansui_agent_rebirth_requests_total",], values["bansui_agent_births_awaited",]) == (4, 2)
    assert (values["bansui_agent_uplink_up",], values["bansui_agent_broker_up",]) == (1, 1)


async def test_commits_are_timed(page: Page) -> None:
    """By kind, in buckets that add up as Prometheus wants them; one above every bound is in the last alone."""
    for seconds in (0.0004, 0.001, 0.0015, 7.0):
        page.times.add(Kind.JOURNAL, seconds)
    page.times.add(Kind.SEAL, 0.3)
    _, text = await page.get("/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    buckets = [values["bansui_agent_commit_seconds_bucket", "journal", le] for le in ("0.001", "0.002", "5.0", "+Inf")]
    assert buckets == [2, 3, 3, 4]
    assert values["bansui_agent_commit_seconds_count", "journal"] == 4
    assert values["bansui_agent_commit_seconds_sum", "journal"] == pytest.approx(7.0029)
    assert values["bansui_agent_commit_seconds_bucket", "seal", "0.2"] == 0
    assert values["bansui_agent_commit_seconds_bucket", "seal", "0.5"] == 1


async def test_the_listener_is_told_of_where_there_is_one(page: Page) -> None:
    """What it refused and slowed down, beside the limits in force."""
    _, text = await page.get("/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert values["bansui_agent_listener_refused_total", "keep_alive"] == 1
    assert values["bansui_agent_listener_pauses_total", "rate"] == 1
    assert values["bansui_agent_listener_limit", "max_packet_bytes"] == 65_536
    listener, page.listener = page.listener, None
    assert "bansui_agent_listener" not in (await page.get("/metrics"))[1]
    page.listener = listener


async def test_no_label_tells_of_a_room(page: Page) -> None:
    """Stages, reasons and kinds of transaction alone: no device, no room, no quantity, under any name."""
    _, text = await page.get("/metrics")
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert set(sample.labels) <= {"stage", "reason", "kind", "le", "limit"}
    for word in ("mast", "air", "a-301", "temperature", "carbon_dioxide"):
        assert word not in text


async def test_every_metric_is_documented(page: Page) -> None:
    """docs/metrics.md has the agent's metrics, their labels, and no others."""
    _, text = await page.get("/metrics")
    served = {
        (
            family.name + "_total" * (family.type == "counter"),
            ", ".join(label for label in sample.labels if label != "le"),
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    document = (ROOT / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(bansui_agent_\w+)` \| \w+ \| `?([\w, ]*?)`? \|", document, re.MULTILINE))
    assert documented == served


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /healthz/../metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405"),
        (b"\r\n\r\n", b"405"),
        (b"\xff\xfe \xfd\r\n\r\n", b"405"),
    ],
)
async def test_other_requests(page: Page, request_bytes: bytes, status: bytes) -> None:
    """Two paths and one method; the rest is told so."""
    assert (await page.ask(request_bytes)).split(b" ")[1] == status


async def test_head_is_get_without_a_body(page: Page) -> None:
    """Tools that only look whether a page is there get the same lines."""
    whole = await page.ask(b"GET /healthz HTTP/1.1\r\n\r\n")
    lines, end, body = whole.partition(b"\r\n\r\n")
    assert body
    assert await page.ask(b"HEAD /healthz HTTP/1.1\r\n\r\n") == lines + end


async def test_a_babbling_client_gets_no_answer(page: Page) -> None:
    """More than a request may hold, or half of one: nothing comes back, and the page is there for the next."""
    assert await page.ask(b"GET /" + b"x" * 20 * LONGEST_REQUEST) == b""
    _, writer = await asyncio.open_connection("127.0.0.1", page.server.port)
    writer.write(b"GET /hea")
    writer.close()
    assert (await page.get("/healthz"))[0].endswith("200 OK")


async def test_a_taken_port_is_said(page: Page) -> None:
    """With the port, and what to do."""
    second = HealthServer(page.health, page.server.port)
    with pytest.raises(EnvironmentFault, match=str(page.server.port)) as caught:
        await second.start()
    assert "[health] port" in caught.value.fix
    await second.stop()


async def test_the_page_stays_on_loopback(page: Page, tmp_path: Path) -> None:
    """Its figures are of this moment, so nobody off the box reads them: there is no key that could change that."""
    assert page.server.hosts == {"127.0.0.1"}
    path = configure(tmp_path / "elsewhere", LISTENER)
    path.write_text(path.read_text().replace("[health]", '[health]\nhost = "0.0.0.0"'))
    with pytest.raises(ConfigurationError, match=r"health\.host: no such key"):
        load(path)
