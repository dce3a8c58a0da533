"""Checks of `decode`, on recorded frames and on what may become of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from device_drivers.conformance.conversation import meaning
from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.line_checks import cut_answers
from device_drivers.conformance.recorded import outcome
from device_drivers.conformance.stream_checks import resumed
from device_drivers.contract import AskingDriver, Decoded, Frame, FrameRefused
from device_drivers.field_rows import Transport
from device_drivers.requests import is_allowed
from device_drivers.tables.registers import RegistersFormat
from telemetry import PrivacyClass, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from device_drivers.cases import Prepared
    from device_drivers.conformance.subject import Subject
    from device_drivers.contract import Driver, Measurement

T = TypeVar("T")

GARBAGE: Final = 1_000
LONGEST_GARBAGE: Final = 300
MOST_FLIPS: Final = 2_000
MOST_CUT: Final = 30
"""Frames of which what is left is looked at."""
CUTS: Final = 50
"""Of each of them, at most or little more."""
MOST_PARTS: Final = 200
MOST_PLANTED: Final = 20
_NOISY: Final = 50
"""Frames of a stream with noise between them."""
_SEED: Final = 20_260_301
_NOW_MS: Final = 1_772_323_200_000
_OPENINGS: Final = (b"{", b'{"', b"[", b"\x00", b"\xff", b"\r\n")
PLANTED: Final = "张伟 Zhang Wei 13800138000"
PLANTED_KEYS: Final = (
    "name", "user", "student", "student_no", "card", "uid", "mac", "phone", "face_id", "voice", "text",
)  # fmt: skip
PLANTED_NUMBER: Final = 13_800_138_000


def with_payload(frame: Frame, payload: bytes) -> Frame:
    """The same frame, saying something else."""
    return Frame(payload, frame.topic, frame.request, frame.port)


def garbage(subject: Subject) -> str:
    """Random bytes, alone and behind what frames begin with, are decoded or refused."""
    chance = random.Random(_SEED)  # noqa: S311 - the same bytes in every run
    recordings = subject.recordings
    for number in range(GARBAGE):
        recording = recordings[number % len(recordings)]
        noise = chance.randbytes(chance.randrange(LONGEST_GARBAGE))
        beginning = (b"", chance.choice(_OPENINGS), recording.frame.payload[: chance.randrange(12)])[number % 3]
        outcome(subject.driver(recording), with_payload(recording.frame, beginning + noise))
    for recording in sample_of(recordings, MOST_PLANTED):
        outcome(subject.driver(recording), Frame(b""))
    if subject.has("stream"):
        _noise_before_frames(subject, chance)
    return f"{GARBAGE} frames"


def _noise_before_frames(subject: Subject, chance: random.Random) -> None:
    settings, recordings = subject.stream()
    own = {meaning(subject.driver(each), each.frame) for each in recordings}
    driver = subject.stream_driver(settings)
    buffer = bytearray()
    read = 0
    for number in range(_NOISY):
        buffer += chance.randbytes(chance.randrange(40)) + recordings[number % len(recordings)].frame.payload
        for frame in driver.split(buffer):
            read += meaning(driver, frame) in own
        if len(buffer) > 4 * LONGEST_GARBAGE:
            raise CheckFailed(f"split leaves {len(buffer)} bytes that can belong to no frame")
    if not read:
        raise CheckFailed(f"of {_NOISY} frames with noise between them split finds none")


def truncation(subject: Subject) -> str:
    """What is left of a frame says nothing that the whole one did not."""
    if subject.has("stream"):
        return f"{resumed(subject)} places"
    if subject.has("poll"):
        return cut_answers(subject)
    tried = 0
    for recording in sample_of(subject.understood, MOST_CUT):
        payload = recording.frame.payload
        driver = subject.driver(recording)
        whole = _values(driver, recording.frame)
        for end in range(0, len(payload), max(1, len(payload) // CUTS)):
            tried += 1
            rest = _values(driver, with_payload(recording.frame, payload[:end]))
            if rest - whole and not _is_a_word(payload):
                raise CheckFailed(f"of the first {end} of {len(payload)} bytes it reads what the whole does not say")
    return f"{tried} prefixes"


def _values(driver: Driver, frame: Frame) -> set[tuple[str, float, str]]:
    """What a frame says, whenever it was."""
    return {measurement[:3] for measurement in _measured(driver, frame)}


def _is_a_word(payload: bytes) -> bool:
    """Whether a message is one bare value: of `21.5`, `21` is as good a message, and nobody can tell."""
    return not any(byte in payload for byte in b"{[") and payload.isascii() and payload.decode().isprintable()


def bit_flips(subject: Subject) -> str:
    """Frames with one bit turned; where the format has a check sum each of them is refused, or says the same."""
    flips = [(recording, bit) for recording in subject.understood for bit in range(8 * len(recording.frame.payload))]
    flips = sample_of(flips, MOST_FLIPS)
    refused = 0
    taken: list[tuple[Prepared, Decoded]] = []
    summed = {repr(each.settings) for each in subject.understood if _states_check_sum(subject, each)}
    for recording, bit in flips:
        driver = subject.driver(recording)
        changed = bytearray(recording.frame.payload)
        changed[bit // 8] ^= 1 << bit % 8
        found = outcome(driver, with_payload(recording.frame, bytes(changed)))
        if isinstance(found, FrameRefused):
            refused += 1
            if found.reason == "checksum":
                summed.add(repr(recording.settings))
        elif recording.frame.payload[:1] != b"{":
            taken.append((recording, found))
    unseen = Counter(_says_otherwise(subject, taken)) if summed else Counter[str]()
    if missed := sum(unseen[settings] for settings in summed):
        raise CheckFailed(f"{missed} of {len(flips)} flipped bits go unseen, though there is a check sum")
    seen = "all seen" if summed and not unseen else f"{100 * refused // len(flips)} % refused"
    return f"{len(flips)} bits, {seen}" + ("" if summed else ", no check sum")


def _says_otherwise(subject: Subject, taken: list[tuple[Prepared, Decoded]]) -> Iterator[str]:
    """The settings of every recording of which something else was read than of the whole frame."""
    for recording, found in taken:
        if frozenset(found.measurements) != meaning(subject.driver(recording), recording.frame):
            yield repr(recording.settings)


def _states_check_sum(subject: Subject, recording: Prepared) -> bool:
    table = subject.entry.manifest.format
    if isinstance(table, RegistersFormat):
        return recording.settings.options.get("crc", True) is True
    return getattr(table, "checksum", None) is not None


def pure(subject: Subject) -> str:
    """Every recorded frame, and what is left of it, means the same to a new driver and to one that has heard others."""
    heard = [(each, frame) for each in subject.recordings for frame in (each.frame, *_parts(each.frame))]
    heard = sample_of(heard, MOST_PARTS)
    alone = [_comparable(outcome(recording.driver(), frame)) for recording, frame in heard]
    for index in (*range(len(heard)), *reversed(range(len(heard)))):
        recording, frame = heard[index]
        if _comparable(outcome(subject.driver(recording), frame)) != alone[index]:
            raise CheckFailed("a frame means something else after others")
    return f"{len(heard)} frames, there and back"


def _parts(frame: Frame) -> Iterator[Frame]:
    """The frame without a part of it."""
    try:
        document = json.loads(frame.payload)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        yield with_payload(frame, frame.payload[:-1])
        return
    for key in document:
        yield with_payload(frame, json.dumps({other: document[other] for other in document if other != key}).encode())


def _comparable(found: Decoded | FrameRefused) -> object:
    return found.reason if isinstance(found, FrameRefused) else (found.measurements, found.dropped)


def personal(subject: Subject) -> str:
    """No field's class is X, and what is planted in frames stands nowhere in what comes out."""
    manifest = subject.entry.manifest
    for name in sorted(manifest.quantities):
        if quantity(name).least_class is PrivacyClass.X:
            raise CheckFailed(f"{name} is personal")
    planted = 0
    for recording in sample_of(subject.understood, MOST_PLANTED):
        driver = subject.driver(recording)
        known = {measured[:2] for measured in _measured(driver, recording.frame)}
        for frame in _planted(recording.frame, is_line=subject.transport is Transport.EXEC):
            planted += 1
            found = outcome(driver, frame)
            told = str(found) if isinstance(found, FrameRefused) else repr((found.measurements, found.dropped))
            if any(part in told for part in (*PLANTED.split(), str(PLANTED_NUMBER))):
                raise CheckFailed("a name that stands in a frame comes out of it")
            more = {measured[:2] for measured in _measured(driver, frame)} - known
            if more and frame.payload[:1] == b"{":  # in other bytes whatever is planted may be a number
                raise CheckFailed(f"a planted field is read as {min(more)[0]}")
    refused = _refuses_its_words(subject)
    return f"{planted} frames" + (f", {refused} words refused" if refused else "")


def _measured(driver: Driver, frame: Frame) -> tuple[Measurement, ...]:
    found = outcome(driver, frame)
    return found.measurements if isinstance(found, Decoded) else ()


def _planted(frame: Frame, *, is_line: bool) -> Iterator[Frame]:
    """The frame with a name in each place that may hold one.

    In the line of a program, `channel` is the driver's own word, which admission holds to those that are declared.
    """
    text = PLANTED.encode()
    yield with_payload(frame, frame.payload + text)
    if frame.topic:
        yield Frame(frame.payload, f"{frame.topic.rpartition('/')[0]}/{PLANTED}", frame.request, frame.port)
    try:
        document = json.loads(frame.payload)
    except ValueError:
        half = len(frame.payload) // 2
        yield with_payload(frame, frame.payload[:half] + text + frame.payload[half + len(text) :])
        return
    if isinstance(document, dict):
        for changed in _documents(document):
            if is_line and changed.get("channel") != document.get("channel"):
                continue
            yield with_payload(frame, json.dumps(changed, ensure_ascii=False).encode())


def _documents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in PLANTED_KEYS:
        if key not in document:
            yield {**document, key: PLANTED}
            yield {**document, key: PLANTED_NUMBER}
    yield {**document, PLANTED: 1}
    yield {**document, "extra": {"name": PLANTED, PLANTED: [PLANTED]}}
    for key, value in document.items():
        yield {**document, key: PLANTED}
        if isinstance(value, dict):
            yield {**document, key: {**value, PLANTED: 1, "name": PLANTED}}


def _refuses_its_words(subject: Subject) -> int:
    """The keys that the table calls personal refuse the message wherever they stand; how many there are."""
    words = getattr(subject.entry.manifest.format, "personal", ())
    recording = subject.understood[0]
    if not words or subject.transport is not Transport.MQTT or not isinstance(words[0], str):
        return 0
    driver = subject.driver(recording)
    try:
        document = json.loads(recording.frame.payload)
    except ValueError:
        return 0
    for word in words:
        for changed in ({**document, word: 1}, {**document, "extra": {"more": [{word.upper(): None}]}}):
            found = outcome(driver, with_payload(recording.frame, json.dumps(changed).encode()))
            if not isinstance(found, FrameRefused) or found.reason != "personal":
                raise CheckFailed(f"a message with {word!r} is not refused as personal")
    return len(words)


def requests(subject: Subject) -> str:
    """Behind every recorded frame what is wanted may be asked, of who was heard; looking changes nothing."""
    wanted = 0
    for recording in subject.recordings:
        driver = recording.driver()
        if not isinstance(driver, AskingDriver):
            return "asks nothing"
        outcome(driver, recording.frame)
        asked = list(driver.requests(_NOW_MS))
        if not all(is_allowed(request) for request in asked):
            raise CheckFailed("it would ask what device_drivers/requests.py does not list")
        if list(driver.requests(_NOW_MS)) != asked:
            raise CheckFailed("what it would ask changes when it is asked for it")
        wanted += len(asked)
    if not wanted:
        raise CheckFailed("behind no recorded frame does it want anything")
    return f"{wanted} requests"


def sample_of(items: list[T], most: int) -> list[T]:
    """All, or as many of them as that, evenly."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]
