from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloud_sink.live import MOST_QUEUED, MOST_WATCHERS, Live, Watcher
from tests.cloud_sink.support import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemetry import Summary


async def summaries(watcher: Watcher, within_s: float = 60) -> list[Summary]:
    news = await watcher.next(within_s)
    assert news is not None
    return list(news.summaries)


async def test_a_watcher_gets_its_school_alone() -> None:
    live, told = Live(), [summary(), summary(school="cn-014")]
    with live.watch("cn-014") as one, live.watch(None) as all_of_them:
        live.publish(told)
        assert await summaries(one) == told[1:]
        assert await summaries(all_of_them) == told


async def test_what_is_new_is_written_once_for_all_who_watch_it() -> None:
    live = Live()
    written: list[int] = []

    def write(told: Sequence[Summary]) -> str:
        written.append(len(told))
        return f"{len(told)} new"

    with live.watch(None) as one, live.watch(None) as other, live.watch("cn-014") as a_school:
        live.publish([summary(), summary(school="cn-014")])
        heard = [news.text(write) for watcher in (one, other, a_school) if (news := await watcher.next(1)) is not None]
    assert heard == ["2 new", "2 new", "1 new"]
    assert written == [2, 1]


async def test_a_school_that_only_older_windows_came_of_is_told_of_too() -> None:
    live = Live()
    with live.watch("cn-014") as touched, live.watch("cn-002") as other:
        live.publish([], {"cn-014"})
        live.publish([summary()])
        assert await summaries(touched) == []
        assert await summaries(other) == [summary()], "it was not told of before"


async def test_a_watcher_that_falls_behind_is_let_go_and_its_queue_stays_bounded() -> None:
    live = Live()
    with live.watch(None) as slow:
        for _ in range(MOST_QUEUED + 1):
            live.publish([summary()])
        assert len(live) == 0
        assert await slow.next(1) is None


async def test_nothing_new_is_an_empty_answer() -> None:
    with Live().watch(None) as watcher:
        assert await summaries(watcher, 0.001) == []


async def test_no_more_watchers_are_taken_than_are_allowed_nor_after_the_end() -> None:
    live = Live()
    with contextlib.ExitStack() as watchers:
        for _ in range(MOST_WATCHERS):
            assert not live.is_full
            watchers.enter_context(live.watch(None))
        assert live.is_full
    assert len(live) == 0
    ended = Live()
    ended.end()
    assert ended.is_full
    with ended.watch(None) as late:
        assert await late.next(1) is None
