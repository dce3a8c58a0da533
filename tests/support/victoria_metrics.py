"""A real VictoriaMetrics on one loopback port, with everything it writes in one folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import httpx

from bansui.free_port import free_port
from tests.support.processes import Spawned
from tests.support.programs import VICTORIA_METRICS
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class VictoriaMetrics:
    """Starts on creation, as docs/configuration.md says it is to be run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = 0
        self._port: Final = free_port()
        self.url: Final = f"http://127.0.0.1:{self._port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start, or start again on the same port and data, and wait until it answers."""
        program = VICTORIA_METRICS.find()
        assert program is not None, "no VictoriaMetrics; mark the test with pytest.mark.victoria_metrics"
        self._starts += 1
        arguments = (
            f"-storageDataPath={self._folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self._port}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
        )
        self._spawned = Spawned([program, *arguments], self._folder / f"run-{self._starts}")
        wait_until(self._answers, 20, "VictoriaMetrics answers")

    def kill(self) -> None:
        """End it at once; what it had in memory alone is gone."""
        self._spawned.kill()

    def restart(self) -> None:
        """End it at once, and start it again."""
        self.kill()
        self.start()

    def samples(self, name: str) -> list[tuple[dict[str, str], int, float]]:
        """Every sample of a metric: its labels, time in milliseconds, and value."""
        httpx.get(f"{self.url}/internal/force_flush", trust_env=False).raise_for_status()
        answer = httpx.get(f"{self.url}/api/v1/export", params={"match[]": name}, trust_env=False)
        answer.raise_for_status()
        found = []
        for line in answer.text.splitlines():
            series = json.loads(line)
            pairs = zip(series["timestamps"], series["values"], strict=True)
            found += [(series["metric"], time_ms, value) for time_ms, value in pairs]
        return found

    def _answers(self) -> bool:
        assert self._spawned.is_running(), self._spawned.stderr
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False
