"""A centre in a folder, batches as an agent seals them, and the means to run both."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from cloud_sink.config import load_config
from cloud_sink.server import serve
from telemetry import ManualClock, Series, Summary, encode_all
from telemetry.uplink_contract import IDEMPOTENCY_HEADER, REPORT_PATH, WRITE_PATH, AgentReport, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cloud_sink.centre import Seams
    from telemetry import Clock

DISTRICT: Final = "changning"
TOKENS: Final = {"edge-1": "token-of-edge-1-0123456789", "edge-2": "token-of-edge-2-0123456789"}
SCHOOLS: Final = {"edge-1": "cn-002", "edge-2": "cn-014"}
EPOCH: Final = "00000000000000aa"
NOON_MS: Final = 1_760_241_600_000
"""2025-10-12, 12:00 in Shanghai."""
QUARTER_MS: Final = 900_000

CONFIG: Final = """
[centre]
port = 0
timezone = "Asia/Shanghai"
[centre.district]
code = "changning"
name_zh = "长宁区"
name_en = "Changning District"
[[school]]
code = "cn-002"
name_zh = "第二小学"
name_en = "Second Primary School"
[[school]]
code = "cn-014"
name_zh = "第十四中学"
name_en = "No. 14 Middle School"
[[agent]]
id = "edge-1"
school = "cn-002"
token_file = "edge-1.token"
[[agent]]
id = "edge-2"
school = "cn-014"
token_file = "edge-2.token"
"""


def write_config(folder: Path, text: str = CONFIG) -> Path:
    """A centre's file with two schools and an agent for each, and their tokens."""
    for agent, token in TOKENS.items():
        (folder / f"{agent}.token").write_text(f"{token}\n", encoding="ascii")
    path = folder / "centre.toml"
    path.write_text(text, encoding="utf-8")
    return path


def summary(
    quantity: str = "carbon_dioxide",
    start_ms: int = NOON_MS,
    fields: Mapping[str, int] | None = None,
    *,
    school: str = "cn-002",
    room: str = "a-301",
    device: str = "co2-a-301",
    window_s: int = 900,
    channel: str = "",
    revision: int = 0,
) -> Summary:
    """One summary of a room's CO2, or of what is given."""
    series = Series(quantity, school, room[0], room, device, window_s, channel, revision)
    return Summary(series, start_ms, {"mean": 850, "n": 15, "expected": 15} if fields is None else fields)


def sealed(*summaries: Summary) -> bytes:
    """A batch's exact bytes."""
    return seal(encode_all(summaries))


@dataclass
class Running:
    """A centre that answers, in a thread of its own."""

    url: str
    clock: Clock | None
    end: Callable[[], object]
    """Tells it to end."""
    epoch: str = EPOCH
    """In which batches are numbered."""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        # Nothing here speaks TLS, and reading every authority for it takes longer than a request.
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False, verify=False)

    def post(self, body: bytes, sequence: int = 1, agent: str = "edge-1", **changes: str) -> httpx.Response:
        """Send a sealed batch as an agent does; `changes` replace org, bucket, token, key, epoch or path."""
        params = {
            "org": changes.get("org", DISTRICT),
            "bucket": changes.get("bucket", SCHOOLS[agent]),
            "precision": changes.get("precision", "ms"),
        }
        headers = {
            "Authorization": f"Token {changes.get('token', TOKENS[agent])}",
            "Content-Encoding": changes.get("encoding", "gzip"),
            IDEMPOTENCY_HEADER: changes.get("key", f"{changes.get('epoch', self.epoch)}-{sequence}"),
        }
        path = changes.get("path", WRITE_PATH)
        return self.client.post(path, params=params, headers=headers, content=body)

    def write(self, *summaries: Summary, sequence: int = 1, agent: str = "edge-1") -> None:
        """Send summaries, and wait until they are stored."""
        answer = self.post(sealed(*summaries), sequence, agent=agent)
        assert answer.status_code == 204, answer.text
        self.settle()

    def report(self, told: AgentReport, sequence: int = 1, agent: str = "edge-1") -> None:
        """Send an agent's report, and wait until it is stored."""
        body = seal(json.dumps(told.as_dict()).encode())
        assert self.post(body, sequence, agent, path=REPORT_PATH).status_code == 204
        self.settle()

    def settle(self) -> None:
        """Wait until everything acknowledged is in the store."""
        while self.get("/api/v1/health")["batches_waiting"]:
            pass

    def get(self, path: str, **params: str | int) -> dict[str, object]:
        """A JSON answer."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        document: dict[str, object] = answer.json()
        return document

    def export(self, school: str = "cn-002") -> str:
        """Everything stored of a school."""
        answer = self.client.get("/api/v1/export", params={"school": school, "from": 0, "to": 10**13})
        assert answer.status_code == 200, answer.text
        return answer.text


@contextlib.contextmanager
def running_centre(
    folder: Path, clock: Clock | None = None, config: str = CONFIG, seams: Seams | None = None
) -> Iterator[Running]:
    """A whole centre over a folder, on a free port; it has ended when the block has."""
    loaded, clock = load_config(write_config(folder, config)), clock or ManualClock(NOON_MS + QUARTER_MS)
    ready = threading.Event()
    urls: list[str] = []
    faults: list[BaseException] = []

    def announce(url: str) -> None:
        urls.append(url)
        ready.set()

    loop = asyncio.new_event_loop()

    async def work() -> None:
        await serve(loaded, clock, announce, seams)

    def run() -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(main)
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            faults.append(error)
        finally:
            ready.set()

    main = loop.create_task(work())
    thread = threading.Thread(target=run, name="centre")
    thread.start()
    try:
        assert ready.wait(20)
        if faults:
            raise faults[0]
        running = Running(urls[0], clock, lambda: loop.call_soon_threadsafe(main.cancel))
        with running.client:
            yield running
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(main.cancel)
        thread.join(20)
        loop.close()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """What a refusal says, in InfluxDB's shape."""
    assert answer.status_code == status, answer.text
    told: dict[str, object] = answer.json()
    assert told["code"] == code
    return told


def report(**changes: int) -> AgentReport:
    """An agent's report, of zeros but for what is given, over a line without a certificate."""
    changes = {"certificate_days": -1} | changes
    names = (field.name for field in dataclasses.fields(AgentReport))
    return AgentReport(**{name: changes.get(name, 0) for name in names})
