"""axe-core, which looks for what people with a screen reader, a keyboard or poor sight would stumble over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bansui.assets import ROOT, Library, fetch

if TYPE_CHECKING:
    from playwright.sync_api import Page

_FOLDER: Final = Path(__file__).parent / "vendor"
_AXE: Final = Library("axe-core", {"axe.min.js": "axe.min.js", "LICENSE": "axe.LICENSE"})
_RUN: Final = """async () => (await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    resultTypes: ["violations"],
})).violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ").slice(0, 300)}`)"""


def violations(page: Page) -> list[str]:
    """Every rule the page breaks, with the elements that do."""
    fetch(ROOT, _FOLDER, _AXE)
    # As an evaluated text, not as a <script>: the page's own policy stays in force.
    page.evaluate((_FOLDER / "axe.min.js").read_text(encoding="utf-8"))
    found: list[Any] = page.evaluate(_RUN)
    return [str(violation) for violation in found]
