"""Messages a second by the agent's listener, durable, against the same publishers through Mosquitto."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench._report import Figure, tell
from bench._runs import interleaved, through_mosquitto, to_listener

MESSAGES: Final = 240_000
SHAPES: Final = (1, 8)


def measure() -> list[Figure]:
    """Print and return the figures, one for each number of fields in a message."""
    figures = []
    for fields in SHAPES:
        mine, others = partial(to_listener, MESSAGES, fields), partial(through_mosquitto, MESSAGES, fields)
        name = f"listener, {fields} field{'s' * (fields > 1)} a message"
        figures.append(tell(Figure(name, "Mosquitto to mosquitto_sub", *interleaved(mine, others))))
    return figures
