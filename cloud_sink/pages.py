"""The pages: Overview, School, Room. Rendered here in full; scripts only add charts and live changes."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cloud_sink.agent_views import agent_view
from cloud_sink.charts import Frame, charts, limit_words
from cloud_sink.device_views import device_views
from cloud_sink.district import figures, school_line
from cloud_sink.freshness import Air, Freshness, believed_until
from cloud_sink.hearing import KEPT_MS
from cloud_sink.latest import MAIN, RoomNow
from cloud_sink.left_views import left_views
from cloud_sink.limits import LIMITS
from cloud_sink.reader import WEEK, Reader, read
from cloud_sink.school_views import LIMIT_LEVEL, buildings, episodes, sensors
from cloud_sink.store import Selection
from cloud_sink.text import COOKIE, LANGUAGES
from cloud_sink.timetable import lessons
from cloud_sink.views import RoomStates, Viewer
from telemetry import quantity
from telemetry.air import AIR_QUANTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloud_sink.catalogue import AgentRow, DeviceRow, SchoolRow
    from cloud_sink.centre import Centre
    from cloud_sink.charts import Chart
    from cloud_sink.timetable import Span
    from cloud_sink.wording import Wording
    from telemetry import Summary

STATIC: Final = Path(__file__).parent / "static"
_A_YEAR_S: Final = 365 * 86_400
_PARTS: Final = (
    ("carbon_dioxide", "left.part.quantity"),
    ("building room school", "left.part.place"),
    ("device channel", "left.part.device"),
    ("window", "left.part.window"),
    ("mean min max delta", "left.part.fields"),
    ("n expected", "left.part.slots"),
    ("1760000400000", "left.part.time"),
)
"""What a line is made of, and the key of what that means."""


@cache
def _compiled() -> Environment:
    """The templates, which are the same for every centre of a process."""
    templates = Environment(
        loader=PackageLoader("cloud_sink"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        auto_reload=False,
    )
    templates.filters["whole_codes"] = _whole_codes
    for template in templates.list_templates():
        templates.get_template(template)  # compiled as the centre starts, and not for the first who asks
    return templates


def _whole_codes(text: str) -> Markup:
    """A sentence in which no line ends within a code, such as a-301, or a date."""
    parts = re.split(r"([A-Za-z0-9]+(?:-[A-Za-z0-9]+)+)", text)
    whole = Markup('<span class="code">{}</span>')
    return Markup("").join(whole.format(part) if index % 2 else part for index, part in enumerate(parts))


class Pages:
    """The three pages over one centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._templates = _compiled()

    def router(self) -> APIRouter:
        """Every page's path."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        for path, page in (
            ("/", self.overview),
            ("/school/{school_code}", self.school),
            ("/school/{school_code}/room/{room_code}", self.room),
            ("/school/{school_code}/left", self.left),
        ):
            router.add_api_route(path, page, methods=["GET", "HEAD"])
        return router

    async def overview(self, request: Request) -> HTMLResponse:
        """Are the schools well, and which are not?"""
        reader, viewer = self._reader(request)
        catalogue = self._centre.catalogue
        agents = await self._agents()
        schools = [
            school_line(viewer, row, await catalogue.rooms_in_use(row.code), agents[row.code])
            for row in await catalogue.schools()
        ]
        schools.sort(key=lambda school: school.order)
        headline = viewer.headline(
            sum(school.rooms for school in schools),
            RoomStates.sum(school.state for school in schools),
            [room for school in schools for room in school.act],
        )
        alarms = [alarm for school in schools for alarm in school.alarms]
        shown = figures(viewer, schools)
        return self._page("overview.html", reader, headline=headline, figures=shown, schools=schools, alarms=alarms)

    async def school(self, request: Request, school_code: str) -> HTMLResponse:
        """Are the rooms of this school well, and which are not?"""
        reader, viewer = self._reader(request)
        row = await self._school_row(school_code)
        if row is None:
            return self._not_found(reader)
        room_rows = await self._centre.catalogue.rooms_in_use(row.code)
        rooms, judge = viewer.rooms(row.code, room_rows), viewer.judge(row.code)
        agents = (await self._agents())[row.code]
        selection = Selection(row.code, quantity=AIR_QUANTITY)
        co2 = await self._windows(selection, reader.wording.day_span(reader.day))
        told, more = episodes(viewer, rooms, co2)
        states = RoomStates()
        for room in rooms:
            states.add(room.freshness, room.air)
        return self._page(
            "school.html",
            reader,
            headline=viewer.headline(len(rooms), states, [room for room in rooms if room.air is Air.ACT]),
            school=row.code,
            school_name=viewer.name(row),
            is_quiet=reader.is_today and states.quiet > 0,
            rooms=rooms,
            buildings=buildings(viewer, judge, rooms, co2),
            limit_level=LIMIT_LEVEL,
            limit=limit_words(LIMITS[AIR_QUANTITY], reader.wording),
            episodes=told,
            more_episodes=more,
            sensors=sensors(viewer, row.code, rooms),
            cell=lambda name, summary: viewer.cell(name, summary, judge),
            main=[name for name in MAIN if any(name in room.main for room in rooms)],
            labels={name: quantity(name).label(reader.text.short) for name in MAIN},
            alarms=viewer.alarms(row, room_rows, agents),
            agents=[agent_view(agent.id, viewer.wording, viewer.memory) for agent in agents],
            live=row.code,
        )

    async def room(self, request: Request, school_code: str, room_code: str) -> HTMLResponse:
        """What is the matter in this room, and what was it today?"""
        reader, viewer = self._reader(request)
        centre = self._centre
        row = await self._school_row(school_code)
        rooms = [] if row is None else await centre.catalogue.rooms(row.code)
        room = next((room for room in rooms if room.code == room_code), None)
        if row is None or room is None:
            return self._not_found(reader)
        now = centre.memory.latest.rooms(row.code).get(room.code) or RoomNow()
        judge = viewer.judge(row.code)
        view, agents = viewer.room(room, now, judge), (await self._agents())[row.code]
        devices = [device for device in await centre.catalogue.devices(row.code) if device.room == room.code]
        windows = await self._windows(Selection(row.code, room.code), reader.span)
        frame = Frame(
            span=reader.span,
            step_s=reader.step_s,
            lessons=self._lessons(reader, row.code),
            is_one_day=reader.days == 1,
            was_offline=self._was_offline(devices),
            judge=judge,
        )
        drawn = charts([window for window in windows if window.series.quantity in MAIN], frame, reader.wording)
        return self._page(
            "room.html",
            reader,
            headline=viewer.room_line(view, judge),
            school=row.code,
            school_name=viewer.name(row),
            is_quiet=reader.is_today and view.freshness is Freshness.QUIET,
            room=view,
            cells=viewer.cells(view, judge),
            others=viewer.others(now.windows, judge),
            devices=device_views(viewer, judge, devices, now.windows),
            alarms=viewer.alarms(row, [room], [agent for agent in agents if agent.id in {d.agent for d in devices}]),
            lessons=self._lesson_words(reader, row.code, frame),
            charts=drawn,
            limits=_limits(drawn, reader.wording),
            live=row.code,
        )

    async def left(self, request: Request, school_code: str) -> HTMLResponse:
        """What left this school, and what does each line say?"""
        reader, viewer = self._reader(request)
        row = await self._school_row(school_code)
        if row is None:
            return self._not_found(reader)
        found = await self._centre.store.left(row.code, *reader.wording.day_span(reader.day))
        number = sum(each.summaries for each in found)
        text, day = reader.text, reader.text("day.today") if reader.is_today else reader.day.isoformat()
        size = reader.wording.grouped(sum(each.bytes for each in found))
        return self._page(
            "left.html",
            reader,
            headline=text("left.headline", day=day, n=reader.wording.grouped(number), bytes=size)
            if number
            else text("left.none", day=day),
            school=row.code,
            school_name=viewer.name(row),
            rows=left_views(found, self._centre.policy, reader.wording),
            policy=self._centre.policy.name,
            parts=_PARTS,
            alarms=[],
        )

    async def _windows(self, selection: Selection, span: Span) -> list[Summary]:
        """What was told of a span, but of times to come."""
        until_ms = believed_until(self._centre.clock.now())
        return [window for window in await self._centre.store.range(selection, *span) if window.end_ms <= until_ms]

    def not_found(self, request: Request) -> HTMLResponse:
        """The page of an address that names none."""
        return self._not_found(self._reader(request)[0])

    def _reader(self, request: Request) -> tuple[Reader, Viewer]:
        reader = read(request, self._centre.timezone, self._centre.clock.now())
        return reader, Viewer(reader.wording, self._centre.memory)

    async def _agents(self) -> dict[str, list[AgentRow]]:
        agents = defaultdict(list)
        for agent in await self._centre.catalogue.agents():
            agents[agent.school].append(agent)
        return agents

    async def _school_row(self, code: str) -> SchoolRow | None:
        return next((row for row in await self._centre.catalogue.schools() if row.code == code), None)

    def _lessons(self, reader: Reader, school: str) -> list[Span]:
        timetable = self._centre.timetables.get(school)
        if timetable is None:
            return []
        days = (reader.day - timedelta(days=back) for back in range(reader.days))
        return sorted(span for day in days for span in lessons(timetable, day, self._centre.timezone))

    def _lesson_words(self, reader: Reader, school: str, frame: Frame) -> str:
        text, wording = reader.text, reader.wording
        if school not in self._centre.timetables:
            return text("lessons.unknown")
        if reader.days > 1:
            return text("lessons.week")
        spans = [f"{wording.clock(begin)}\N{EN DASH}{wording.clock(end)}" for begin, end in frame.lessons]
        return text("lessons.day", spans=text("list.comma").join(spans)) if spans else text("lessons.none")

    def _was_offline(self, devices: Sequence[DeviceRow]) -> Callable[[int], bool]:
        """Whether every agent of the devices was silent at a moment; of long ago nothing is known."""
        agents, hearing = {device.agent for device in devices}, self._centre.memory.hearing
        oldest_ms = self._centre.clock.now() - KEPT_MS
        return lambda time_ms: (
            bool(agents) and time_ms >= oldest_ms and all(hearing.was_offline(agent, time_ms) for agent in agents)
        )

    def _not_found(self, reader: Reader) -> HTMLResponse:
        return self._page("not_found.html", reader, status=404, headline=reader.text("notfound"), alarms=[])

    def _page(
        self, template: str, reader: Reader, *, status: int = 200, live: str = "", **values: object
    ) -> HTMLResponse:
        district, wording = self._centre.district, reader.wording
        html = self._templates.get_template(template).render(
            t=reader.text,
            reader=reader,
            languages=LANGUAGES,
            week=WEEK,
            a_day=timedelta(days=1),
            district=district.name_zh if reader.text.short == "zh" else district.name_en,
            as_of=wording.time(wording.now_ms),
            has_vendor=(STATIC / "vendor" / "uPlot.esm.js").is_file(),
            live=live,
            **values,
        )
        response = HTMLResponse(html, status, {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"})
        if reader.asked is not None:
            response.set_cookie(COOKIE, reader.asked, max_age=_A_YEAR_S, httponly=True, samesite="lax")
        return response


def _limits(drawn: Sequence[Chart], wording: Wording) -> list[tuple[str, str, str, str]]:
    """Quantity, limit, title and source of every limit the charts show."""
    shown = [(chart, LIMITS[chart.id]) for chart in drawn if chart.id in LIMITS]
    is_chinese = wording.text.short == "zh"
    return [
        (chart.title, limit_words(limit, wording), limit.title_zh if is_chinese else limit.title_en, limit.source)
        for chart, limit in shown
    ]
