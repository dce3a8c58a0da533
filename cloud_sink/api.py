"""`/api/v1`: what is stored, for programs. Errors have the shape of the uplink's."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from cloud_sink.alarms import alarms
from cloud_sink.csv_text import csv_of
from cloud_sink.models import (
    AlarmAnswer,
    BalanceAnswer,
    DeviceAnswer,
    FollowerAnswer,
    HealthAnswer,
    PlacesAnswer,
    RangeAnswer,
    RoomAnswer,
    SchoolAnswer,
    SeriesAnswer,
    ValueAnswer,
    line_answer,
)
from cloud_sink.ranges import check_order, count_steps, grid_lines
from cloud_sink.store import Selection
from telemetry import encode_all, quantity
from telemetry.spans import DAY_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloud_sink.catalogue import DeviceRow, RoomRow
    from cloud_sink.centre import Centre
    from telemetry import Summary

HEARTBEAT_S: Final = 10.0
DEFAULT_STEP_S: Final = 900
_LATEST_MS: Final = 10**14
_DAY_MS: Final = DAY_S * 1000

School = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,32}$")]
Room = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,32}$")]
From = Annotated[int, Query(alias="from", ge=0, lt=_LATEST_MS)]
To = Annotated[int, Query(ge=0, lt=_LATEST_MS)]


class Api:
    """The read side, over the parts of one centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    def router(self) -> APIRouter:
        """Every path under `/api/v1`."""
        router = APIRouter(prefix="/api/v1", tags=["read"])
        for path, endpoint in (
            ("/places", self.places),
            ("/series", self.series),
            ("/range", self.range),
            ("/latest", self.latest),
            ("/alarms", self.alarms),
            ("/balance", self.balance),
            ("/health", self.health),
        ):
            router.add_api_route(path, endpoint)
            router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
        router.add_api_route("/csv", self.csv, response_class=PlainTextResponse)
        router.add_api_route("/export", self.export, response_class=PlainTextResponse)
        router.add_api_route("/live", self.live, response_class=StreamingResponse)
        return router

    async def places(self) -> PlacesAnswer:
        """The tree of places and devices."""
        catalogue = self._centre.catalogue
        schools = [
            SchoolAnswer(
                code=school.code,
                name_zh=school.name_zh,
                name_en=school.name_en,
                rooms=_room_answers(await catalogue.rooms_in_use(school.code), await catalogue.devices(school.code)),
            )
            for school in await catalogue.schools()
        ]
        return PlacesAnswer(**self._centre.district.model_dump(), schools=schools)

    async def series(self, school: School, room: Room | None = None) -> list[SeriesAnswer]:
        """Every channel that has ever told anything."""
        return [SeriesAnswer.of(summary) for summary in await self._latest(school, room)]

    async def latest(self, school: School, room: Room | None = None) -> list[ValueAnswer]:
        """The last window of every channel, with its age and freshness (see the answer's description)."""
        told, sensors = await self._latest(school, room), self._centre.memory.sensors
        judge = self._centre.memory.judge(school, self._centre.clock.now())
        return [ValueAnswer.at(summary, judge, sensors.judge(summary.series)) for summary in told]

    async def range(
        self,
        *,
        school: School,
        room: Room,
        quantity_id: Annotated[str, Query(alias="quantity")],
        from_ms: From,
        to_ms: Annotated[To, Query(alias="to")],
        step: Annotated[int, Query(ge=1, le=31 * 86_400)] = DEFAULT_STEP_S,
    ) -> RangeAnswer:
        """A quantity of a room on a grid of `step` seconds, gaps as null."""
        entry = quantity(quantity_id)
        count_steps(from_ms, to_ms, step)
        await self._check_school(school)
        summaries = await self._centre.store.range(Selection(school, room, entry.id), from_ms, to_ms)
        grid = await asyncio.to_thread(grid_lines, summaries, from_ms, to_ms, step)
        lines = [line_answer(line, entry.id) for line in grid]
        span = {"from_ms": from_ms, "to_ms": to_ms, "step_s": step}
        return RangeAnswer(school=school, room=room, quantity=entry.id, unit=entry.symbol, lines=lines, **span)

    async def csv(
        self,
        *,
        school: School,
        room: Room,
        quantity_id: Annotated[str, Query(alias="quantity")],
        from_ms: From,
        to_ms: Annotated[To, Query(alias="to")],
    ) -> Response:
        """The windows of a quantity of a room as they were delivered, in the school's time, for a spreadsheet."""
        entry = quantity(quantity_id)
        await self._check_school(school)
        check_order(from_ms, to_ms)
        summaries = await self._centre.store.range(Selection(school, room, entry.id), from_ms, to_ms)
        headers = {"Content-Disposition": f'attachment; filename="{school}-{room}-{entry.id}.csv"'}
        text = await asyncio.to_thread(csv_of, summaries, self._centre.timezone)
        return Response(text, media_type="text/csv", headers=headers)

    async def export(self, school: School, from_ms: From, to_ms: Annotated[To, Query(alias="to")]) -> StreamingResponse:
        """The stored summaries that start in [from, to), highest revision alone, as line protocol, day by day (UTC)."""
        await self._check_school(school)
        check_order(from_ms, to_ms)
        return StreamingResponse(self._lines(school, from_ms, to_ms), media_type="text/plain")

    async def _lines(self, school: str, from_ms: int, to_ms: int) -> AsyncIterator[bytes]:
        """A day at a time: years of a school do not fit in memory, and others wait for the store meanwhile."""
        store = self._centre.store
        first_ms, last_ms = await store.starts(school) or (0, -1)
        at_ms, end_ms = max(from_ms, first_ms), min(to_ms, last_ms + 1)
        while at_ms < end_ms:
            until_ms = min((at_ms // _DAY_MS + 1) * _DAY_MS, end_ms)
            yield await asyncio.to_thread(encode_all, await store.export(school, at_ms, until_ms))
            at_ms = until_ms

    async def alarms(self, school: School | None = None) -> list[AlarmAnswer]:
        """What somebody has to act on now, in one school or in all, the oldest first."""
        centre = self._centre
        if school is not None:
            await self._check_school(school)
        agents, now_ms = await centre.catalogue.agents(), centre.clock.now()
        schools = [school] if school is not None else [row.code for row in await centre.catalogue.schools()]
        found = [alarm for code in schools for alarm in alarms(centre.memory, code, agents, now_ms)]
        return [AlarmAnswer(**asdict(alarm)) for alarm in sorted(found, key=lambda alarm: alarm.since_ms)]

    async def balance(self) -> list[BalanceAnswer]:
        """Per agent: what was acknowledged, what is stored, and what the agent itself reports."""
        return [BalanceAnswer.of(balance) for balance in await self._centre.balances()]

    async def health(self) -> HealthAnswer:
        """Whether batches can be acknowledged."""
        centre = self._centre
        return HealthAnswer(
            status=_status(centre),
            time_ms=centre.clock.now(),
            batches_waiting=await centre.inbox.waiting_after(centre.projector.position),
            position=centre.projector.position,
            watchers=len(centre.live),
            set_aside=centre.inbox.set_aside,
            victoria_metrics=_follower_answer(centre),
        )

    async def live(self, school: School | None = None) -> StreamingResponse:
        """Server-sent events: `summaries` with what is new in a school, `heartbeat` when nothing is."""
        if school is not None:
            await self._check_school(school)
        if self._centre.live.is_full:
            raise HTTPException(503, "no more watchers are taken")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(school), media_type="text/event-stream", headers=headers)

    async def _events(self, school: str | None) -> AsyncIterator[str]:
        with self._centre.live.watch(school) as watcher:
            yield "retry: 2000\n\n"
            while (news := await watcher.next(HEARTBEAT_S)) is not None:
                yield news.text(self._event)

    def _event(self, summaries: Sequence[Summary]) -> str:
        now_ms = self._centre.clock.now()
        if not summaries:
            return f'event: heartbeat\ndata: {{"time_ms": {now_ms}}}\n\n'
        memory = self._centre.memory
        judges = {school: memory.judge(school, now_ms) for school in {summary.series.school for summary in summaries}}
        answers = [
            ValueAnswer.at(told, judges[told.series.school], memory.sensors.judge(told.series)) for told in summaries
        ]
        values = [answer.model_dump(mode="json") for answer in answers]
        return f"event: summaries\ndata: {json.dumps(values, separators=(',', ':'))}\n\n"

    async def _latest(self, school: str, room: str | None) -> list[Summary]:
        await self._check_school(school)
        latest = self._centre.memory.latest
        return latest.of_school(school) if room is None else latest.of_room(school, room)

    async def _check_school(self, school: str) -> None:
        if school not in {row.code for row in await self._centre.catalogue.schools()}:
            raise HTTPException(404, f"no school has the code {school!r}")


def _room_answers(rooms: Sequence[RoomRow], devices: Sequence[DeviceRow]) -> list[RoomAnswer]:
    held = defaultdict(list)
    for device in devices:
        held[device.room].append(DeviceAnswer(id=device.id, agent=device.agent))
    return [
        RoomAnswer(
            code=room.code,
            building=room.building,
            name_zh=room.name_zh,
            name_en=room.name_en,
            devices=held[room.code],
        )
        for room in rooms
    ]


def _status(centre: Centre) -> Literal["ok", "recovered", "full", "broken"]:
    if centre.inbox.broken is not None:
        return "broken"
    if centre.projector.is_full:
        return "full"
    return "recovered" if centre.inbox.set_aside else "ok"


def _follower_answer(centre: Centre) -> FollowerAnswer | None:
    follower = centre.follower
    return None if follower is None else FollowerAnswer(is_up=follower.is_up, lacks=follower.lacks)
