"""What an error says, why it is one and what to do about it, in the reader's language.

English stands in the code, Chinese in tables: `mistakes_zh.toml` has what is wrong, `remedies_zh.toml` why and what to
do, `libraries_zh.toml` what libraries say.
"""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES: Final = ("mistakes", "remedies", "libraries")


@functools.cache
def chinese() -> Mapping[str, str]:
    """Chinese sentences by the English ones; `{}` stands for what the error puts in."""
    return {english: text for table in TABLES for english, text in table_of(table).items()}


def table_of(name: str) -> dict[str, str]:
    """The sentences of one of the tables."""
    return tomllib.loads(resources.files("bansui").joinpath(f"{name}_zh.toml").read_text(encoding="utf-8"))


def translate(sentence: str, words: Mapping[str, str]) -> str:
    """The sentence in the other language, and those that it puts in; one that is not there stays as it is."""
    if sentence in words:
        return words[sentence]
    fitting = [template for template in words if "{}" in template and _pattern(template).fullmatch(sentence)]
    if not fitting:
        return sentence
    closest = max(fitting, key=lambda template: len(template.replace("{}", "")))
    found = _pattern(closest).fullmatch(sentence)
    assert found is not None
    put_in = [text if _is_quoted(text) else translate(text, words) for text in found.groups()]
    parts = words[closest].split("{}")
    return "".join(part for pair in zip(parts, (*put_in, ""), strict=True) for part in pair)


def _is_quoted(text: str) -> bool:
    """Whether somebody else wrote it."""
    return text[:1] in ("'", '"')


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, template.split("{}"))), re.DOTALL)
