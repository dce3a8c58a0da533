"""Why an error is one and what to do about it, in the reader's language: English in the code, Chinese in a table."""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@functools.cache
def chinese() -> Mapping[str, str]:
    """Chinese sentences by the English ones; `{}` stands for what the error puts in."""
    return tomllib.loads(resources.files("bansui").joinpath("remedies_zh.toml").read_text(encoding="utf-8"))


def translate(sentence: str, words: Mapping[str, str]) -> str:
    """The sentence in the other language; one that is not there stays as it is."""
    if sentence in words:
        return words[sentence]
    fitting = [template for template in words if "{}" in template and _pattern(template).fullmatch(sentence)]
    if not fitting:
        return sentence
    closest = max(fitting, key=lambda template: len(template.replace("{}", "")))
    found = _pattern(closest).fullmatch(sentence)
    assert found is not None
    parts = words[closest].split("{}")
    return "".join(part for pair in zip(parts, (*found.groups(), ""), strict=True) for part in pair)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, template.split("{}"))), re.DOTALL)
