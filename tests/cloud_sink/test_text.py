from __future__ import annotations

import re
from pathlib import Path

import pytest

import cloud_sink
from cloud_sink.text import CATALOGUE, LANGUAGES, Text, negotiate
from telemetry import quantities

FOLDER = Path(cloud_sink.__file__).parent
SOURCE = "".join(
    path.read_text(encoding="utf-8") for pattern in ("*.py", "templates/*.html") for path in FOLDER.glob(pattern)
)
COMPOSED = (
    "state.",
    "air.",
    "quality.",
    "value.",
    "agent.",
    "limit.",
    "over.",
    "rooms.",
    "alarm.",
    "chart.gaps.",
    "field.",
    "recipient.",
)
"""Keys that the code puts together from a state or a count."""


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)", text))


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    chinese, english = (CATALOGUE[language] for language in LANGUAGES)
    assert chinese.keys() == english.keys()
    for key, text in chinese.items():
        assert text.strip()
        assert english[key].strip()
        assert placeholders(text) == placeholders(english[key]), key


def test_every_key_is_said_somewhere_and_every_one_said_is_there() -> None:
    said = set(re.findall(r"""(?:\bt|text|_text)(?:\.count)?\(\s*"([a-z._]+)\"""", SOURCE))
    for language in LANGUAGES:
        keys = CATALOGUE[language].keys()
        counted = {key.rpartition(".")[0] for key in keys if key.endswith((".one", ".other"))}
        assert said - keys - counted == set()
        assert {key for key in keys if not key.startswith(COMPOSED) and f'"{key}"' not in SOURCE} == set()


def test_every_state_of_the_vocabulary_has_a_word() -> None:
    for entry in quantities():
        for state in entry.states:
            for language in LANGUAGES:
                assert Text(language)(f"value.{state}")


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "language"),
    [
        (None, None, None, "zh-CN"),
        (None, None, "fr, de;q=0.9", "zh-CN"),
        (None, None, "en-GB,en;q=0.9", "en"),
        (None, None, "en;q=0.5, zh;q=0.9", "zh-CN"),
        (None, None, "en;q=x", "zh-CN"),
        (None, "en", "zh-CN", "en"),
        ("zh-CN", "en", "en", "zh-CN"),
        ("xx", "yy", "en", "en"),
        ("zh", "en", "en", "zh-CN"),
        ("zh-Hans", None, "en", "zh-CN"),
    ],
)
def test_the_language_is_the_one_asked_for_then_remembered_then_preferred(
    asked: str | None, remembered: str | None, accepted: str | None, language: str
) -> None:
    assert negotiate(asked, remembered, accepted) == language


def test_one_and_several_are_told_apart() -> None:
    english = Text("en")
    assert english.count("rooms.fresh", 1, fresh=1) == "1 of 1 room is fresh."
    assert english.count("rooms.fresh", 12, fresh=11) == "11 of 12 rooms are fresh."
