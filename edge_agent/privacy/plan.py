"""What a policy's [P2] comes to in one school: which counts are told, with how much noise, at what cost. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.privacy.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.admission import Binding
    from edge_agent.timetable import Timetable
    from telemetry.policy import CountsTable


@dataclass(frozen=True, slots=True)
class CountsPlan:
    """How counts are told."""

    budget: Budget
    by_room: bool
    bands: tuple[int, ...]
    rooms_per_slot: int
    statistics: int
    """How many quantities of people are told of the campus, or, of all rooms, of the one with the most."""

    def band(self, noisy: int) -> int:
        """Which band the noisy value falls into, from 0."""
        return sum(noisy >= bound for bound in self.bands)


def plan_counts(table: CountsTable, bindings: Iterable[Binding], timetable: Timetable) -> CountsPlan | None:
    """The plan; None where nothing of people is told."""
    found: dict[str, set[str]] = defaultdict(set)
    by_room = table.export == "room"
    for binding in bindings:
        names = {name for name, rule in binding.rules.items() if rule.is_counted}
        if names:
            found[binding.room if by_room else ""] |= names
    if not found:
        return None
    statistics, rooms = max(map(len, found.values())), table.rooms_per_slot
    # A person moves the means of so many rooms by at most 1 each. Those of one campus are one number, their sum.
    weight = statistics * (rooms if by_room else rooms**2)
    slots = max(1, timetable.most_hours())
    budget = Budget.derive(rho_milli=table.rho_milli, slots=slots, weight=weight)
    return CountsPlan(budget, by_room, table.bands, rooms, statistics)
