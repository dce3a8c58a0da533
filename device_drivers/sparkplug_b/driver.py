"""Sparkplug B 3.0: births teach what a node and its devices measure, data bring changes, deaths say that one is gone.

Source: Eclipse Sparkplug Specification 3.0.0, chapters 4 (topics) and 6 (payloads), and 5.4 and 6.4.7 on sequence and
birth/death numbers. Topics: `spBv1.0/<group>/<type>/<node>[/<device>]`. Aliases hold within the birth that gave them:
those of a node and of each of its devices are kept apart, since nodes are known that give one twice.

The agent commands nothing: a node whose messages have a gap is not asked for a rebirth. The gap is told as dropped, and
what was learned stands until the next birth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.json_table import tellable
from device_drivers.manifest import load
from device_drivers.named_values import NamedValues
from device_drivers.sparkplug_b.payload import Metric, Payload, read, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device_drivers.contract import Frame, Settings
    from device_drivers.json_table import Column

MOST_DEVICES: Final = 64
_NAMESPACE: Final = "spBv1.0"
_BIRTHS, _DATA, _DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
_BIRTH_DEATH: Final = "bdSeq"
_CONTROL: Final = ("node control/", "device control/", "properties/", "node info/", "device info/")
"""Metrics that command a node or tell of its make."""
_SEQUENCE: Final = 256
_LATEST_MS: Final = 10**14


class _Known(NamedTuple):
    """What a birth said of one metric."""

    name: str
    path: str
    """Its name behind that of its device, if it is a device's."""
    datatype: int
    unit: str


@dataclass(slots=True)
class _Learned:
    """What the last birth of a node or a device said."""

    by_alias: dict[int, _Known]
    by_name: dict[str, _Known]


def create(settings: Settings) -> SparkplugB:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one node or device."""
    return SparkplugB(_table())


@cache
def _table() -> NamedValues:
    """The words of `driver.toml`, the same for every node."""
    return NamedValues(load(Path(__file__).parent).field)


class SparkplugB:
    """Learns what one node's metrics are, and reads them."""

    def __init__(self, table: NamedValues) -> None:
        self._table = table
        self._learned: dict[str, _Learned] = {}
        """By node and device, as the topic names them."""
        self._next: dict[str, int] = {}
        """The sequence number that is due, by node."""
        self._births: dict[str, int | None] = {}
        """The birth/death number of the last birth, by node."""
        self._taken: dict[tuple[str, str], str] = {}
        """Which metric is told as a quantity on a channel: of two that could be, the one that came first."""

    def decode(self, frame: Frame) -> Decoded:
        """Learn from a birth, or read data by what was learned. Raises `FrameRefused`."""
        kind, node, place = _topic(frame.topic)
        payload = read(frame.payload)
        if kind in _DEATHS:
            return self._death(kind, node, place, payload)
        gap = self._gap(kind, node, payload)
        if kind in _BIRTHS:
            self._birth(kind, node, place, payload)
        known = self._learned.get(place)
        if known is None:
            raise FrameRefused("not_learned", "no birth has said what these metrics are")
        measurements: list[Measurement] = []
        dropped = list(gap)
        for metric in payload.metrics:
            self._read(metric, known, payload, measurements, dropped)
        if kind in _BIRTHS:
            measurements += self._connectivity(place, 1, payload)
        return Decoded.of(_latest(measurements), tuple(dropped))

    def _birth(self, kind: str, node: str, place: str, payload: Payload) -> None:
        if kind == "NBIRTH":  # its devices are born again behind it
            for other in [other for other in self._learned if other == node or other.startswith(f"{node}/")]:
                del self._learned[other]
        if place not in self._learned and len(self._learned) >= MOST_DEVICES:
            raise FrameRefused("too_many", f"more than {MOST_DEVICES} devices on the topics of one")
        if kind == "NBIRTH":
            self._births[node] = _birth_death(payload)
        self._taken = {told: path for told, path in self._taken.items() if not path.startswith(f"{place}/")}
        learned = _Learned({}, {})
        for metric in payload.metrics:
            if metric.name:
                known = _Known(metric.name, f"{place}/{metric.name}", metric.datatype, metric.unit)
                learned.by_name[metric.name] = known
                if metric.alias is not None:
                    learned.by_alias[metric.alias] = known
        self._learned[place] = learned

    def _death(self, kind: str, node: str, place: str, payload: Payload) -> Decoded:
        """A node that died before its last birth is alive: its will was only late."""
        if kind == "NDEATH":
            number, born = _birth_death(payload), self._births.pop(node, None)
            if None not in (number, born) and number != born:
                self._births[node] = born
                return Decoded((), ("late death",))
            self._next.pop(node, None)
            for other in [other for other in self._learned if other.startswith(f"{node}/")]:
                del self._learned[other]
        self._learned.pop(place, None)
        return Decoded.of(self._connectivity(place, 0, payload))

    def _gap(self, kind: str, node: str, payload: Payload) -> tuple[str, ...]:
        """Whether messages of the node are missing in front of this one."""
        seq = payload.seq
        if seq is None:
            return ()
        due = self._next.get(node)
        if len(self._next) < MOST_DEVICES or node in self._next:
            self._next[node] = (seq + 1) % _SEQUENCE
        return ("sequence gap",) if kind != "NBIRTH" and due is not None and seq != due else ()

    def _read(
        self, metric: Metric, known: _Learned, payload: Payload, into: list[Measurement], dropped: list[str]
    ) -> None:
        """Append what a metric measured, or its name to what is dropped."""
        alias = metric.alias
        found = known.by_name.get(metric.name) if alias is None or metric.name else known.by_alias.get(alias)
        if found is None:
            dropped.append("unborn")
            return
        if found.name == _BIRTH_DEATH or found.name.lower().startswith(_CONTROL) or metric.is_null:
            return
        column = self._table.find(found.path, found.unit)
        if metric.is_historical or column is None or not self._is_its_own(found, column):
            dropped.append("historical" if metric.is_historical else tellable(found.name.rpartition("/")[2]))
            return
        number = column.number(signed(metric, metric.datatype or found.datatype))
        if number is None:
            dropped.append(tellable(found.name.rpartition("/")[2]))
            return
        moment = _moment(metric.time_ms if metric.time_ms is not None else payload.time_ms)
        into.append(Measurement(column.quantity, number, column.channel, moment))

    def _is_its_own(self, found: _Known, column: Column) -> bool:
        """Whether no other metric is told as the same quantity, on the same channel."""
        return self._taken.setdefault((column.quantity, column.channel), found.path) == found.path

    def _connectivity(self, place: str, is_there: int, payload: Payload) -> tuple[Measurement, ...]:
        """Whether the node is there; of a node and its devices on the topics of one, the first alone is told of."""
        if self._taken.setdefault(("connectivity", ""), f"{place}/") != f"{place}/":
            return ()
        return (Measurement("connectivity", is_there, "", _moment(payload.time_ms)),)


def _birth_death(payload: Payload) -> int | None:
    """The number that a birth and its death share, if the payload has it."""
    numbers = (metric.value for metric in payload.metrics if metric.name == _BIRTH_DEATH)
    return next((value for value in numbers if isinstance(value, int)), None)


def _topic(topic: str) -> tuple[str, str, str]:
    """Type, node and place of a message. Raises `FrameRefused`."""
    namespace, *parts = topic.split("/")
    if namespace != _NAMESPACE or not 3 <= len(parts) <= 4:
        raise FrameRefused("topic", "the topic is none of Sparkplug B's")
    group, kind, *rest = parts
    if kind not in _BIRTHS + _DATA + _DEATHS:
        raise FrameRefused("not_a_device_frame", "neither a birth, nor data, nor a death")
    if (kind[0] == "D") != (len(rest) == 2):
        raise FrameRefused("topic", "a device's message has a device in its topic, and a node's has none")
    node = f"{group}/{rest[0]}"
    return kind, node, "/".join((group, *rest))


def _moment(time_ms: int | None) -> int | None:
    return time_ms if time_ms is not None and 0 < time_ms < _LATEST_MS else None


def _latest(measurements: list[Measurement]) -> Iterator[Measurement]:
    """Of metrics that measure the same at one moment, the last."""
    yield from {(m.quantity, m.channel, m.event_ms): m for m in measurements}.values()
