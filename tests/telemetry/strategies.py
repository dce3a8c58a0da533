"""Summaries as an agent could make them, for property tests."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from telemetry import FIELDS_OF, Quantity, Series, Summary, quantities
from telemetry.summaries import LONGEST_WINDOW_S, MEASURED_FIELDS, REQUIRED_OF

_LETTERS = string.ascii_lowercase + string.digits + "-"
CODES = st.text(_LETTERS, min_size=1, max_size=32)
CHANNELS = st.text(f"{_LETTERS}_", max_size=16)
TOLD_ON = [entry for entry in quantities() if FIELDS_OF[entry.summarise]]
INTEGERS = st.integers(-(10**18) + 1, 10**18 - 1)


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    """Any summary that a line can carry."""
    entry: Quantity = draw(st.sampled_from(TOLD_ON))
    series = Series(
        quantity=entry.id,
        school=draw(CODES),
        building=draw(CODES),
        room=draw(CODES),
        device=draw(CODES),
        window_s=draw(st.integers(1, LONGEST_WINDOW_S)),
        channel=draw(CHANNELS),
        revision=draw(st.integers(0, 999_999_999)),
    )
    names = draw(st.sets(st.sampled_from(sorted(FIELDS_OF[entry.summarise])), min_size=1))
    names |= REQUIRED_OF[entry.summarise]
    plausible = st.integers(entry.to_ticks(entry.minimum), entry.to_ticks(entry.maximum))
    fields = {name: draw(plausible | INTEGERS if name in MEASURED_FIELDS else INTEGERS) for name in names}
    return Summary(series, draw(st.integers(0, 10**14 - 1)), fields)
