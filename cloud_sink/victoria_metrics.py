"""A VictoriaMetrics beside the embedded store: takes what batches say as they say it, in line protocol.

Its own 204 is no durability: data is in its memory for seconds, and a kill takes it away. Whoever writes to it asks
which run of it has the data, and writes again what an earlier run had ("How to send data from InfluxDB-compatible
agents" and "Deduplication" in VictoriaMetrics' documentation).
"""

from __future__ import annotations

import re
from typing import Final

import httpx

from cloud_sink.follower import StoreAway

_TIMEOUT_S: Final = 30.0
_STARTED: Final = re.compile(r"^vm_app_start_timestamp (\d+)$", re.MULTILINE)
_AGE: Final = re.compile(r"^vm_app_uptime_seconds (\d+)$", re.MULTILINE)
_GROWN_UP_S: Final = 2
"""A start is told to the second: what is written to a run older than this, no run with the same start can lack."""


class VictoriaMetrics:
    """One VictoriaMetrics by its URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False)

    async def started_s(self) -> int:
        """When the run that answers was started: it names the run. Raises `StoreAway`, also in its first seconds."""
        text = (await self._ask("GET", "/metrics")).text
        started, age = _STARTED.search(text), _AGE.search(text)
        if started is None or age is None:
            raise StoreAway("what answers is no VictoriaMetrics", where=str(self._client.base_url))
        if int(age[1]) < _GROWN_UP_S:
            raise StoreAway("it was started just now", where=str(self._client.base_url))
        return int(started[1])

    async def write(self, text: bytes) -> None:
        """Hand over line protocol with times in milliseconds. Raises `StoreAway`."""
        await self._ask("POST", "/write?precision=ms", text)

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        where = str(self._client.base_url)
        try:
            answer = await self._client.request(method, path, content=content)
        except httpx.RequestError as error:
            raise StoreAway(f"no connection ({type(error).__name__})", where=where) from None
        if not answer.is_success:
            raise StoreAway(f"HTTP {answer.status_code}", where=where)
        return answer
