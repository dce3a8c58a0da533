"""Topic filters, against the examples of OASIS MQTT 3.1.1 and 5.0 section 4.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topics import covers, is_topic_filter, is_topic_name, matches, overlap

EXAMPLES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("sport/#", "sports", False),
    ("#", "a/b", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("#", "$SYS/broker", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/monitor", True),
    ("a/+/c/#", "a/b/c", True),
    ("a/+/c/#", "a/b/d", False),
    ("Accounts", "ACCOUNTS", False),
    ("a", "/a", False),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), EXAMPLES)
def test_filters_match_as_the_standard_says(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@pytest.mark.parametrize("good", ["#", "+", "a/#", "+/+/#", "a//b", "/", "a b/ü"])
def test_filters_that_are_valid(good: str) -> None:
    assert is_topic_filter(good)


@pytest.mark.parametrize("bad", ["", "a#", "a/#/b", "#/a", "a+", "+a/b", "a/b+/c", "a\0", "a/##", "++"])
def test_filters_that_are_not(bad: str) -> None:
    assert not is_topic_filter(bad)


@pytest.mark.parametrize("bad", ["", "a/+", "#", "a\0b"])
def test_names_that_are_not(bad: str) -> None:
    assert not is_topic_name(bad)


LEVELS = st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=4)
FILTERS = st.builds(lambda levels, rest: "/".join(levels + rest), LEVELS, st.sampled_from([[], ["#"]])) | st.just("#")
NAMES = st.lists(st.sampled_from(["a", "b", "", "$x"]), min_size=1, max_size=5).map("/".join).filter(bool)


@given(FILTERS.filter(bool), FILTERS.filter(bool), NAMES)
def test_a_filter_that_covers_another_takes_in_all_that_the_other_does(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and matches(narrow, name):
        assert matches(wide, name)


@given(FILTERS.filter(bool))
def test_every_filter_covers_itself(one: str) -> None:
    assert covers(one, one)


@given(FILTERS.filter(bool), NAMES)
def test_covering_a_name_is_matching_it(one: str, name: str) -> None:
    assert covers(one, name) is matches(one, name)


@given(FILTERS.filter(bool), FILTERS.filter(bool), NAMES)
def test_filters_that_take_in_one_name_overlap(one: str, other: str, name: str) -> None:
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)
        assert overlap(other, one)


@given(FILTERS.filter(bool), NAMES)
def test_a_filter_overlaps_the_names_that_it_takes_in_and_no_others(one: str, name: str) -> None:
    assert overlap(one, name) is matches(one, name)
