"""Messages a second by the agent as a subscriber, durable, against mosquitto_sub on the same Mosquitto."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench._report import Figure, tell
from bench._runs import interleaved, subscribed, through_mosquitto

MESSAGES: Final = 160_000
SHAPES: Final = (1, 8)


def measure() -> list[Figure]:
    """Print and return the figures, one for each number of fields in a message."""
    figures = []
    for fields in SHAPES:
        mine, others = partial(subscribed, MESSAGES, fields), partial(through_mosquitto, MESSAGES, fields)
        name = f"subscriber, {fields} field{'s' * (fields > 1)} a message"
        figures.append(tell(Figure(name, "mosquitto_sub", *interleaved(mine, others))))
    return figures
