"""Who hears that devices do not reach their broker, and how often."""

from __future__ import annotations

from simulators.broker_watch import BrokerNews, BrokerWatch


class Heard:
    def __init__(self) -> None:
        self.news: list[BrokerNews] = []
        self.monotonic_s = 100.0
        self.watch = BrokerWatch(self.news.append, monotonic=lambda: self.monotonic_s)

    @property
    def told(self) -> list[tuple[bool, str]]:
        return [(news.is_away, news.client) for news in self.news]


def test_the_first_who_is_turned_away_is_told_of_and_then_the_return_of_all() -> None:
    heard = Heard()
    for client in ("a", "b", "a", "b"):
        heard.watch.failed(client, "refused")
    assert heard.news == [BrokerNews(is_away=True, client="a", why="refused")]
    heard.watch.reached("a")
    assert len(heard.news) == 1
    heard.watch.reached("b")
    heard.watch.failed("b", "reset")
    assert heard.told == [(True, "a"), (False, "b"), (True, "b")]


def test_who_was_never_away_does_not_come_back() -> None:
    heard = Heard()
    heard.watch.reached("a")
    assert heard.news == []


def test_failures_that_a_fault_brings_about_are_not_told_of() -> None:
    heard = Heard()
    heard.watch.expect_failures()
    heard.watch.failed("a", "refused")
    heard.watch.expect_failures(is_over=True)
    heard.monotonic_s += 2.9
    heard.watch.failed("a", "refused")
    assert heard.news == []
    heard.monotonic_s += 0.2
    heard.watch.failed("a", "refused")
    assert heard.told == [(True, "a")]
