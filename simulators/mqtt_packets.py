"""MQTT packets as bytes, for publishers that do without a client library (MQTT 3.1.1, sections 1.5.3 and 2.2)."""

from __future__ import annotations

import struct


def string(text: str) -> bytes:
    """A string with its length before it."""
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def header(first: int, length: int) -> bytes:
    """The fixed header: the first byte, then the length of what follows, seven bits a byte."""
    digits = bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes((first,)) + bytes(digits)


def packet(first: int, body: bytes) -> bytes:
    """A whole packet."""
    return header(first, len(body)) + body
