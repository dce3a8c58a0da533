"""Was somebody in the empty building last night? The attacker has everything that left the school.

Half of the evenings have a visitor. The exported side goes through the agent itself, with its store, under the strict
policy; what the centre would hold is scored by every feature of `attack`, values and slot counts alike. The raw side is
what the sensors sent: there the attack must succeed, or it proves nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from edge_agent.room import Room
from edge_agent.timing import Timing
from telemetry import Role, decode_all
from telemetry.uplink_contract import REPORT_PATH, unseal
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, Bench, bind, delivered, frame
from tests.privacy.attack import best_auc, standard_error
from tests.privacy.evening import MINUTES, Evening
from tests.privacy.proof import Proof, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edge_agent.admission import Binding

SEED: Final = 20261129
MOST_AUC: Final = 0.60
LEAST_RAW_AUC: Final = 0.95
ROOMS_AT_ONCE: Final = 25
_BEGIN_MS: Final = MONDAY_9 + 8 * HOUR
_TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=3600)
"""A checkpoint changes nothing of what leaves, and so many rooms take long to write down."""
_SMALL: Final = Room(limit_bytes=64 << 20, free_bytes=lambda: 1 << 30)
"""So little that an hour of it is a page of the store."""
_DEVICES: Final = {
    "air": (
        "carbon_dioxide",
        "temperature",
        "humidity",
        "pm25",
        "atmospheric_pressure",
        "volatile_organic_compounds",
        "sound_pressure",
        "illuminance",
    ),
    "pir": ("motion", "battery", "link_quality"),
    "door": ("opening", "battery", "link_quality"),
    "meter": ("power", "energy"),
}
SURE_RAW: Final = ("motion", "opening", "illuminance", "power", "sound_pressure")
"""Which sensors give the visitor away as they are."""

Days = dict[tuple[str, str], list[list[float]]]
"""By device and quantity, of each evening the values of one kind."""


def run(count: int, folder: Path) -> Result:
    """Attack so many evenings, half of them with a visitor; one in twenty pairs also as a whole school of its own."""
    pairs = max(2, count // 2)
    told, raw = lived(pairs, folder, Evening, at_ms=_BEGIN_MS)
    broken, figures = [], []
    for key in sorted(told[0].keys() | told[1].keys()):
        area, feature = best_auc(told[1][key], told[0][key])
        figures.append(f"{key[1]} {area:.2f}")
        if area - 2 * standard_error(MOST_AUC, pairs) > MOST_AUC:
            broken.append(f"{'.'.join(key)} tells of a visitor: AUC {area:.2f} by its {feature}")
    by_raw = {key[1]: best_auc(raw[1][key], raw[0][key])[0] for key in raw[0]}
    broken += [
        f"the attack fails on raw {name}: {by_raw[name]:.2f}" for name in SURE_RAW if by_raw[name] < LEAST_RAW_AUC
    ]
    schools = max(1, pairs // 20)
    for number in range(schools):
        broken += _differences(number, folder)
    sure = ", ".join(f"{name} {area:.2f}" for name, area in sorted(by_raw.items()))
    seen = (
        f"AUC by what left: {', '.join(figures)}, nothing of all else; by the raw series: {sure}; "
        f"reports, sizes and times of {schools} pairs of whole evenings identical"
    )
    return Result(2 * pairs, seen, tuple(broken))


def lived(pairs: int, folder: Path, make: Callable[..., Evening], *, at_ms: int) -> tuple[list[Days], list[Days]]:
    """What left, and what was sent, of so many rooms without and so many with a visitor, from that moment on."""
    told, raw = [Days(), Days()], [Days(), Days()]
    for is_visited in (False, True):
        for first in range(0, pairs, ROOMS_AT_ONCE):
            numbers = range(first, min(first + ROOMS_AT_ONCE, pairs))
            evenings = [make(Random(SEED + number), is_visited=is_visited) for number in numbers]
            _live(evenings, folder / f"{is_visited}-{first}", told[is_visited], raw[is_visited], at_ms=at_ms)
    return told, raw


def _live(evenings: Sequence[Evening], folder: Path, told: Days, raw: Days, *, at_ms: int) -> None:
    """Let the rooms have their hours at once, from that moment on, and sort what left and what was sent by series."""
    bench = Bench(folder, devices=_devices(len(evenings)), timing=_TIMING, at_ms=at_ms)
    rooms = [evening.minutes() for evening in evenings]
    sent: Mapping[tuple[str, str], list[list[float]]] = {
        (device, name): [[] for _ in evenings] for device, names in _DEVICES.items() for name in names
    }
    for _ in range(MINUTES):
        for number, room in enumerate(rooms):
            for each in next(room):
                bench.arrive(f"{each.device}-{number}", frame(*each.rows))
                for name, value in each.rows:
                    sent[each.device, name][number].append(value)
        bench.pass_time(MINUTE)
        bench.settle()
    for _ in range(3):
        bench.pass_time(HOUR)
        bench.settle()
    assert bench.audit().faults == []
    for key, days in sent.items():
        raw.setdefault(key, []).extend(days)
    for key, days in _exported(bench, len(evenings)).items():
        told.setdefault(key, []).extend(days)
    bench.stop()


def _exported(bench: Bench, rooms: int) -> Days:
    """Values, and apart from them how many slots each window had, of every series of which anything left."""
    found: Days = {}
    for summary in decode_all("".join(f"{line}\n" for line in bench.told()).encode()):
        device, _, number = summary.series.device.rpartition("-")
        name = summary.series.quantity
        for kind, value in (("", _main(summary.fields)), (" n", summary.fields.get("n", 0))):
            days = found.setdefault((device, name + kind), [[] for _ in range(rooms)])
            days[int(number)].append(value)
    return found


def _main(fields: Mapping[str, int]) -> int:
    return next(fields[name] for name in ("mean", "delta", "on_permille", "last") if name in fields)


def _differences(number: int, folder: Path) -> list[str]:
    """A school of one room without a series that may be told at night, visited and not: all that goes over the wire."""
    wires = []
    for is_visited in (False, True):
        silent = {"pm25", "atmospheric_pressure"}
        devices = [
            replace(each, rules={name: rule for name, rule in each.rules.items() if name not in silent})
            for each in _devices(1)
        ]
        place = folder / f"school-{number}-{is_visited}"
        bench = Bench(place, devices=devices, seed=number, at_ms=_BEGIN_MS, room=_SMALL)
        wire: list[tuple[int, str, int, object]] = []
        for sent in Evening(Random(SEED + number), is_visited=is_visited).minutes():
            for each in sent:
                bench.arrive(f"{each.device}-0", frame(*(row for row in each.rows if row[0] not in silent)))
                if each.device == "door":
                    _pass_by(bench)
            bench.pass_time(MINUTE)
            bench.settle()
            while bench.sends:
                send = bench.answer(delivered)
                text = unseal(send.body)
                content: object = json.loads(text) if send.path == REPORT_PATH else text
                wire.append((bench.clock.now(), send.path, len(send.body), content))
        bench.stop()
        wires.append(wire)
    if wires[0] == wires[1]:
        return [] if wires[0] else ["nothing went over the wire"]
    differ = next((pair for pair in zip(*wires, strict=False) if pair[0] != pair[1]), "one has more")
    return [f"the wire of evening {number} tells of a visitor: {differ}"]


def _pass_by(bench: Bench) -> None:
    """What else comes in where somebody passes: of a device with no place, unreadable, repeated, late, misdated."""
    now_ms = bench.clock.now()
    bench.arrive("card-reader", frame())
    bench.arrive("pir-0", frame("refuse"), frame(["battery", -1]))
    for is_second in (False, True):
        again = frame(["battery", 80, "", now_ms])
        bench.arrive("pir-0", again, session="reader", packet_id=1, duplicate=is_second)
    bench.arrive("pir-0", frame(["motion", 1, "", now_ms - HOUR]), frame(["motion", 1, "", now_ms + DAY]))


def _devices(rooms: int) -> list[Binding]:
    return [
        bind(f"{device}-{number}", names, role=Role.ROOM_METER if device == "meter" else Role.ROOM_SENSOR)
        for number in range(rooms)
        for device, names in _DEVICES.items()
    ]


PROOFS: Final = [
    Proof(
        name="presence",
        claim_en="whether somebody was in an empty building cannot be told from what left: AUC at most 0.60",
        claim_zh="从离校数据看不出空楼里是否有人：AUC 不超过 0.60",
        short=40,
        long=600,
        run=run,
    )
]
