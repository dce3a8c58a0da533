"""The table of docs/reliability.md: a campaign that ran replaces its own row and no other."""

from __future__ import annotations

from tests.faults.__main__ import FIGURES


def test_rows_are_replaced_one_by_one_and_stand_in_order() -> None:
    """The second run of a campaign takes the place of its first; one that no longer exists goes."""
    document = "before\n<!-- figures: written by `make soak` -->\n<!-- end of figures -->\nafter\n"
    order = ["damage", "power-cut"]
    for name, text in (
        ("power-cut", "first"),
        ("gone", "old"),
        ("damage", "truncated"),
        ("power-cut", "second"),
    ):
        known = order if name in order else [*order, name]
        cells = [text, f"`python -m tests.faults --long {name}`"]
        document = FIGURES.with_row(document, name, cells, known)
    lines = document.splitlines()
    assert [line.split("|")[1].strip() for line in lines if "tests.faults" in line] == ["truncated", "second"]
    assert (lines[0], lines[-1]) == ("before", "after")
