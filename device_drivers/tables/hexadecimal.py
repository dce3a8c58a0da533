"""Bytes as a table writes them: hexadecimal, with spaces where they help the eye."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator


def _read(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError('bytes are written in hexadecimal, as "AA C0"')  # noqa: TRY004 - pydantic tells ValueErrors
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{text!r} is not hexadecimal") from None


HexBytes = Annotated[bytes, BeforeValidator(_read)]
