"""What becomes of each field of a device, and why: the same rules that close windows, told as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.privacy.classes import SWITCHED
from telemetry import PrivacyClass, Summarise
from telemetry.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_agent.admission import Binding
    from edge_agent.privacy.rules import Rule
    from telemetry import Role
    from telemetry.policy import Policy

SHOWS_NOBODY: Final = frozenset({"pm1", "pm25", "pm4", "pm10", "atmospheric_pressure"})
"""Measured in a room, and by the hour no sign of the one person in it."""
_OF_ROOMS: Final = frozenset({PrivacyClass.P1, PrivacyClass.DA})


class Why(enum.StrEnum):
    """What puts a quantity into its class."""

    LEAST = "least"
    """It is of this class wherever it is measured."""
    INDOOR = "indoor"
    """It is measured in a room that people use."""
    SWITCHED = "switched"
    """Its device is switched by people."""


class Fate(enum.StrEnum):
    """What becomes of it."""

    WINDOWS = "windows"
    """It leaves as a summary of each window."""
    EVENTS = "events"
    """It leaves at once, at each change."""
    COUNTED = "counted"
    """It leaves with noise, under a budget."""
    WITHHELD = "withheld"
    """Nothing of it leaves: the policy says so."""
    NEVER = "never"
    """Nothing of it leaves, whatever a policy says."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of quantities that are treated alike."""

    privacy_class: PrivacyClass
    why: Why
    fate: Fate
    span: Span | None
    """How its windows are cut; None where there are none."""
    in_hours_only: bool
    """Whether they are told where they touch timetable hours alone."""
    fields: tuple[str, ...]
    step: float | None
    """To how many of its units its mean is rounded."""


def treatments(rules: Mapping[str, Rule], role: Role, policy: Policy) -> dict[Treatment, list[str]]:
    """Of each way to be treated the quantities of a device, in the order of the vocabulary's classes."""
    found: dict[Treatment, list[str]] = {}
    for name, rule in sorted(rules.items(), key=_rank):
        found.setdefault(treatment(rule, role, policy), []).append(name)
    return found


def told_at_night(bindings: Iterable[Binding]) -> list[str]:
    """Of devices in rooms, the quantities that are told outside timetable hours though they show who is there."""
    found = {
        name
        for binding in bindings
        for name, rule in binding.rules.items()
        if rule.privacy_class in _OF_ROOMS and not (rule.is_withheld or rule.in_hours_only or rule.span is Span.DAY)
    }
    return sorted(found - SHOWS_NOBODY)


def treatment(rule: Rule, role: Role, policy: Policy) -> Treatment:
    """What becomes of one quantity of a device of this role."""
    fate = fate_of(rule, policy)
    has_windows = fate is Fate.WINDOWS
    return Treatment(
        privacy_class=rule.privacy_class,
        why=_why(rule, role),
        fate=fate,
        span=rule.span if has_windows else None,
        in_hours_only=has_windows and rule.in_hours_only,
        fields=rule.told_fields if has_windows else (),
        step=rule.step if has_windows and "mean" in rule.told_fields else None,
    )


def fate_of(rule: Rule, policy: Policy) -> Fate:
    """What becomes of a series under a policy."""
    if rule.quantity.summarise is Summarise.NEVER or rule.privacy_class is PrivacyClass.X:
        return Fate.NEVER
    if rule.privacy_class is PrivacyClass.P2:
        return Fate.WITHHELD if policy.tables.P2.export == "none" else Fate.COUNTED
    return Fate.EVENTS if rule.is_event else Fate.WINDOWS


def _why(rule: Rule, role: Role) -> Why:
    if rule.privacy_class is rule.quantity.least_class:
        return Why.LEAST
    return Why.SWITCHED if role in SWITCHED else Why.INDOOR


def _rank(item: tuple[str, Rule]) -> tuple[int, str]:
    name, rule = item
    return list[PrivacyClass](PrivacyClass).index(rule.privacy_class), name
