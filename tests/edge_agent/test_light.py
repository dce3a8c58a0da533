"""The light of a room: three states, five-minute steps, timetable hours alone, and nothing kept."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from edge_agent.local.light import STEP_MS, State, judge
from edge_agent.local.secret import FILE_NAME, TOKEN_DIGITS, PagesSecretUnusable, load_or_make, token
from telemetry.air import AIR_ACT_PPM, AIR_WATCH_PPM
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, TIMETABLE
from tests.edge_agent.looking import Looking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP_MINUTES = STEP_MS // MINUTE


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Looking]:
    made = Looking(tmp_path)
    yield made
    made.bench.stop()


def look(looking: Looking) -> State:
    return looking.pages._lights.state("a-301", looking.bench.clock.now(), TIMETABLE)


def test_three_states() -> None:
    """At a level the milder state holds; above it the next."""
    assert judge(AIR_WATCH_PPM) is State.GOOD
    assert judge(AIR_WATCH_PPM + 1) is judge(AIR_ACT_PPM) is State.WATCH
    assert judge(AIR_ACT_PPM + 1) is State.ACT


def test_a_state_is_of_the_last_full_step(looking: Looking) -> None:
    """It changes at whole five minutes and never between, to what the five minutes before were."""
    clock = looking.bench.clock
    seen = []
    for co2 in (600, 1200, 900, 600):
        for _ in range(STEP_MINUTES):
            looking.live(1, co2)
            clock.now_ms -= clock.now_ms % MINUTE  # committing took a moment; the minute is what counts here
            seen.append(look(looking))
    assert clock.now() == MONDAY_9 + 4 * STEP_MS
    # The first four minutes show the five before nine, when nothing was told yet.
    unknown, good, act, watch = (
        [state] * STEP_MINUTES for state in (State.UNKNOWN, State.GOOD, State.ACT, State.WATCH)
    )
    assert seen == [*unknown[:-1], *good, *act, *watch, State.GOOD]


def test_a_window_that_closes_takes_nothing_from_the_step(looking: Looking) -> None:
    """What the five minutes before 09:15 were is still shown when their window has closed, two minutes later."""
    seen = []
    for co2 in [600] * 14 + [1500] * 6:
        looking.live(1, co2)
        seen.append(look(looking))
    assert not [end for _, end in open_windows(looking) if end <= MONDAY_9 + 15 * MINUTE]
    assert set(seen[14:19]) == {State.GOOD}, "one minute of five does not make a mean above the level"
    assert seen[19] is State.ACT


def open_windows(looking: Looking) -> list[tuple[int, int]]:
    series = looking.bench.core.state.windows.series
    windows = [
        window for (_, _, name), each in series.items() if name == "carbon_dioxide" for window in each.open.values()
    ]
    return [(window.start_ms, window.end_ms) for window in windows]


def test_a_silent_sensor_is_not_good_air(looking: Looking) -> None:
    """Its last value stands for as long as the device may be silent; then nothing is known."""
    looking.live(5, co2=1500)
    assert look(looking) is State.ACT
    looking.bench.until_closed(5 * MINUTE)
    assert look(looking) is State.ACT
    looking.bench.until_closed(5 * MINUTE)
    assert look(looking) is State.UNKNOWN


def test_outside_timetable_hours_nothing_is_told(looking: Looking) -> None:
    """Neither of a time outside nor during one: the first state after the bell is five minutes old lesson time."""
    clock, lights = looking.bench.clock, looking.pages._lights
    midnight = MONDAY_9 - 9 * HOUR
    shown = [
        minute
        for minute in range(24 * 60)
        if lights.state("a-301", midnight + minute * MINUTE, TIMETABLE) is not State.CLOSED
    ]
    # TIMETABLE: 08:00 to 11:45 and 13:00 to 16:30.
    assert shown == [*range(8 * 60 + 5, 11 * 60 + 45), *range(13 * 60 + 5, 16 * 60 + 30)]
    sunday = midnight + 6 * DAY + 10 * HOUR
    assert lights.state("a-301", sunday, TIMETABLE) is State.CLOSED
    assert clock.now() == MONDAY_9


async def test_the_page_says_the_state_and_when_it_changes(looking: Looking) -> None:
    """In words, in both languages; a reader is told to come back at the next step, and not before."""
    await looking.pages.start()
    [address] = [f"/light/{found}" for found in looking.pages._tokens]
    looking.live(STEP_MINUTES + 1, co2=1500)
    status, headers, body = await looking.get(address)
    assert status == "HTTP/1.1 200 OK"
    assert "Open a window." in body
    assert "09:00 to 09:05" in body
    assert 1 <= int(headers["Refresh"]) <= STEP_MS // 1000 + 1
    assert "1500" not in body, "a state, and never a value"
    assert "请打开窗户" in (await looking.get(f"{address}?lang=zh"))[2]
    looking.bench.clock.advance(12 * HOUR)
    assert "Outside timetable hours" in (await looking.get(address))[2]
    await looking.pages.stop()


async def test_looking_changes_nothing(looking: Looking) -> None:
    """The page stores and sends nothing: neither state, store nor anything sent differ for having been looked at."""
    await looking.pages.start()
    looking.live(STEP_MINUTES + 1)
    before = looking.bench.core.state.checkpoint(), looking.bench.told(), looking.bench.audit()
    files = {path.name for path in (looking.config.parent / "state").iterdir()}
    for found in looking.pages._tokens:
        await looking.get(f"/light/{found}")
    assert (looking.bench.core.state.checkpoint(), looking.bench.told(), looking.bench.audit()) == before
    assert {path.name for path in (looking.config.parent / "state").iterdir()} == files
    await looking.pages.stop()


def test_an_address_cannot_be_guessed(looking: Looking) -> None:
    """It follows from a secret that its owner alone can read, and stays the same; another school's is another."""
    folder = looking.config.parent / "state"
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    secret = load_or_make(folder)
    assert secret == load_or_make(folder)
    assert {token(secret, "cn-002", "a-301"): "a-301"} == looking.pages._tokens
    tokens = {
        token(key, school, room)
        for key in (secret, b"0" * 32)
        for school in ("cn-002", "cn-003")
        for room in ("a", "b")
    }
    assert len(tokens) == 8
    assert {len(each) for each in tokens} == {TOKEN_DIGITS}


def test_a_secret_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(PagesSecretUnusable, match="shorter"):
        load_or_make(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(PagesSecretUnusable, match="cannot be used"):
        load_or_make(tmp_path)
