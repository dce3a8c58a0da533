"""Whose a topic is: looked up by the topic's own levels, at the same cost however many devices there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge_agent.admission import Binding


class _Shape(NamedTuple):
    """What filters have in common that are looked up alike."""

    levels: int
    """How many they have, without the `#` at the end."""
    open_levels: tuple[int, ...]
    """Which of these are `+`, and so of any name."""
    takes_below: bool
    """Whether `/#` follows."""


class TopicIndex:
    """Devices by what they publish to: one topic, everything below one (`/#`), levels of any name between (`+`)."""

    def __init__(self) -> None:
        self._by_topic: dict[str, Binding] = {}
        self._by_shape: dict[_Shape, dict[str, Binding]] = {}

    def add(self, topic_filter: str, binding: Binding) -> None:
        """Give a device its topics."""
        base = topic_filter.removesuffix("/#")
        levels = base.split("/")
        open_levels = tuple(place for place, level in enumerate(levels) if level == "+")
        if base == topic_filter and not open_levels:
            self._by_topic[base] = binding
            return
        shape = _Shape(len(levels), open_levels, base != topic_filter)
        self._by_shape.setdefault(shape, {})[base] = binding

    def find(self, topic: str) -> Binding | None:
        """The device that a topic belongs to: whose own it is, else the nearest of those whose filters take it in."""
        own = self._by_topic.get(topic)
        if own is not None or not self._by_shape:
            return own
        levels = topic.split("/")
        nearest, rank = None, (0, False)
        for shape, bindings in self._by_shape.items():
            if len(levels) < shape.levels or (len(levels) > shape.levels and not shape.takes_below):
                continue
            wanted = levels[: shape.levels]
            for place in shape.open_levels:
                wanted[place] = "+"
            base = "/".join(wanted)
            if (nearer := (len(base), not shape.takes_below)) > rank and base in bindings:
                nearest, rank = bindings[base], nearer
        return nearest
