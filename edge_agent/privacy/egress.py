"""What left the school, counted for people: by state, by quantity and by privacy class. Pure.

A batch counts on the day it was sealed, to be offered as soon as those before it are answered. Its bytes are those of
the sealed body, padding included: what a listener on the line could weigh.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edge_agent.privacy.budget import DAY_MS
from telemetry import ContractViolation, Decoder, PrivacyClass
from telemetry import quantity as entry_of
from telemetry.uplink_contract import unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_agent.admission import Binding

UNKNOWN_CLASS: Final = "unknown"
"""Of a series whose device the configuration does not have any more."""
STATES: Final = ("acknowledged", "waiting", "refused", "forked")
"""What became of a batch: the centre has it, has not spoken of it, will not have it, or knows another of its number."""


class Entry(NamedTuple):
    """A batch of the egress ledger."""

    kind: str
    state: str
    """One of `STATES`."""
    summaries: int
    sealed_ms: int
    length: int | None
    """Of its bytes; None where only their hash is kept."""
    body: bytes | None
    """None as well where the bytes were not asked for."""


@dataclass(slots=True)
class Sum:
    """Of some batches: how many, the summaries and the bytes in them."""

    batches: int = 0
    summaries: int = 0
    bytes: int = 0

    def add(self, entry: Entry) -> None:
        """One batch more."""
        self.batches += 1
        self.summaries += entry.summaries
        self.bytes += entry.length or 0


@dataclass(slots=True)
class Lines:
    """Of one quantity and class: how many summaries, and the bytes of their lines before packing."""

    summaries: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Totals:
    """Of all batches of a time."""

    whole: Sum = field(default_factory=Sum)
    states: dict[str, Sum] = field(default_factory=lambda: {state: Sum() for state in STATES})
    reports: Sum = field(default_factory=Sum)
    """Of the whole, what told of the agent itself."""
    only_hash: Sum = field(default_factory=Sum)
    """Of the whole, batches whose bytes are gone: they have no bytes, quantities or classes here."""
    unreadable: Sum = field(default_factory=Sum)
    """Of the whole, batches whose bytes are not what was sealed."""
    quantities: Counter[str] = field(default_factory=Counter)
    """Summaries by quantity, where the bytes are kept."""
    classes: Counter[str] = field(default_factory=Counter)
    """The same by privacy class, as the configuration in force has it."""
    lines: dict[tuple[str, str], Lines] = field(default_factory=dict)
    """The same by both, quantity first."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON carries it."""
        sums = {"reports": self.reports, "only_hash": self.only_hash, "unreadable": self.unreadable}
        return {
            **_figures(self.whole),
            **{name: _figures(each) for name, each in (self.states | sums).items()},
            "by_quantity": dict(sorted(self.quantities.items())),
            "by_class": dict(sorted(self.classes.items())),
        }


def class_of(bindings: Mapping[str, Binding]) -> Callable[[str, str], str]:
    """Asked with device and quantity: the privacy class by the configuration in force."""

    def ask(device: str, quantity: str) -> str:
        if entry_of(quantity).least_class is PrivacyClass.P2:  # of a room or the campus, and of no device
            return PrivacyClass.P2.value
        binding = bindings.get(device)
        rule = None if binding is None else binding.rules.get(quantity)
        return UNKNOWN_CLASS if rule is None else rule.privacy_class.value

    return ask


def _figures(of: Sum) -> dict[str, int]:
    return {"batches": of.batches, "summaries": of.summaries, "bytes": of.bytes}


@dataclass(frozen=True, slots=True)
class Spent:
    """What people counts cost one person's privacy over some time."""

    slots: int
    rho_nano: int
    """All of it, in thousand-millionths of rho."""
    most_in_a_day_nano: int
    """Of any 24 hours of privacy time."""
    least_sigma_milli: int
    """In thousandths of a person."""

    @classmethod
    def of(cls, charges: Sequence[tuple[int, int, int]]) -> Spent | None:
        """Of charges in their order: privacy time, nano-rho, and sigma in thousandths; None where there are none."""
        if not charges:
            return None
        most = within = first = 0
        for privacy_ms, rho_nano, _ in charges:
            within += rho_nano
            while charges[first][0] <= privacy_ms - DAY_MS:
                within -= charges[first][1]
                first += 1
            most = max(most, within)
        total = sum(rho_nano for _, rho_nano, _ in charges)
        return cls(len(charges), total, most, min(sigma_milli for *_, sigma_milli in charges))


def tally(
    entries: Iterable[Entry], class_of: Callable[[str, str], str], period_of: Callable[[int], str]
) -> dict[str, Totals]:
    """Totals by period, in the order of the entries; `class_of` is asked with device and quantity."""
    found: dict[str, Totals] = {}
    decoder = Decoder()
    for entry in entries:
        _add(found.setdefault(period_of(entry.sealed_ms), Totals()), entry, decoder, class_of)
    return found


def _add(totals: Totals, entry: Entry, decoder: Decoder, class_of: Callable[[str, str], str]) -> None:
    totals.whole.add(entry)
    totals.states[entry.state].add(entry)
    if entry.kind == "report":
        totals.reports.add(entry)
    if entry.length is None:
        totals.only_hash.add(entry)
    if entry.body is None or entry.kind == "report":
        return
    try:
        text = unseal(entry.body)
        series = [summary.series for summary in decoder.decode(text)]
    except ContractViolation:
        totals.unreadable.add(entry)
        return
    totals.quantities.update(each.quantity for each in series)
    for each, line in zip(series, text.splitlines(keepends=True), strict=True):
        name = class_of(each.device, each.quantity)
        totals.classes[name] += 1
        lines = totals.lines.setdefault((each.quantity, name), Lines())
        lines.summaries += 1
        lines.bytes += len(line)


def together(parts: Iterable[Totals]) -> Totals:
    """The sum of several."""
    whole = Totals()
    for part in parts:
        sums = ((whole.whole, part.whole), (whole.reports, part.reports), (whole.only_hash, part.only_hash))
        states = ((whole.states[state], part.states[state]) for state in STATES)
        for into, each in (*sums, (whole.unreadable, part.unreadable), *states):
            into.batches += each.batches
            into.summaries += each.summaries
            into.bytes += each.bytes
        whole.quantities.update(part.quantities)
        whole.classes.update(part.classes)
        for key, lines in part.lines.items():
            sum_of = whole.lines.setdefault(key, Lines())
            sum_of.summaries += lines.summaries
            sum_of.bytes += lines.bytes
    return whole
