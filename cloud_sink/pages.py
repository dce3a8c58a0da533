"""The pages: Overview, School, Room. Rendered here in full; scripts only add charts and live changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from cloud_sink.charts import charts
from cloud_sink.freshness import AIR_ACT_PPM, AIR_QUANTITY
from cloud_sink.store import Selection
from cloud_sink.text import COOKIE, LANGUAGES, Text, known, negotiate
from cloud_sink.views import MAIN, AgentView, Viewer
from cloud_sink.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud_sink.catalogue import RoomRow, SchoolRow
    from cloud_sink.centre import Centre

STATIC: Final = Path(__file__).parent / "static"
_SINCE_MS: Final = 24 * 3600 * 1000
_A_YEAR_S: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class _Reader:
    """What a request says of its reader."""

    path: str
    asked: str | None
    text: Text
    wording: Wording
    day: date


class Pages:
    """The three pages over one centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._templates = Environment(
            loader=PackageLoader("cloud_sink"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def router(self) -> APIRouter:
        """Every page's path."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.add_api_route("/", self.overview)
        router.add_api_route("/school/{school_code}", self.school)
        router.add_api_route("/school/{school_code}/room/{room_code}", self.room)
        return router

    async def overview(self, request: Request) -> HTMLResponse:
        """Are the schools well, and which are not?"""
        reader = self._reader(request)
        centre, viewer = self._centre, await self._viewer(reader)
        agents = await self._agents(viewer)
        rooms: dict[str, list[RoomRow]] = {}
        for room in await centre.catalogue.rooms():
            rooms.setdefault(room.school, []).append(room)
        schools = [
            viewer.school(row, rooms.get(row.code, []), centre.latest.of_school(row.code), agents.get(row.code, []))
            for row in await centre.catalogue.schools()
        ]
        schools.sort(key=lambda school: school.badness)
        alarms = [alarm for school in schools for alarm in school.alarms]
        return self._page(
            "overview.html", reader, headline=viewer.headline(schools), schools=schools, alarms=alarms, live=""
        )

    async def school(self, request: Request, school_code: str) -> HTMLResponse:
        """Are the rooms of this school well, and which are not?"""
        reader = self._reader(request)
        centre, viewer = self._centre, await self._viewer(reader, school_code)
        row = await self._school_row(school_code)
        if row is None:
            return self._not_found(reader)
        rooms = await centre.catalogue.rooms(row.code)
        agents = (await self._agents(viewer)).get(row.code, [])
        view = viewer.school(row, rooms, centre.latest.of_school(row.code), agents)
        span = reader.wording.day_span(reader.day)
        summaries = await centre.store.range(Selection(row.code, quantity=AIR_QUANTITY), *span)
        return self._page(
            "school.html",
            reader,
            headline=viewer.headline([view]),
            school=view,
            cells=viewer.cells,
            labels=[viewer.cell(name, None).label for name in MAIN],
            alarms=view.alarms,
            charts=charts(summaries, span, reader.wording, by_room=True),
            live=row.code,
        )

    async def room(self, request: Request, school_code: str, room_code: str) -> HTMLResponse:
        """What is the matter in this room, and what was it today?"""
        reader = self._reader(request)
        centre, viewer = self._centre, await self._viewer(reader, school_code)
        row = await self._school_row(school_code)
        rooms = [] if row is None else await centre.catalogue.rooms(row.code)
        room = next((room for room in rooms if room.code == room_code), None)
        if row is None or room is None:
            return self._not_found(reader)
        latest = centre.latest.of_room(row.code, room.code)
        school = viewer.school(row, [room], latest, [])
        view = school.rooms[0]
        span = reader.wording.day_span(reader.day)
        summaries = await centre.store.range(Selection(row.code, room.code), *span)
        shown = [summary for summary in summaries if summary.series.quantity in MAIN]
        return self._page(
            "room.html",
            reader,
            headline=viewer.room_line(view),
            school=school,
            room=view,
            cells=viewer.cells,
            others=viewer.others(latest),
            alarms=school.alarms,
            charts=charts(shown, span, reader.wording),
            live=row.code,
        )

    def _reader(self, request: Request) -> _Reader:
        asked = request.query_params.get("lang")
        text = Text(negotiate(asked, request.cookies.get(COOKIE), request.headers.get("Accept-Language")))
        wording = Wording(text, self._centre.timezone, self._centre.clock.now())
        try:
            day = date.fromisoformat(request.query_params.get("day", ""))
            wording.day_span(day)
        except (ValueError, OverflowError):
            day = wording.today
        return _Reader(request.url.path, known(asked), text, wording, day)

    async def _viewer(self, reader: _Reader, school: str | None = None) -> Viewer:
        from_ms = reader.wording.now_ms - _SINCE_MS
        since = await self._centre.store.above_since(school, AIR_QUANTITY, AIR_ACT_PPM, from_ms)
        return Viewer(reader.wording, since)

    async def _agents(self, viewer: Viewer) -> dict[str, list[AgentView]]:
        reports, agents = self._centre.latest.reports, defaultdict(list)
        for agent in await self._centre.catalogue.agents():
            agents[agent.school].append(viewer.agent(agent.id, reports.get(agent.id)))
        return agents

    async def _school_row(self, code: str) -> SchoolRow | None:
        return next((row for row in await self._centre.catalogue.schools() if row.code == code), None)

    def _not_found(self, reader: _Reader) -> HTMLResponse:
        return self._page("not_found.html", reader, status=404, headline=reader.text("notfound"), alarms=[], live="")

    def _page(self, template: str, reader: _Reader, *, status: int = 200, **values: object) -> HTMLResponse:
        district, wording = self._centre.district, reader.wording
        days: Mapping[str, date] = {"previous": _shift(reader.day, -1), "next": _shift(reader.day, 1)}
        html = self._templates.get_template(template).render(
            t=reader.text,
            languages=LANGUAGES,
            path=reader.path,
            district=district.name_zh if reader.text.short == "zh" else district.name_en,
            as_of=wording.time(wording.now_ms),
            timezone=wording.timezone.key,
            today=wording.today,
            day=reader.day,
            days=days,
            has_vendor=(STATIC / "vendor" / "uPlot.esm.js").is_file(),
            **values,
        )
        response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"})
        if reader.asked is not None:
            response.set_cookie(COOKIE, reader.asked, max_age=_A_YEAR_S, httponly=True, samesite="lax")
        return response


def _shift(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return day
