"""Topic names and topic filters, as OASIS MQTT 3.1.1 and 5.0 section 4.7 have them."""

from __future__ import annotations


def is_topic_name(topic: str) -> bool:
    """Whether a message may be published there: not empty [MQTT-4.7.3-1], no wildcard [MQTT-3.3.2-2], no NUL."""
    return bool(topic) and not any(character in topic for character in "+#\0")


def is_topic_filter(topic_filter: str) -> bool:
    """Whether `+` stands for whole levels [MQTT-4.7.1-2] and `#` for the last one only [MQTT-4.7.1-1]."""
    if not topic_filter or "\0" in topic_filter:
        return False
    *above, last = topic_filter.split("/")
    return all("#" not in level for level in above) and all(
        level in ("+", "#") or not ("+" in level or "#" in level) for level in (*above, last)
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a valid filter takes in a topic name; `a/#` takes in `a`, a leading wildcard never a `$` topic."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))


def covers(topic_filter: str, narrower: str) -> bool:
    """Whether every topic that `narrower` takes in is taken in by `topic_filter`."""
    if narrower.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), narrower.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        if levels[-1] == "#":
            levels.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        level != "#" and want in ("+", level) for want, level in zip(wanted, levels, strict=True)
    )


def overlap(one: str, other: str) -> bool:
    """Whether some topic is taken in by both of two valid filters."""
    if (one[0] == "$") != (other[0] == "$"):
        return False
    left, right = one.split("/"), other.split("/")
    for mine, theirs in zip(left, right, strict=False):
        if "#" in (mine, theirs):
            return True
        if mine != theirs and "+" not in (mine, theirs):
            return False
    rest = left[len(right) :] or right[len(left) :]
    return rest in ([], ["#"])
