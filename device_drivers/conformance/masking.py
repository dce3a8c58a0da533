"""Makes a recorded frame fit to be shown: whatever its driver does not read is masked, since it may be personal.

What a driver reads are numbers and words of its format; names, addresses and card numbers are neither. So each part of
a frame is replaced in turn, and stays replaced where the driver makes the same of it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from device_drivers.contract import Frame, FrameRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device_drivers.contract import Driver

MASK: Final = "masked"
_WORD: Final = re.compile(r"\w+")
_MOST_PARTS: Final = 2_000
_Path: TypeAlias = tuple[str | int, ...]


def masked(driver: Driver, frame: Frame) -> Frame | None:
    """The frame with everything masked that its driver does not read; None for one that must not be shown at all."""
    meaning = _meaning(driver, frame)
    if meaning is None:
        return None

    def says_the_same(other: Frame) -> bool:
        return _meaning(driver, other) == meaning

    return masked_payload(_masked_topic(frame, says_the_same), says_the_same)


def _meaning(driver: Driver, frame: Frame) -> object:
    """What a frame says, to be compared; None when it is refused as personal, or as no frame of the device's."""
    try:
        found = driver.decode(frame)
    except FrameRefused as refusal:
        return None if not frame.request or refusal.reason == "personal" else refusal.reason
    return found.measurements


def _masked_topic(frame: Frame, says_the_same: Callable[[Frame], bool]) -> Frame:
    levels = frame.topic.split("/") if frame.topic else []
    for index, level in enumerate(levels):
        changed = Frame(
            frame.payload, "/".join([*levels[:index], MASK, *levels[index + 1 :]]), frame.request, frame.port
        )
        if level and says_the_same(changed):
            levels[index] = MASK
    return Frame(frame.payload, "/".join(levels), frame.request, frame.port)


def masked_payload(frame: Frame, says_the_same: Callable[[Frame], bool]) -> Frame:
    """The frame with all of its payload masked without which `says_the_same` of the frame."""

    def with_payload(payload: bytes) -> Frame:
        return Frame(payload, frame.topic, frame.request, frame.port)

    document = _document(frame.payload)
    if document is not None:
        document = _masked_document(document, lambda other: says_the_same(with_payload(_written(other))))
        return with_payload(_written(document))
    text = _text(frame.payload)
    if text is not None:
        return with_payload(_masked_text(text, lambda other: says_the_same(with_payload(other.encode()))).encode())
    payload = bytearray(frame.payload)
    for index in range(min(len(payload), _MOST_PARTS)):
        kept, payload[index] = payload[index], 0
        if not says_the_same(with_payload(bytes(payload))):
            payload[index] = kept
    return with_payload(bytes(payload[:_MOST_PARTS]) if len(payload) > _MOST_PARTS else bytes(payload))


def written_anew(frame: Frame) -> Frame:
    """The frame with a JSON payload written as masking writes it, so that a name in it stands as it is."""
    document = _document(frame.payload)
    return frame if document is None else Frame(_written(document), frame.topic, frame.request, frame.port)


def _document(payload: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _text(payload: bytes) -> str | None:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.replace("\r", "").replace("\n", "").replace("\t", "").isprintable() else None


def _masked_text(text: str, says_the_same: Callable[[str], bool]) -> str:
    for match in reversed(list(_WORD.finditer(text))[:_MOST_PARTS]):
        changed = text[: match.start()] + "x" * len(match[0]) + text[match.end() :]
        if says_the_same(changed):
            text = changed
    return text


def _masked_document(document: dict[str, Any], says_the_same: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for number, path in enumerate(list(_leaves(document))[:_MOST_PARTS]):
        for change in (_with_value(document, path, MASK), _with_value(document, path, 0)):
            if says_the_same(change):
                document = change
                break
        if isinstance(path[-1], str):
            renamed = _with_key(document, path, f"{MASK}_{number + 1}")
            if says_the_same(renamed):
                document = renamed
    return document


def _leaves(value: Any, path: _Path = ()) -> Iterator[_Path]:
    """Where values stand that hold no others, innermost first; then where those stand that do."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _leaves(part, (*path, key))
    if path:
        yield path


def _with_value(document: dict[str, Any], path: _Path, value: Any) -> dict[str, Any]:
    """The document with another value there; as it is where a container stands."""
    changed = json.loads(json.dumps(document))
    holder = _at(changed, path[:-1])
    if not isinstance(holder[path[-1]], (dict, list)):
        holder[path[-1]] = value
    return changed  # type: ignore[no-any-return] # a copy of the document


def _with_key(document: dict[str, Any], path: _Path, name: str) -> dict[str, Any]:
    changed = json.loads(json.dumps(document))
    holder = _at(changed, path[:-1])
    items = [(name if key == path[-1] else key, value) for key, value in holder.items()]
    holder.clear()
    holder.update(items)
    return changed  # type: ignore[no-any-return] # a copy of the document


def _at(document: Any, path: _Path) -> Any:
    for part in path:
        document = document[part]
    return document
