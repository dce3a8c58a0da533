"""Sparkplug B 3.0: births teach what a node and its devices measure, data bring changes, deaths say that one is gone.

Source: Eclipse Sparkplug Specification 3.0.0, chapters 4 (topics) and 6 (payloads), and 5.4 and 6.4.7 on sequence and
birth/death numbers. Topics: `spBv1.0/<group>/<type>/<node>[/<device>]`. Aliases hold within the birth that gave them:
those of a node and of each of its devices are kept apart, since nodes are known that give one twice.

A node is to be asked for a rebirth where its data come without a birth, name what no birth named, or have a gap
(chapter 5, "Commands" and "Sparkplug Host Application Message Ordering"). A gap is told as dropped too, and what was
learned stands until the next birth. Gaps are those of a node whose own birth came on the topics of this device: where
one of its devices is bound by itself, the messages of the others are not missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from device_drivers.contract import Decoded, FrameRefused, Measurement, Request
from device_drivers.json_table import tellable
from device_drivers.manifest import load
from device_drivers.named_values import NamedValues
from device_drivers.sparkplug_b.payload import Metric, Payload, read, rebirth, signed
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from device_drivers.contract import Frame, Settings
    from device_drivers.json_table import Column

MOST_DEVICES: Final = 64
_NAMESPACE: Final = "spBv1.0"
_BIRTHS, _DATA, _DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
_BIRTH_DEATH: Final = "bdSeq"
_CONTROL: Final = ("node control/", "device control/", "properties/", "node info/", "device info/")
"""Metrics that command a node or tell of its make."""
_UNBORN: Final = "unborn"
"""What is told as dropped of a metric that no birth named."""
_DOUBTFUL: Final = "quality"
"""The same of a metric whose own quality is bad or stale."""
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


def create(settings: Settings) -> SparkplugB:
    """The driver for one node or device. Raises `ConfigurationError`."""
    may_ask = settings.options.get("rebirth", True)
    if not isinstance(may_ask, bool):
        raise ConfigurationError(
            f"rebirth is {may_ask!r}, and neither true nor false",
            fix="write `rebirth = false` where another host alone may ask nodes for a rebirth; else leave it out",
        )
    return SparkplugB(_table(), may_ask=may_ask)


@cache
def _table() -> NamedValues:
    """The words of `driver.toml`, the same for every node."""
    return NamedValues(load(Path(__file__).parent).field)


class SparkplugB:
    """Learns what one node's metrics are, and reads them."""

    def __init__(self, table: NamedValues, *, may_ask: bool = True) -> None:
        """`may_ask` says whether a node may be asked for a rebirth."""
        self._table = table
        self._may_ask = may_ask
        self._unborn: dict[str, str] = {}
        """The topic of what could not be read for want of a birth, by the node or device that has to be born."""
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
        if gap:
            self._want(node, frame.topic)
        if kind in _BIRTHS:
            self._birth(kind, node, place, payload)
        known = self._learned.get(place)
        if known is None:
            self._want(place, frame.topic)
            raise FrameRefused("not_learned", "no birth has said what these metrics are")
        measurements: list[Measurement] = []
        dropped = list(gap)
        for metric in payload.metrics:
            self._read(metric, known, payload, measurements, dropped)
        if _UNBORN in dropped:
            self._want(place, frame.topic)
        if kind in _BIRTHS:
            measurements += self._connectivity(place, 1, payload)
        return Decoded.of(_latest(measurements), tuple(dropped))

    def requests(self, now_ms: int) -> Sequence[Request]:
        """A rebirth request for each node that owes a birth."""
        payload = rebirth(now_ms)
        heard = {"/".join(place.split("/")[:2]): topic for place, topic in self._unborn.items()}
        return [
            Request(f"{_NAMESPACE}/{group}/NCMD/{name}", payload, topic)
            for (group, name), topic in ((node.split("/"), topic) for node, topic in heard.items())
        ]

    def _want(self, place: str, topic: str) -> None:
        """A node or device has to be born before it can be read, or read without doubt."""
        if self._may_ask and len(self._unborn) < MOST_DEVICES:
            self._unborn[place] = topic

    def _birth(self, kind: str, node: str, place: str, payload: Payload) -> None:
        if kind == "NBIRTH":  # its devices are born again behind it
            self._forget(node)
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
        self._unborn.pop(place, None)

    def _forget(self, node: str) -> None:
        """Forget what a node and its devices said, and what they owe."""
        for known in (self._learned, self._unborn):
            for place in [place for place in known if place == node or place.startswith(f"{node}/")]:
                del known[place]

    def _death(self, kind: str, node: str, place: str, payload: Payload) -> Decoded:
        """A node that died before its last birth is alive: its will was only late."""
        if kind == "NDEATH":
            number, born = _birth_death(payload), self._births.pop(node, None)
            if None not in (number, born) and number != born:
                self._births[node] = born
                return Decoded((), ("late death",))
            self._next.pop(node, None)
            self._forget(node)
        self._learned.pop(place, None)
        self._unborn.pop(place, None)
        return Decoded.of(self._connectivity(place, 0, payload))

    def _gap(self, kind: str, node: str, payload: Payload) -> tuple[str, ...]:
        """Whether messages of the node are missing in front of this one."""
        seq = payload.seq
        if seq is None:
            return ()
        due = self._next.get(node)
        if len(self._next) < MOST_DEVICES or node in self._next:
            self._next[node] = (seq + 1) % _SEQUENCE
        is_whole = kind != "NBIRTH" and node in self._births
        return ("sequence gap",) if is_whole and due is not None and seq != due else ()

    def _read(
        self, metric: Metric, known: _Learned, payload: Payload, into: list[Measurement], dropped: list[str]
    ) -> None:
        """Append what a metric measured, or its name to what is dropped."""
        alias = metric.alias
        found = known.by_name.get(metric.name) if alias is None or metric.name else known.by_alias.get(alias)
        if found is None:
            dropped.append(_UNBORN)
            return
        if found.name == _BIRTH_DEATH or found.name.lower().startswith(_CONTROL) or metric.is_null:
            return
        if not metric.is_good:
            dropped.append(_DOUBTFUL)
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
