"""What a person wants to see while the day goes by, asked of the agent and of the centre over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from cloud_sink.freshness import Freshness
from cloud_sink.latest import MAIN
from telemetry import EnvironmentFault, decode_all
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bansui.demo.stage import Stage
    from telemetry import Summary

EVERY_S: Final = 0.5
_ANSWER_WITHIN_S: Final = 5.0
_EXPORT_WITHIN_S: Final = 30.0
_END_OF_TIME_MS: Final = 10**13
_STANDS: Final = (Freshness.FRESH, Freshness.LATE)


class CentreSilent(EnvironmentFault):
    """The centre does not answer what it is asked."""

    code = "demo_centre_silent"


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at everything."""

    time_ms: int
    rooms: int
    rooms_fresh: int
    worst_room: str
    worst_ppm: int
    agent: dict[str, Any] | None
    """What the agent's own page says; None while there is no agent."""
    kills: int


class Watcher:
    """Looks again and again, and notes when the first room was on the page."""

    def __init__(self, stage: Stage, began: float) -> None:
        """`began` is when the demo was started, in monotonic seconds."""
        self._stage = stage
        self._began = began
        trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # all is asked without TLS; reading roots takes long
        self._client = httpx.AsyncClient(timeout=_ANSWER_WITHIN_S, verify=trusting_nobody, trust_env=False)
        self._school = {"school": stage.plan.scenario.school}
        self.first_room_s: float | None = None

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def run(self, show: Callable[[Sight], None]) -> None:
        """Look, show, wait, until cancelled; a look that fails is left out."""
        while True:
            with contextlib.suppress(CentreSilent):
                show(await self.look())
            await asyncio.sleep(EVERY_S)

    async def look(self) -> Sight:
        """One look. Raises `CentreSilent`."""
        response = await self._ask("latest", self._school)
        told = [value for value in response.json() if value["value"] is not None]
        if told and self.first_room_s is None:
            self.first_room_s = time.monotonic() - self._began
        states = _rooms(told)
        air = [value for value in told if value["quantity"] == AIR_QUANTITY and value["freshness"] in _STANDS]
        worst = max(air, key=lambda value: int(value["value"]), default=None)
        return Sight(
            time_ms=self._stage.plan.clock.now(),
            rooms=len(states),
            rooms_fresh=sum(states.values()),
            worst_room="" if worst is None else worst["room"],
            worst_ppm=0 if worst is None else int(worst["value"]),
            agent=await self.agent(),
            kills=self._stage.kills,
        )

    async def agent(self) -> dict[str, Any] | None:
        """The agent's own page; None while there is none."""
        try:
            response = await self._client.get(f"http://127.0.0.1:{self._stage.health_port}/healthz")
        except httpx.TransportError:
            return None
        return dict(response.json())

    async def exported(self) -> Sequence[Summary]:
        """Every summary that the centre has. Raises `CentreSilent`."""
        response = await self._ask("export", {**self._school, "from": 0, "to": _END_OF_TIME_MS}, _EXPORT_WITHIN_S)
        return decode_all(response.content)

    async def stored(self) -> int:
        """How many summaries the centre says it has. Raises `CentreSilent`."""
        response = await self._ask("balance", {}, _EXPORT_WITHIN_S)
        return sum(int(agent["summaries_stored"]) for agent in response.json())

    async def _ask(
        self, what: str, query: Mapping[str, str | int], within_s: float = _ANSWER_WITHIN_S
    ) -> httpx.Response:
        try:
            response = await self._client.get(f"{self._stage.url}/api/v1/{what}", params=query, timeout=within_s)
            return response.raise_for_status()
        except httpx.HTTPError as error:
            raise CentreSilent(f"the centre does not answer: {type(error).__name__}", where=what) from None


def _rooms(told: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """Whether each room is fresh, as its page judges it: by the newest of each of its main quantities."""
    newest: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for value in told:
        known = newest[value["room"]].get(value["quantity"])
        if known is None or value["age_ms"] < known["age_ms"]:
            newest[value["room"]][value["quantity"]] = value
    rooms = {}
    for room, values in newest.items():
        judged = [value for quantity, value in values.items() if quantity in MAIN] or list(values.values())
        rooms[room] = all(value["freshness"] == Freshness.FRESH for value in judged)
    return rooms
