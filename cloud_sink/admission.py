"""What the centre takes of what the decoder understood: aligned windows that are no finer than their quantity may be
told, from the agent that owns the device."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from telemetry import ContractViolation, PrivacyClass, Summarise, quantity
from telemetry.floors import LEAST_ERROR95, window_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from telemetry import Summary

DAY_S: Final = 86_400
_LARGEST: Final[Mapping[str, int]] = {"on_permille": 1000}


class OutsideContract(ContractViolation):
    """A well-formed line that this centre does not admit; `line` counts from 1."""

    code = "outside_contract"

    def __init__(self, what: str, *, line: int) -> None:
        super().__init__(what, where=f"line {line}")
        self.line = line


class NotThisSchool(OutsideContract):
    """A line of a school for which the agent may not speak."""

    code = "not_this_school"


class Admission:
    """Checks batches against the contract, and remembers which agent owns which device."""

    def __init__(self, timezone: ZoneInfo, owners: Mapping[tuple[str, str], str]) -> None:
        """`owners` gives the agent of each (school, device) that is known."""
        self._timezone = timezone
        self._owners = dict(owners)

    def admit(self, agent: str, school: str, summaries: Sequence[Summary]) -> set[tuple[str, str]]:
        """Check every line, then claim the devices nobody owned; returns those.

        Raises `NotThisSchool`, `OutsideContract` for the first line at fault, and then claims nothing.
        """
        new: set[tuple[str, str]] = set()
        for line, summary in enumerate(summaries, start=1):
            if summary.series.school != school:
                raise NotThisSchool(f"agent {agent!r} may not write for school {summary.series.school!r}", line=line)
            device = (school, summary.series.device)
            owner = self._owners.get(device)
            if owner is None:
                new.add(device)
            elif owner != agent:
                raise OutsideContract(_foreign(summary, owner), line=line)
            if fault := self._fault(summary):
                raise OutsideContract(fault, line=line)
        self._owners.update(dict.fromkeys(new, agent))
        return new

    def release(self, devices: Iterable[tuple[str, str]]) -> None:
        """Take back the claims of a batch that was not stored in the end."""
        for device in devices:
            self._owners.pop(device, None)

    def _fault(self, summary: Summary) -> str | None:
        entry = quantity(summary.series.quantity)
        if fault := window_fault(entry, summary.series.window_s):
            return fault
        # An event has no window to be aligned to: it is stamped with its own moment.
        if entry.summarise is not Summarise.EVENT and not self._is_aligned(summary):
            return f"a window of {summary.series.window_s} s does not begin at {summary.start_ms}"
        return _number_fault(summary, len(entry.states))

    def _is_aligned(self, summary: Summary) -> bool:
        """Whether its window begins where one of its length does; a day, at midnight of standard time."""
        if summary.series.window_s != DAY_S:
            return summary.start_ms % (summary.series.window_s * 1000) == 0
        local = datetime.fromtimestamp(summary.start_ms / 1000, UTC).astimezone(self._timezone)
        standard = local.replace(tzinfo=None) - (local.dst() or timedelta())
        return standard.time() == time.min


def _foreign(summary: Summary, owner: str) -> str:
    """Why a device of another agent's is refused.

    Counts of people are charged by each agent for itself: two that tell them for one campus would cost a person double.
    """
    if quantity(summary.series.quantity).least_class is PrivacyClass.P2:
        place = summary.series.device
        return f"people counts of {place!r} are told by agent {owner!r}: one agent of a school may tell them"
    return f"device {summary.series.device!r} belongs to another agent"


def _number_fault(summary: Summary, states: int) -> str | None:
    fields = summary.fields
    for name in ("n", "expected", "on_permille"):
        if not 0 <= fields.get(name, 0) <= _LARGEST.get(name, DAY_S * 1000):
            return f"field {name!r} is out of range: {fields[name]}"
    if fields.get("n", 0) > fields.get("expected", DAY_S * 1000):
        return f"n is {fields['n']} of {fields['expected']} expected"
    if fields.get("error95", LEAST_ERROR95) < LEAST_ERROR95:
        return f"error95 is {fields['error95']}: a count of people without noise is not taken"
    for name in ("last", "max") if states else ():
        if not 0 <= fields.get(name, 0) < states:
            return f"state {fields[name]} of {summary.series.quantity} does not exist"
    return None
