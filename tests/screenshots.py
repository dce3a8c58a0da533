"""`python -m tests.screenshots`: the three pages in both languages and themes, for docs/screenshots."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloud_sink.text import LANGUAGES
from tests.cloud_sink.browsing import PATHS, THEMES, centre_at_noon, chromium, watched_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect

    from tests.cloud_sink.browsing import Theme

FOLDER: Final = Path(__file__).parent.parent / "docs" / "screenshots"
MOST_BYTES: Final = 150_000
_SIZE: Final[FloatRect] = {"x": 0, "y": 0, "width": 1120, "height": 800}


def main() -> int:
    """Take them; exit code 1 when one is larger than a repository should carry."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, centre_at_noon(Path(state)) as centre, chromium() as browser:
        for theme in THEMES:
            for language in LANGUAGES:
                for name, path in PATHS.items():
                    _take(browser, theme, f"{centre.url}{path}?lang={language}", f"{name}-{language}-{theme}.png")
    taken = sorted(FOLDER.glob("*.png"))
    large = [path.name for path in taken if path.stat().st_size > MOST_BYTES]
    print(f"{len(taken)} screenshots in {FOLDER}, {sum(path.stat().st_size for path in taken) / 1000:,.0f} kB")
    for name in large:
        print(f"{name} is larger than {MOST_BYTES / 1000:.0f} kB", file=sys.stderr)
    return 1 if large else 0


def _take(browser: Browser, theme: Theme, url: str, name: str) -> None:
    with watched_page(browser, theme=theme, width=int(_SIZE["width"])) as page:
        page.goto(url)
        page.wait_for_function("document.querySelectorAll('[data-chart]:not(:has(canvas))').length === 0")
        page.screenshot(path=FOLDER / name, full_page=True, clip=_SIZE)


if __name__ == "__main__":
    sys.exit(main())
