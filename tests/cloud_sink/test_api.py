from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from cloud_sink.centre import Seams
from cloud_sink.csv_text import csv_of
from cloud_sink.ranges import grid_lines
from telemetry import ManualClock, decode_all
from tests.cloud_sink.support import CONFIG, NOON_MS, QUARTER_MS, Running, running_centre, summary
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud_sink.store import Store
    from telemetry import Summary

HOUR_MS = 4 * QUARTER_MS
SPAN: dict[str, str | int] = {"school": "cn-002", "from": NOON_MS, "to": NOON_MS + HOUR_MS}


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Running]:
    with running_centre(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A centre of which questions alone are asked."""
    with running_centre(tmp_path_factory.mktemp("asked")) as running:
        running.write(summary())
        yield running


def get(centre: Running, path: str, **params: str | int) -> httpx.Response:
    return centre.client.get(f"/api/v1/{path}", params=params)


def test_places_are_a_tree_that_grows_with_what_agents_tell(centre: Running) -> None:
    centre.write(summary(), summary(room="b-101", device="co2-b-101"))
    tree = get(centre, "places").json()
    assert (tree["code"], tree["name_en"]) == ("changning", "Changning District")
    assert [school["code"] for school in tree["schools"]] == ["cn-002", "cn-014"]
    rooms = tree["schools"][0]["rooms"]
    assert [(room["building"], room["code"]) for room in rooms] == [("a", "a-301"), ("b", "b-101")]
    assert rooms[1]["devices"] == [{"id": "co2-b-101", "agent": "edge-1"}]


def test_a_school_that_is_taken_out_of_the_configuration_is_gone_until_it_is_back(tmp_path: Path) -> None:
    school = CONFIG[CONFIG.index("[[school]]") : CONFIG.index('[[school]]\ncode = "cn-014"')]
    agent = CONFIG[CONFIG.index("[[agent]]") : CONFIG.index('[[agent]]\nid = "edge-2"')]
    with running_centre(tmp_path) as centre:
        centre.write(summary())
    with running_centre(tmp_path, config=CONFIG.replace(school, "").replace(agent, "")) as centre:
        assert [told["code"] for told in centre.client.get("/api/v1/places").json()["schools"]] == ["cn-014"]
        assert "cn-002" not in centre.client.get("/").text
        assert centre.client.get("/api/v1/latest", params={"school": "cn-002"}).status_code == 404
        assert centre.client.get("/school/cn-002").status_code == 404
    with running_centre(tmp_path) as centre:
        assert centre.export().count("\n") == 1
        assert "a-301" in centre.client.get("/school/cn-002").text


def test_a_range_shows_gaps_as_null_and_the_length_of_each_window(centre: Running) -> None:
    centre.write(
        summary(),
        summary(start_ms=NOON_MS + 2 * QUARTER_MS, fields={"mean": 900, "min": 800, "max": 950}),
        summary("temperature", fields={"mean": 2215}),
    )
    told = get(centre, "range", room="a-301", quantity="carbon_dioxide", step=900, **SPAN).json()
    assert told["lines"] == [
        {
            "device": "co2-a-301",
            "channel": "",
            "values": [850.0, None, 900.0, None],
            "low": [None, None, 800.0, None],
            "high": [None, None, 950.0, None],
            "window_s": [900, None, 900, None],
        }
    ]
    warm = get(centre, "range", room="a-301", quantity="temperature", step=3600, **SPAN).json()
    assert (warm["unit"], warm["lines"][0]["values"]) == ("°C", [22.15])


def test_latest_tells_each_value_with_window_age_and_freshness(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + QUARTER_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.write(summary())
        states = []
        for windows in (0, 3, 11):
            clock.now_ms = NOON_MS + QUARTER_MS + windows * QUARTER_MS
            (value,) = get(centre, "latest", school="cn-002", room="a-301").json()
            states.append((value["freshness"], value["age_ms"]))
        assert states == [("fresh", 0), ("late", 3 * QUARTER_MS), ("stale", 11 * QUARTER_MS)]
        assert (value["value"], value["unit"], value["field"]) == (850.0, "ppm", "mean")
        assert (value["start_ms"], value["window_s"], value["n"]) == (NOON_MS, 900, 15)
        assert get(centre, "latest", school="cn-002", room="a-302").json() == []


def test_series_lists_what_has_ever_been_told(centre: Running) -> None:
    centre.write(summary(), summary("energy", fields={"delta": 5}, device="meter", channel="l1"))
    series = get(centre, "series", school="cn-002").json()
    assert {(s["quantity"], s["device"], s["channel"], s["unit"]) for s in series} == {
        ("carbon_dioxide", "co2-a-301", "", "ppm"),
        ("energy", "meter", "l1", "kWh"),
    }


def test_an_export_is_line_protocol_of_the_highest_revisions(centre: Running) -> None:
    revised = summary(fields={"mean": 900, "n": 15, "expected": 15}, revision=1)
    later = summary(start_ms=NOON_MS + HOUR_MS)
    centre.write(summary(), revised, later)
    text = get(centre, "export", **SPAN).text
    assert decode_all(text.encode()) == [revised]


class OfOneDay:
    """The real store, which exports no more than a day at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def export(self, school: str, from_ms: int, to_ms: int) -> list[Summary]:
        assert to_ms - from_ms <= 24 * HOUR_MS
        return await self._store.export(school, from_ms, to_ms)


def test_an_export_of_more_than_a_year_is_told_a_day_at_a_time(tmp_path: Path) -> None:
    told = [summary(start_ms=NOON_MS - days * 24 * HOUR_MS) for days in (400, 30, 1, 0)]
    with running_centre(tmp_path, seams=Seams(wrap_store=lambda store: cast("Store", OfOneDay(store)))) as centre:
        assert centre.export() == ""
        centre.write(*told)
        assert decode_all(centre.export().encode()) == told
        edges = get(centre, "export", **SPAN | {"from": told[1].start_ms, "to": told[3].start_ms})
        assert decode_all(edges.content) == told[1:3]


@pytest.mark.parametrize(("path", "work"), [("csv", csv_of), ("range", grid_lines)])
def test_a_long_answer_holds_up_no_other(
    centre: Running, monkeypatch: pytest.MonkeyPatch, path: str, work: Callable[..., object]
) -> None:
    """While one is computed, another is asked for and told."""
    begun, others = threading.Event(), threading.Event()

    def long(*arguments: object) -> object:
        begun.set()
        assert others.wait(20), "nobody else was answered meanwhile"
        return work(*arguments)

    monkeypatch.setattr(f"cloud_sink.api.{work.__name__}", long)
    asked = {"room": "a-301", "quantity": "carbon_dioxide", **SPAN}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, centre, path, **asked)
        assert begun.wait(20)
        with httpx.Client(base_url=centre.url, timeout=10, trust_env=False) as other:
            assert other.get("/api/v1/health").status_code == 200
        others.set()
        assert answer.result(20).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("range?school=cn-002&room=a-301&quantity=mood&from=0&to=900000", 400, "mood"),
        ("range?school=cn-002&room=a-301&quantity=temperature&from=9&to=9", 400, "steps"),
        ("range?school=cn-002&room=a-301&quantity=temperature&from=0&to=99999999999&step=1", 400, "steps"),
        ("range?school=cn-002&room=a-301&quantity=temperature&from=x&to=1", 400, "from"),
        ("range?school=nowhere&room=a-301&quantity=temperature&from=0&to=900000", 404, "nowhere"),
        ("range?school=cn-002&room=a-301&quantity=temperature&from=9&to=8", 400, "before it begins"),
        ("csv?school=cn-002&room=a-301&quantity=temperature&from=9&to=8", 400, "before it begins"),
        ("export?school=cn-002&from=9&to=8", 400, "before it begins"),
        ("live?school=nowhere", 404, "nowhere"),
        ("latest?school=nowhere", 404, "nowhere"),
        ("latest?school=Wang%20Fang", 400, "school"),
        ("export?school=cn-002&from=-1&to=0", 400, "from"),
        ("nothing", 404, "Not Found"),
    ],
)
def test_a_question_that_cannot_be_meant_is_told_so(asked: Running, path: str, status: int, said: str) -> None:
    answer = asked.client.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert said in answer.json()["message"]


def test_a_spreadsheet_gets_the_windows_as_they_were_delivered_in_the_schools_time(asked: Running) -> None:
    answer = get(asked, "csv", room="a-301", quantity="carbon_dioxide", **SPAN)
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert 'filename="cn-002-a-301-carbon_dioxide.csv"' in answer.headers["Content-Disposition"]
    head, row = answer.text.splitlines()
    assert head == "start,window_s,device,channel,quantity,field,value,unit,n,expected"
    assert row == "2025-10-12T12:00:00+08:00,900,co2-a-301,,carbon_dioxide,mean,850,ppm,15,15"


@pytest.mark.parametrize(
    "path", ["/", "/school/cn-002", "/school/cn-002/room/a-301", "/api/v1/health", "/api/v1/places"]
)
def test_head_is_answered_as_get_is_but_for_the_body(asked: Running, path: str) -> None:
    answer, whole = asked.client.head(path), asked.client.get(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == whole.headers["Content-Type"]


def test_the_api_describes_itself(asked: Running) -> None:
    document = get(asked, "openapi.json").json()
    paths = {"places", "series", "range", "latest", "health", "export", "csv", "balance", "live", "agent-report"}
    assert {f"/api/v1/{path}" for path in paths} <= document["paths"].keys()
    assert "/api/v2/write" in document["paths"]
    assert "window_s" in document["components"]["schemas"]["ValueAnswer"]["properties"]


def test_live_tells_a_schools_new_summaries_and_forgets_a_watcher_that_leaves(centre: Running) -> None:
    def watchers() -> int:
        return int(str(centre.get("/api/v1/health")["watchers"]))

    with centre.client.stream("GET", "/api/v1/live", params={"school": "cn-002"}) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        centre.write(summary(school="cn-014"), agent="edge-2")
        centre.write(summary())
        told = [next(lines) for _ in range(3)]
        assert told[1] == "event: summaries"
        (value,) = json.loads(told[2].removeprefix("data: "))
        assert (value["school"], value["value"], value["freshness"]) == ("cn-002", 850.0, "fresh")
        assert watchers() == 1
    wait_until(lambda: watchers() == 0)


def test_live_sends_a_heartbeat_when_nothing_is_new(centre: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_sink.api.HEARTBEAT_S", 0.01)
    with centre.client.stream("GET", "/api/v1/live") as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(3)][2] == "event: heartbeat"


def test_a_watcher_that_never_reads_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection goes, and not its place alone: they would add up, and each hold up the end of the centre."""
    monkeypatch.setattr("cloud_sink.server.UNREAD_S", 0.2)
    with running_centre(tmp_path) as centre, socket.socket() as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        url = httpx.URL(centre.url)
        asleep.connect((url.host, url.port))
        asleep.sendall(b"GET /api/v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: centre.get("/api/v1/health")["watchers"] == 1)
        centre.write(*(summary(device=f"co2-{number}") for number in range(100)))
        wait_until(lambda: centre.get("/api/v1/health")["watchers"] == 0)


def test_a_watcher_does_not_hold_up_the_end_of_the_centre(tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre, centre.client.stream("GET", "/api/v1/live") as answer:
        lines = answer.iter_lines()
        next(lines)
        centre.end()
        assert list(lines) == [""]


def test_every_answer_has_the_security_headers(asked: Running) -> None:
    for path in ("/", "/api/v1/health", "/static/style.css", "/nowhere", "/school/x"):
        headers = asked.client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
