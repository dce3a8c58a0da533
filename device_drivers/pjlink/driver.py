"""PJLink: projectors and displays asked over TCP port 4352, one short ASCII line each way.

Source: JBMIA, "PJLink Specifications", Class 1 version 1.04 (section 2.2 line format, section 5 authentication) and
Class 2 version 2.00. The driver asks; it never sets anything.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, Frame, FrameRefused
from device_drivers.pjlink import replies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_drivers.contract import Connection, Settings

_END: Final = b"\r"
_GREETING: Final = re.compile(rb"PJLINK (?:0|1 ([0-9A-Fa-f]{8}))\r")
_REPLY: Final = re.compile(rb"%([12])([A-Z0-9]{4})=([^\r]{0,1024})\r", re.IGNORECASE)
_REQUEST: Final = re.compile(rb"%[12]([A-Z0-9]{4}) ([^\r]{1,128})\r", re.IGNORECASE)
_ERRORS: Final = {
    "ERR1": ("undefined_command", "the device does not know this command"),
    "ERR2": ("out_of_parameter", "the device does not know this parameter"),
    "ERR3": ("unavailable", "the device cannot answer in its present state"),
    "ERR4": ("device_error", "the device reports its own failure"),
}
_NOTHING_TO_SAY: Final = ("ERR1", "ERR3", replies.NO_SIGNAL)
"""What healthy devices answer to a query that does not fit them, or not now."""
_ON: Final = "1"

_ALWAYS: Final = ("ERST", "LAMP")
_WHEN_ON: Final = ("INPT", "AVMT", "INST")
_ALWAYS_CLASS_2: Final = ("FILT",)
_WHEN_ON_CLASS_2: Final = ("IRES", "RRES")


def create(settings: Settings) -> PJLink:
    """The driver for one device; its password, if it has one, is the secret `password`."""
    return PJLink(settings.secrets.get("password", ""))


class PJLink:
    """Asks a device for all it can tell, and understands the answers."""

    def __init__(self, password: str) -> None:
        self._password = password

    def decode(self, frame: Frame) -> Decoded:
        """Understand a greeting or a reply. Raises `FrameRefused`."""
        if frame.payload.startswith(b"PJLINK"):
            self._digest(frame.payload)
            return Decoded()
        command, text = _parse_reply(frame.payload)
        asked = _REQUEST.fullmatch(frame.request)
        if frame.request and (asked is None or asked.group(1).decode("ascii").upper() != command):
            raise FrameRefused("unexpected", "a reply to another command than the one asked")
        if text.upper() in _ERRORS:
            raise FrameRefused(*_ERRORS[text.upper()])
        if asked is not None and not asked.group(2).startswith(b"?"):
            if text.upper() != "OK":
                raise FrameRefused("unexpected", "a setting answered with a value")
            return Decoded()
        return replies.read(command, text)

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once for everything; yield each answer that holds something. Raises `DeviceFault`."""
        prefix = self._digest(await connection.read_until(_END))
        power = await _ask(connection, "1POWR", prefix)
        if power.payload.startswith(b"PJLINK"):
            raise self._refusal(power.payload)
        kind = await _ask(connection, "1CLSS")
        for frame in (power, kind):
            if _holds_something(frame):
                yield frame
        is_on = _value(power) == _ON
        queries = [f"1{command}" for command in (*_ALWAYS, *(_WHEN_ON if is_on else ()))]
        if _value(kind) == "2":
            queries += [f"2{command}" for command in (*_ALWAYS_CLASS_2, *(_WHEN_ON_CLASS_2 if is_on else ()))]
        for query in queries:
            frame = await _ask(connection, query)
            if _holds_something(frame):
                yield frame

    def _digest(self, greeting: bytes) -> bytes:
        """What the first command is preceded by (section 5.1). Raises `FrameRefused`."""
        match = _GREETING.fullmatch(greeting)
        if match is None:
            raise self._refusal(greeting)
        challenge = match.group(1)
        if challenge is None:
            return b""
        if not self._password:
            raise FrameRefused("password_required", "the device asks for a password, and none is configured")
        secret = challenge + self._password.encode("utf-8")
        return hashlib.md5(secret, usedforsecurity=False).hexdigest().encode("ascii")

    @staticmethod
    def _refusal(greeting: bytes) -> FrameRefused:
        if greeting.upper() == b"PJLINK ERRA\r":
            return FrameRefused("authentication", "the device does not accept the password")
        return FrameRefused("malformed", "the greeting is not PJLink's")


async def _ask(connection: Connection, query: str, prefix: bytes = b"") -> Frame:
    request = f"%{query} ?\r".encode("ascii")
    await connection.write(prefix + request)
    return Frame(await connection.read_until(_END), request=request)


def _parse_reply(payload: bytes) -> tuple[str, str]:
    match = _REPLY.fullmatch(payload)
    if match is None:
        raise FrameRefused("malformed", "the reply is not a PJLink line")
    try:
        return match.group(2).decode("ascii").upper(), match.group(3).decode("utf-8")
    except UnicodeDecodeError:
        raise FrameRefused("malformed", "the reply is not UTF-8 text") from None


def _value(frame: Frame) -> str:
    """The reply's value, or nothing where there is none to be had."""
    try:
        return _parse_reply(frame.payload)[1]
    except FrameRefused:
        return ""


def _holds_something(frame: Frame) -> bool:
    return _value(frame).upper() not in _NOTHING_TO_SAY
