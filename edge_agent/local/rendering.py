"""Makes HTML of what a page has to say: one style for all, no script, nothing from another host."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Final

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

STYLE: Final = (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The one style stands in each page, so that a label saved to a file is whole; its hash lets it and no other in."""
_TEMPLATES: Final = Environment(
    loader=PackageLoader("edge_agent.local"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def render(template: str, **values: object) -> str:
    """A page, from `templates/`."""
    return _TEMPLATES.get_template(template).render(style=Markup(STYLE), **values)  # noqa: S704 - our own file


def qr_code(address: str) -> Markup:
    """An address as a QR code in SVG, dark on light in every theme, with the quiet zone that readers want."""
    code = segno.make(address, error="m", micro=False)
    return Markup(code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))  # noqa: S704 - segno escapes
