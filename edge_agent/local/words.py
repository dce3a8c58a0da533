"""Every word that the agent's pages and labels say, in Chinese and English."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Final = ("zh", "en")
TAGS: Final[Mapping[str, str]] = {"zh": "zh-CN", "en": "en"}
"""As a document names its language."""
_FOLDER: Final = Path(__file__).parent / "text"


def _read(language: str) -> Mapping[str, str]:
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


CATALOGUE: Final[Mapping[str, Mapping[str, str]]] = {language: _read(language) for language in LANGUAGES}


class Words:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.tag = TAGS[language]
        self.other = next(each for each in LANGUAGES if each != language)
        self._texts = CATALOGUE[language]

    def __call__(self, key: str, **values: object) -> str:
        """The sentence of that key; a key that is not there is a programming error."""
        return self._texts[key].format(**values)

    def joined(self, parts: list[str]) -> str:
        """Several names in one sentence."""
        return self("comma").join(parts)


def negotiate(asked: str, accepted: str) -> str:
    """The language asked for in the address, or preferred by the browser (RFC 9110, section 12.5.4), else Chinese."""
    if asked in LANGUAGES:
        return asked
    best, best_quality = LANGUAGES[0], 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.lower().partition("-")[0]
        try:
            quality = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best
