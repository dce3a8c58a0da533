"""The label of a room: what is sensed, for what, how coarsely it leaves, to whom, for how long. Pure.

It is made of the policy and the devices that the configuration binds, and of nothing else: so it says what the agent
does, and cannot be older than it. It is an upper bound: a device may measure less than its driver can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.privacy.treatment import Fate, fate_of
from telemetry import FIELDS, PrivacyClass, quantities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_agent.admission import Binding
    from edge_agent.local.words import Words
    from edge_agent.privacy.rules import Rule
    from telemetry import Quantity
    from telemetry.policy import ClassTable, Policy
    from telemetry.spans import Span

WITHHELD: Final = "withheld"
_LETTERS_A_GROUP: Final = 120
"""What a group's heading and ends of lines take up."""
_DENSITIES: Final = ((1200, "airy"), (1700, "dense"), (2100, "denser"), (1 << 62, "densest"))
_COUNTED: Final = frozenset({"n", "expected"})
_PLACE: Final = {entry.id: number for number, entry in enumerate(quantities())}


@dataclass(frozen=True, slots=True)
class Group:
    """What a label says of one privacy class in a room."""

    privacy_class: str
    """One of the classes, or `withheld`."""
    title: str
    sensed: str
    """The quantities' names."""
    coarse: Sequence[str]
    """How coarsely it leaves, one sentence after another."""
    given: str = ""
    """For what, to whom and for how long."""


@dataclass(frozen=True, slots=True)
class Label:
    """A room's label in one language."""

    building: str
    room: str
    quantities: Sequence[str]
    """Ids of all that is sensed, in the vocabulary's order."""
    groups: Sequence[Group]

    @property
    def density(self) -> str:
        """How small its type has to be to get it onto one sheet of A5; a Chinese character is worth two letters."""
        text = "".join(part for each in self.groups for part in (each.title, each.sensed, *each.coarse, each.given))
        letters = sum(1 if letter.isascii() else 2 for letter in text) + _LETTERS_A_GROUP * len(self.groups)
        return next(density for most, density in _DENSITIES if letters <= most)


def label_of(bindings: Iterable[Binding], building: str, room: str, policy: Policy, words: Words) -> Label:
    """The label of a room whose devices are bound like this."""
    found: dict[tuple[str, str], Rule] = {}
    for binding in bindings:
        for name, rule in binding.rules.items():
            found[_group(rule, policy), name] = rule
    groups: dict[str, list[Rule]] = {group: [] for group in (*map(str, PrivacyClass), WITHHELD)}
    for (group, _), rule in sorted(found.items(), key=lambda item: _PLACE[item[0][1]]):
        groups[group].append(rule)
    return Label(
        building,
        room,
        sorted({name for _, name in found}, key=_PLACE.__getitem__),
        [_said(group, rules, policy, words) for group, rules in groups.items() if rules],
    )


def coarseness(rule: Rule, policy: Policy, words: Words) -> str:
    """How coarsely one series leaves, in a sentence without its stop."""
    if fate_of(rule, policy) is not Fate.WINDOWS:
        return _told_otherwise(rule, policy, words)
    return words.joined([_by_windows([rule], words), *_steps([rule], words)])


def _group(rule: Rule, policy: Policy) -> str:
    return WITHHELD if fate_of(rule, policy) in (Fate.WITHHELD, Fate.NEVER) else rule.privacy_class.value


def _said(group: str, rules: Sequence[Rule], policy: Policy, words: Words) -> Group:
    title, sensed = words(f"class.{group}"), _names((rule.quantity for rule in rules), words)
    table = policy.table(rules[0].privacy_class)
    if group == WITHHELD or table is None:
        return Group(group, title, sensed, [_told_otherwise(rules[0], policy, words)])
    is_by_windows = fate_of(rules[0], policy) is Fate.WINDOWS
    return Group(
        group,
        title,
        sensed,
        _told_by_windows(rules, words) if is_by_windows else [_told_otherwise(rules[0], policy, words)],
        given(table, words),
    )


def given(table: ClassTable, words: Words) -> str:
    """For what a class is collected, to whom it goes, and for how long it is kept."""
    recipients = words.joined([words(f"recipient.{each}") for each in table.recipients] or [words("recipient.none")])
    purpose = table.purpose.text(words.language)
    return words("label.given", purpose=purpose, recipients=recipients, days=table.retention_days)


def _told_otherwise(rule: Rule, policy: Policy, words: Words) -> str:
    fate = fate_of(rule, policy)
    if fate is Fate.COUNTED:
        return words(f"label.count.{policy.tables.P2.export}")
    return words("label.at_once" if fate is Fate.EVENTS else "label.withheld")


def _told_by_windows(rules: Sequence[Rule], words: Words) -> list[str]:
    """A sentence for all with the same windows, the commonest first without naming its quantities; then the steps."""
    alike: dict[tuple[Span, bool], list[Rule]] = {}
    for rule in rules:
        alike.setdefault((rule.span, rule.in_hours_only), []).append(rule)
    commonest, *others = sorted(alike.values(), key=len, reverse=True)
    sentences = [_by_windows(commonest, words)]
    for group in others:
        names = _names((rule.quantity for rule in group), words)
        sentences.append(words("label.coarse.of", quantities=names, rest=_by_windows(group, words)))
    return [*sentences, *_steps(rules, words)]


def _by_windows(rules: Sequence[Rule], words: Words) -> str:
    """How rules with the same windows are told."""
    told = {name for rule in rules for name in rule.told_fields} - _COUNTED
    span = f"span.{rules[0].span}.hours" if rules[0].in_hours_only else f"span.{rules[0].span}"
    fields = words.joined([words(f"field.{name}") for name in FIELDS if name in told])
    return words("label.coarse.fields", span=words(span), fields=fields)


def _steps(rules: Sequence[Rule], words: Words) -> list[str]:
    told = [
        words(
            "label.step",
            quantity=rule.quantity.label(words.language),
            step=f"{rule.step:g} {rule.quantity.symbol}".strip(),
        )
        for rule in rules
        if rule.step is not None and "mean" in rule.told_fields
    ]
    if any(rule.privacy_class is PrivacyClass.DB and rule.quantity.unit == "h" for rule in rules):
        told.append(words("label.halfhour"))
    return told


def _names(entries: Iterable[Quantity], words: Words) -> str:
    return words.joined([entry.label(words.language) for entry in entries])
