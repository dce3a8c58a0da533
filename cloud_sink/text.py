"""Every word a page says, in both languages, from one catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Final = ("zh-CN", "en")
COOKIE: Final = "bansui_language"
_FOLDER: Final = Path(__file__).parent / "text"


def _read(language: str) -> Mapping[str, str]:
    texts: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


CATALOGUE: Final[Mapping[str, Mapping[str, str]]] = {language: _read(language) for language in LANGUAGES}


class Text:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = CATALOGUE[language]

    @property
    def short(self) -> str:
        """`zh` or `en`, as the vocabulary and the catalogue name their columns."""
        return self.language[:2]

    def __call__(self, key: str, **values: object) -> str:
        """The sentence of that key; a key that is not there is a programming error."""
        return self._texts[key].format(**values)

    def count(self, key: str, number: int, **values: object) -> str:
        """The sentence for one or for several."""
        return self(f"{key}.{'one' if number == 1 else 'other'}", n=number, **values)


def known(tag: str | None) -> str | None:
    """The supported language that a tag means: `zh`, `zh-Hans` and `zh-CN` are all Chinese."""
    primary = (tag or "").lower().split("-")[0]
    return next((language for language in LANGUAGES if language[:2] == primary), None)


def negotiate(asked: str | None, remembered: str | None, accepted: str | None) -> str:
    """The language to answer in: asked for in the address, remembered, preferred by the browser, else Chinese."""
    for choice in (asked, remembered):
        if language := known(choice):
            return language
    return _preferred(accepted or "") or LANGUAGES[0]


def _preferred(accepted: str) -> str | None:
    """RFC 9110, section 12.5.4: the supported language of the highest quality."""
    best, best_quality = None, 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        try:
            quality = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        language = known(tag)
        if language is not None and quality > best_quality:
            best, best_quality = language, quality
    return best
