"""Bodies into summaries and reports, off the event loop."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from telemetry import Decoder
from telemetry.uplink_contract import MOST_LINES, AgentReport, BatchTooLarge, MalformedBatch, unseal

if TYPE_CHECKING:
    from telemetry import Summary


class TooManyLines(BatchTooLarge):
    """A batch of more lines than the contract allows."""

    code = "too_many_lines"


class Decoding:
    """One thread that unpacks and reads bodies; it remembers the series it has seen."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "decoding")
        self._decoder = Decoder()

    async def summaries(self, body: bytes) -> list[Summary]:
        """Read a sealed batch. Raises `MalformedBatch`, `BatchTooLarge`, `LineProtocolError`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._summaries, body)

    async def report(self, body: bytes) -> AgentReport:
        """Read a sealed agent report. Raises `MalformedBatch`, `BatchTooLarge`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _report, body)

    async def text(self, body: bytes) -> bytes:
        """The line protocol inside a sealed batch. Raises `MalformedBatch`, `BatchTooLarge`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, unseal, body)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _summaries(self, body: bytes) -> list[Summary]:
        text = unseal(body)
        if text.count(b"\n") > MOST_LINES:
            raise TooManyLines(f"the batch has more than {MOST_LINES} lines")
        return self._decoder.decode(text)


def _report(body: bytes) -> AgentReport:
    try:
        document = json.loads(unseal(body))
    except (ValueError, RecursionError) as error:
        raise MalformedBatch(f"the report is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise MalformedBatch("the report is not a JSON object")
    return AgentReport.from_dict(document)
