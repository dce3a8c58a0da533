"""The demo's two catalogues say the same."""

from __future__ import annotations

import string

import pytest

from bansui.demo import words


def _blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_words_with_the_same_blanks() -> None:
    """A word that one language lacks, or a number that one leaves out, is found here and not on a screen."""
    english, chinese = ({key: _blanks(text) for key, text in c.items()} for c in (words._ENGLISH, words._CHINESE))
    assert english == chinese


@pytest.mark.parametrize(
    ("language", "text"), [("zh", "待确认 1,200，已确认 3"), ("en", "1,200 waiting, 3 acknowledged")]
)
def test_numbers_are_grouped(language: str, text: str) -> None:
    """Large numbers can be read at a glance."""
    assert words.Words(language)("outbox", waiting=1200, acknowledged=3) == text
