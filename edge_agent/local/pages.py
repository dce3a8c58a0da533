"""The agent's pages for people in the school: read-only, without a login, bounded, and never in the agent's way.

What a page shows is made at most once for each hour, configuration and language, one at a time, on a thread; readers
who ask too often are turned away. Nothing is kept of who asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from edge_agent.discovery.serial_ports import free_ports
from edge_agent.local.label import coarseness, given
from edge_agent.local.light import STEP_MS, Lights
from edge_agent.local.meaning import clock, grouped, meaning
from edge_agent.local.rendering import CONTENT_SECURITY_POLICY, render
from edge_agent.local.server import Answer, PageServer
from edge_agent.local.words import Words, negotiate
from edge_agent.privacy.egress import UNKNOWN_CLASS
from edge_agent.store.engine import StoreUnusable
from telemetry import quantity
from telemetry.air import AIR_ACT_PPM, AIR_WATCH_PPM

if TYPE_CHECKING:
    import zoneinfo
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.config import PagesTable
    from edge_agent.discovery.proposals import Proposal
    from edge_agent.local.light import State
    from edge_agent.local.server import Request
    from edge_agent.local.site import Site
    from edge_agent.local.today import Today, TodayReader
    from edge_agent.privacy.rules import Rule
    from edge_agent.timetable import Timetable
    from telemetry import Clock

LOOK_EVERY_S: Final = 0.2
"""How often the lights look whether a step is over; they look into the windows once a step."""
REQUESTS_PER_S: Final = 5.0
BURST: Final = 60.0
MOST_PEERS: Final = 1024
_HTML: Final = "text/html; charset=utf-8"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(slots=True)
class Rate:
    """How often one reader may ask: bursts, then so many requests a second. In memory, and forgotten when idle."""

    monotonic: Callable[[], float]
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def takes(self, peer: str) -> bool:
        """Whether one more is taken."""
        now = self.monotonic()
        left, asked = self._left.get(peer, (BURST, now))
        left = min(BURST, left + (now - asked) * REQUESTS_PER_S)
        if len(self._left) >= MOST_PEERS and peer not in self._left:
            self._left.clear()
        self._left[peer] = max(0.0, left - 1), now
        return left >= 1


class LocalPages:
    """`/`, `/new`, `/rooms/CODE/label` and `/light/TOKEN`, on the address of [pages]."""

    def __init__(
        self,
        site: Site,
        table: PagesTable,
        *,
        reader: TodayReader,
        lights: Lights,
        tokens: Mapping[str, str],
        unplaced: Callable[[], Sequence[Proposal]],
        timetable: Callable[[], Timetable],
        clock: Clock,
    ) -> None:
        """`tokens` gives the room of each light, `unplaced` what announced itself and has no room."""
        self._site = site
        self._reader = reader
        self._lights = lights
        self._tokens = tokens
        self._unplaced = unplaced
        self._timetable = timetable
        self._clock = clock
        self._server = PageServer("pages.port", table.host, table.port, self._answer)
        self._rate = Rate(clock.monotonic)
        self._making = asyncio.Lock()
        self._made: dict[tuple[str, str], tuple[int, str]] = {}
        self.times_made = 0
        """How often a page had to be made; the rest were copies."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def start(self) -> None:
        """Listen. Raises `EnvironmentFault` when the port is taken."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()

    async def run(self) -> None:
        """Keep the lights' steps: what a step was is gone from the windows a little later."""
        while True:
            self._lights.look(self._clock.now())
            await asyncio.sleep(LOOK_EVERY_S)

    async def _answer(self, request: Request) -> Answer:
        words = Words(negotiate(request.query.get("lang", ""), request.accepts))
        if not self._rate.takes(request.peer):
            return _told("busy", "429 Too Many Requests", words, {"Retry-After": "1"})
        parts = request.path.split("/")
        match parts:
            case ["", ""]:
                return await self._today(words)
            case ["", "new"]:
                return await self._new(words)
            case ["", "rooms", room, "label"] if room in self._site.rooms:
                return await self._label(room, words)
            case ["", "light", token] if token in self._tokens:
                return self._light(self._tokens[token], words)
        return _told("notfound", "404 Not Found", words)

    async def _today(self, words: Words) -> Answer:
        now_ms = self._clock.now()
        try:
            html = await self._once("", words, self._reader.until(now_ms), lambda: self._today_page(words, now_ms))
        except StoreUnusable:
            return _told("broken", "503 Service Unavailable", words, {"Retry-After": "60"})
        return _page(html)

    async def _new(self, words: Words) -> Answer:
        """How many devices of which kind wait for a room: never which, since names and addresses are no page's."""
        used = [device.serial.port for device in self._site.loaded.tables.device if device.serial is not None]
        heard = self._unplaced()

        def make() -> str:
            kinds = Counter(proposal.source for proposal in (*heard, *free_ports(used)))
            return render("new.html", words=words, kinds=kinds.most_common(), count=kinds.total())

        return _page(await self._once("new", words, self._reader.until(self._clock.now()), make))

    async def _label(self, room: str, words: Words) -> Answer:
        now_ms = self._clock.now()

        def make() -> str:
            sheet = self._site.sheet(room, words.language)
            return self._site.label_page([sheet], now_ms, language_link=f"/rooms/{room}/label?lang={words.other}")

        return _page(await self._once(room, words, self._reader.until(now_ms), make))

    async def _once(self, name: str, words: Words, until_ms: int, make: Callable[[], str]) -> str:
        """The page as it was made for this hour; made now where it was not, and not twice at once."""
        key = (name, words.language)
        async with self._making:
            made = self._made.get(key)
            if made is None or made[0] != until_ms:
                self.times_made += 1
                made = self._made[key] = until_ms, await asyncio.to_thread(make)
        return made[1]

    def _today_page(self, words: Words, now_ms: int) -> str:
        """On a thread: reads the ledger."""
        today, loaded, zone = self._reader.look(now_ms), self._site.loaded, self._site.loaded.tables.zone
        sample = today.sample
        return render(
            "today.html",
            words=words,
            totals=today.totals,
            hour=clock(today.until_ms, zone),
            rows=self._rows(today, words),
            sample=sample,
            sealed="" if sample is None else clock(sample.sealed_ms, zone),
            lines=[(line.text, meaning(line.summary, words, zone)) for line in sample.lines] if sample else [],
            rooms=list(self._site.rooms),
            policy=loaded.policy.name,
            version=loaded.policy.tables.version,
            digest=self._site.digest,
            ledger_days=loaded.tables.store.ledger_days,
            grouped=grouped,
            waiting=today.totals.states["waiting"].batches,
            refused=today.totals.states["refused"].batches,
        )

    def _rows(self, today: Today, words: Words) -> list[tuple[str, str, str, str, str]]:
        """Quantity, class, summaries, bytes and treatment, the most frequent first."""
        rules = self._rules()
        rows = []
        for (name, class_name), lines in sorted(today.totals.lines.items(), key=lambda row: -row[1].summaries):
            rule = rules.get((name, class_name))
            treated = "" if rule is None else self._treated(rule, words)
            title = words("class.unknown") if class_name == UNKNOWN_CLASS else words(f"class.{class_name}")
            label = quantity(name).label(words.language)
            rows.append((label, title, grouped(lines.summaries), grouped(lines.bytes), treated))
        return rows

    def _treated(self, rule: Rule, words: Words) -> str:
        policy = self._site.loaded.policy
        table = policy.table(rule.privacy_class)
        told = [coarseness(rule, policy, words)] + ([] if table is None else [given(table, words)])
        return words("semicolon").join(told)

    def _rules(self) -> dict[tuple[str, str], Rule]:
        return {
            (name, rule.privacy_class.value): rule
            for binding in self._site.bindings.values()
            for name, rule in binding.rules.items()
        }

    def _light(self, room: str, words: Words) -> Answer:
        now_ms = self._clock.now()
        begin_ms = now_ms // STEP_MS * STEP_MS
        state = self._lights.state(room, now_ms, self._timetable())
        html = _light_page(state, words.language, begin_ms, self._site.loaded.tables.zone)
        refresh_s = round(self._clock.until(begin_ms + STEP_MS)) + 1
        return Answer("200 OK", _HTML, html, {**_HEADERS, "Refresh": str(refresh_s)})


def _page(html: str) -> Answer:
    return Answer("200 OK", _HTML, html.encode(), _HEADERS)


@lru_cache(maxsize=64)
def _light_page(state: State, language: str, begin_ms: int, zone: zoneinfo.ZoneInfo) -> bytes:
    """The same bytes for every room in that state, and for every reader, for the whole step."""
    return render(
        "light.html",
        words=Words(language),
        state=state.value,
        begin=clock(begin_ms - STEP_MS, zone),
        end=clock(begin_ms, zone),
        next=clock(begin_ms + STEP_MS, zone),
        watch=grouped(AIR_WATCH_PPM),
        act=grouped(AIR_ACT_PPM),
    ).encode()


def _told(what: str, status: str, words: Words, headers: Mapping[str, str] | None = None) -> Answer:
    """A page that says what is so and why; the same bytes for everything that is not there."""
    return Answer(status, _HTML, _told_page(what, words.language), {**_HEADERS, **(headers or {})})


@lru_cache(maxsize=16)
def _told_page(what: str, language: str) -> bytes:
    return render("told.html", words=Words(language), what=what).encode()
