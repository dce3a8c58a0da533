"""The answers of `/api/v1`, as OpenAPI describes them. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from cloud_sink.alarms import AlarmKind
from cloud_sink.freshness import Freshness
from cloud_sink.quality import Quality
from cloud_sink.ranges import value_of
from telemetry import Summary, quantity
from telemetry.summaries import MEASURED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud_sink.centre import Balance
    from cloud_sink.freshness import Judge
    from cloud_sink.quality import Suspect
    from cloud_sink.ranges import GridLine


class DeviceAnswer(BaseModel):
    """A device and the agent that speaks for it."""

    id: str
    agent: str


class RoomAnswer(BaseModel):
    """A room and its devices."""

    code: str
    building: str
    name_zh: str
    name_en: str
    devices: list[DeviceAnswer]


class SchoolAnswer(BaseModel):
    """A school and its rooms."""

    code: str
    name_zh: str
    name_en: str
    rooms: list[RoomAnswer]


class PlacesAnswer(BaseModel):
    """The whole tree: district, schools, rooms, devices."""

    code: str
    name_zh: str
    name_en: str
    schools: list[SchoolAnswer]


class SeriesAnswer(BaseModel):
    """One channel of one device, and what it measures. `channel` is empty when there is one only."""

    school: str
    building: str
    room: str
    device: str
    channel: str
    quantity: str
    unit: str
    name_zh: str
    name_en: str

    @classmethod
    def of(cls, summary: Summary) -> SeriesAnswer:
        """The series that a summary is of."""
        series, entry = summary.series, quantity(summary.series.quantity)
        return cls(
            school=series.school,
            building=series.building,
            room=series.room,
            device=series.device,
            channel=series.channel,
            quantity=series.quantity,
            unit=entry.symbol,
            name_zh=entry.name_zh,
            name_en=entry.name_en,
        )


class ValueAnswer(SeriesAnswer):
    """The last window of a series. `field` says what `value` is; `age_ms` counts from the window's end.

    `freshness` is fresh until 2 windows and 15 minutes after that end, late until 10 windows and 15 minutes; then it
    is stale. Of what the policy tells in timetable hours alone only windows in them count, and it is quiet when it is
    old and lacks none. `quality` is stuck or offset where what a sensor told speaks against it, and since when.
    """

    field: str | None
    value: float | None
    start_ms: int
    window_s: int
    age_ms: int
    freshness: Freshness
    quality: Quality
    quality_since_ms: int | None
    n: int | None
    expected: int | None

    @classmethod
    def at(cls, summary: Summary, judge: Judge, suspect: Suspect | None) -> ValueAnswer:
        """A summary as it is worth now; `suspect` says what speaks against its sensor."""
        name, number = value_of(summary) or (None, None)
        return cls(
            **SeriesAnswer.of(summary).model_dump(),
            field=name,
            value=None if name is None or number is None else in_unit(summary.series.quantity, name, number),
            start_ms=summary.start_ms,
            window_s=summary.series.window_s,
            age_ms=judge.now_ms - summary.end_ms,
            freshness=judge.freshness(summary),
            quality=Quality.GOOD if suspect is None else suspect.quality,
            quality_since_ms=None if suspect is None else suspect.since_ms,
            n=summary.fields.get("n"),
            expected=summary.fields.get("expected"),
        )


class LineAnswer(BaseModel):
    """One channel on the grid; null where no window lies. A window longer than the step fills several."""

    device: str
    channel: str
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    window_s: list[int | None]


class RangeAnswer(BaseModel):
    """A quantity of a room over a span: value i of a line belongs to [from + i*step, from + (i+1)*step)."""

    school: str
    room: str
    quantity: str
    unit: str
    from_ms: int
    to_ms: int
    step_s: int
    lines: list[LineAnswer]


class AlarmAnswer(BaseModel):
    """One thing to act on now: an open safety event of a room, an agent that is silent, ahead of time, or copied.

    Of the centre's own clock every school is told."""

    kind: AlarmKind
    school: str
    room: str
    quantity: str
    agent: str
    since_ms: int


class BalanceAnswer(BaseModel):
    """What an agent sent and what is stored; `applied` is <epoch>-<highest batch without a gap before it>."""

    agent: str
    school: str
    batches: int
    reports: int
    summaries_received: int
    summaries_stored: int
    summaries_forgotten: int
    """Stored once, and deleted when their time was over."""
    applied: str | None
    report: dict[str, int] | None

    @classmethod
    def of(cls, balance: Balance) -> BalanceAnswer:
        """A balance as JSON carries it."""
        report = None if balance.report is None else balance.report.as_dict()
        names = cls.model_fields.keys() - {"report"}
        return cls(**{name: getattr(balance, name) for name in names}, report=report)


class FollowerAnswer(BaseModel):
    """Whether a second store answers, and how many positions of the inbox it is behind the embedded one."""

    is_up: bool
    lacks: int


class HealthAnswer(BaseModel):
    """Whether the centre acknowledges, how far the store is behind, and who watches.

    `recovered`: it does, after damage; the damaged files in `set_aside` wait for somebody to look at the disk.
    `full`: the store has no room for what the inbox holds.
    """

    status: Literal["ok", "recovered", "full", "broken"]
    time_ms: int
    batches_waiting: int
    position: int
    watchers: int
    set_aside: list[str]
    victoria_metrics: FollowerAnswer | None


def line_answer(line: GridLine, quantity_id: str) -> LineAnswer:
    """A line of the grid in the quantity's unit."""
    entry = quantity(quantity_id)

    def values(ticks: Sequence[int | None]) -> list[float | None]:
        return [None if number is None else entry.to_value(number) for number in ticks]

    return LineAnswer(
        device=line.device,
        channel=line.channel,
        values=values(line.ticks),
        low=values(line.low),
        high=values(line.high),
        window_s=line.window_s,
    )


def in_unit(quantity_id: str, field: str, number: int) -> float:
    """A field's number as a person counts: in the quantity's unit, or as it is."""
    return quantity(quantity_id).to_value(number) if field in MEASURED_FIELDS else float(number)
