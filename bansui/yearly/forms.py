"""The account as a spreadsheet (CSV) and as a page to print (HTML, whole in itself)."""

from __future__ import annotations

import csv
import io
from html import escape
from typing import TYPE_CHECKING, Final

from bansui.yearly.sections import sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bansui.yearly.account import Account
    from bansui.yearly.sections import Section
    from bansui.yearly.words import Words

_STYLE: Final = """
@page { size: A4 landscape; margin: 14mm; }
body { color: #1d2126; background: #fff; max-width: 270mm; margin: 0 auto; padding: 16px; font: 13px/1.5 system-ui,
  "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 24px; line-height: 1.4; margin: 0 0 8px; } h2 { font-size: 18px; margin: 24px 0 4px; }
p { max-width: 72em; margin: 4px 0; color: #5d656e; }
table { border-collapse: collapse; margin: 8px 0; } tr { break-inside: avoid; } thead { display: table-header-group; }
th, td { border-bottom: 1px solid #dedbd4; padding: 4px 16px 4px 0; text-align: left; vertical-align: top; }
th { font-weight: 500; color: #5d656e; } td { overflow-wrap: anywhere; } thead th { vertical-align: bottom; }
tbody th, td.number { white-space: nowrap; } .number { text-align: right; }
"""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would work out instead of showing."""


def as_csv(account: Account, words: Words) -> str:
    """Each table below its title, an empty line between; UTF-8 with a mark at its beginning, for Excel."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([words("title", year=account.subject.year)])
    writer.writerow([words("lead")])
    for section in sections(account, words):
        writer.writerow([])
        writer.writerow([section.title])
        writer.writerows([note] for note in section.notes)
        if section.head and section.rows:
            writer.writerow(section.head)
        writer.writerows([_cell(each) for each in row] for row in section.rows)
        if section.head and not section.rows:
            writer.writerow([words("none")])
    return f"\ufeff{written.getvalue()}"


def _cell(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_html(account: Account, words: Words) -> str:
    """One page: no script, and nothing from elsewhere."""
    title = escape(words("title", year=account.subject.year))
    language = "en" if words.language == "en" else "zh-CN"
    body = "\n".join(line for section in sections(account, words) for line in _section(section, words))
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<p>{escape(words('lead'))}</p>\n{body}\n</body>\n"
        "</html>\n"
    )


def _section(section: Section, words: Words) -> Iterator[str]:
    yield f"<section><h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(note)}</p>" for note in section.notes)
    if section.rows:
        yield "<table>"
        if section.head:
            head = "".join(map(_head, section.head, section.rows[0]))
            yield f"<thead><tr>{head}</tr></thead>"
        yield "<tbody>"
        yield from (_row(row) for row in section.rows)
        yield "</tbody></table>"
    elif section.head:
        yield f"<p>{escape(words('none'))}</p>"
    yield "</section>"


def _head(name: str, below: str | int) -> str:
    number = ' class="number"' if isinstance(below, int) else ""
    return f'<th scope="col"{number}>{escape(name)}</th>'


def _row(row: Sequence[str | int]) -> str:
    first, *rest = row
    cells = "".join(
        f'<td class="number">{each:,}</td>' if isinstance(each, int) else f"<td>{escape(str(each))}</td>"
        for each in rest
    )
    return f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>'
