"""Drivers as a careless or hostile vendor would write them: each does as it is told, or as its frame says."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, Frame, Layout, Row
from edge_agent.admission import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_drivers.contract import Connection

LAYOUT: Final = Layout((("temperature", ""),))


class Sabotaged:
    """Does as its payload says; `bad` is what the first frames, or rounds, do."""

    def __init__(self, deed: str = "") -> None:
        self.deed = deed
        self.kept: list[bytes] = []

    def decode(self, frame: Frame) -> Decoded:
        deed = self.deed or json.loads(frame.payload)
        match deed:
            case "sleep":
                time.sleep(60)
            case "loop":
                while True:
                    try:
                        pass
                    except Exception:  # noqa: BLE001 - what a careless vendor writes
                        continue
            case "million":
                return Decoded(tuple(Row(LAYOUT, (1.0,)) for _ in range(MOST_ROWS + 1)))
            case "endless":
                return Decoded(rows=(Row(LAYOUT, (1.0,)) for _ in iter(int, 1)))  # type: ignore[arg-type] # that is the deed
            case "raise":
                raise RuntimeError
            case "nonsense":
                return None  # type: ignore[return-value] # that is the deed
            case "leak":
                self.kept.append(bytes(8 << 20))
        return Decoded((Row(LAYOUT, (20.0,)),))


def say(deed: str) -> Frame:
    return Frame(json.dumps(deed).encode())


class Poller(Sabotaged):
    """Asks over TCP, and does its deed in the middle of a round."""

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        await connection.write(b"?\r")
        answer = await connection.read_until(b"\r")
        if self.deed == "endless":
            while True:
                yield say("")
        if self.deed == "wait":
            await asyncio.sleep(3600)
        Sabotaged(self.deed).decode(say(""))
        yield Frame(answer)

    def decode(self, frame: Frame) -> Decoded:
        return Decoded((Row(LAYOUT, (20.0,)),))


class Splitter(Sabotaged):
    """Cuts frames out of a stream, and does its deed over it."""

    def split(self, buffer: bytearray) -> list[Frame]:
        if self.deed == "keep":
            return []
        if self.deed == "flood":
            return [say("")] * 100_000
        Sabotaged(self.deed).decode(say(""))
        taken, buffer[:] = bytes(buffer), b""
        return [Frame(taken)]

    def decode(self, frame: Frame) -> Decoded:
        return Decoded((Row(LAYOUT, (20.0,)),))
