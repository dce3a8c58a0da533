"""Lines of summaries read and written in a second, against the same content as JSON."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from telemetry import Decoder, Series, Summary, encode_all

if TYPE_CHECKING:
    from collections.abc import Callable

_QUANTITIES: Final = ("carbon_dioxide", "temperature", "humidity", "pm25", "illuminance")
_LINES: Final = 5000
_ROUNDS: Final = 10


def measure() -> None:
    """Print lines a second, and the ratio to JSON."""
    summaries = [_summary(index) for index in range(_LINES)]
    body = encode_all(summaries)
    decoder = Decoder()
    decoder.decode(body)
    objects = [_as_object(summary) for summary in summaries]
    text = json.dumps(objects)
    read_json, write_json = _best(lambda: json.loads(text)), _best(lambda: json.dumps(objects))
    read, written = _best(lambda: decoder.decode(body)), _best(lambda: encode_all(summaries))
    fresh = _best(lambda: Decoder().decode(body))
    _tell("read, series known", read, read_json, "json.loads")
    _tell("read, series new", fresh, read_json, "json.loads")
    _tell("written", written, write_json, "json.dumps")


def _tell(what: str, ours: float, peer: float, peer_name: str) -> None:
    print(f"  {what:20} {_LINES / ours:10,.0f} lines/s   {peer / ours:5.2f} x {peer_name}")


def _best(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def _summary(index: int) -> Summary:
    name = _QUANTITIES[index % len(_QUANTITIES)]
    room = f"a-{100 + index // 50 % 60}"
    series = Series(name, "cn-002", "a", room, f"sensor-{index // len(_QUANTITIES)}", 900)
    return Summary(series, 1_760_000_400_000, {"mean": 400 + index % 500, "n": 15, "expected": 15})


def _as_object(summary: Summary) -> dict[str, object]:
    series = summary.series
    tags = {"building": series.building, "device": series.device, "room": series.room, "school": series.school}
    return {"quantity": series.quantity, **tags, "window": series.window_s, **summary.fields, "t": summary.start_ms}
