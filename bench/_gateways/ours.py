"""Our agent as a subscriber of the same broker, with a centre as its remote.

What it sends is summaries. The devices stand outdoors, so that a window is a minute long; a value stands for its slot
alone, and each message has a slot of its own: so the slots that the centre's windows say are filled are the messages
that arrived, exactly.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench._agent import Agent, Setup
from bench._centre import arrived
from bench._gateways.counting import count_slots
from bench._gateways.site import Site
from bench._processes import HOST, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench._gateways.counting import Count

FIELDS: Final = 2
"""Readings in a message of the stream; its number is none."""
_ROOT: Final = Path(__file__).parent.parent.parent
_SETTLED_WITHIN_S: Final = 300.0
_COUNTED: Final = "temperature"
_STAGES: Final = ("received", "duplicate")


class Ours(Site):
    """One agent with its folder, and the folder of its centre."""

    name = "ours, subscribed"

    def __init__(self, folder: Path, broker: int, uplink: int, centre: Path, *, devices: int, slot_s: int) -> None:
        super().__init__(folder)
        self._centre = centre
        folder.mkdir()
        setup = Setup(
            devices=devices + 1,
            subscriber=broker,
            centre=f"http://{HOST}:{uplink}",
            uplink="interval_s = 5",
            windows="lateness_s = 30",
            placement="outdoor",
            cadence=f"cadence_s = {slot_s}\nstale_after_s = 1\n",
        )
        self._config = setup.write(folder)
        self._probe = f"d-{devices}"
        """The device whose messages are not counted."""
        self._probes = 0
        """Readings of it."""

    def command(self) -> Sequence[str]:
        """As the base says."""
        return [sys.executable, "-m", "bansui", "agent", "run", "--config", str(self._config)]

    def environment(self) -> Mapping[str, str]:
        """As the base says."""
        return {**os.environ, "PYTHONPATH": str(_ROOT)}

    def start(self) -> None:
        """As the base says; where its page is stands in its log."""
        begins = len(self._log())
        super().start()
        until(lambda: "http://" in self._log()[begins:], "the agent is ready", 60)

    def is_through(self) -> bool:
        """As the base says."""
        self._probes = self._agent().received()
        return self._probes > 0

    def arrived(self) -> int:
        """As the base says."""
        metrics = self._agent().metrics()
        stages = {stage: metrics[f'bansui_agent_readings_total{{stage="{stage}"}}'] for stage in _STAGES}
        return int(stages["received"] - stages["duplicate"] - self._probes) // FIELDS

    def settle(self, sent: int) -> None:
        """As the base says, and until every window is closed and every summary at the centre."""
        super().settle(sent)
        until(self._is_delivered, "every summary is at the centre", _SETTLED_WITHIN_S)

    def count(self, sent: int) -> Count:
        """As the base says."""
        windows = [
            (str(summary.series), summary.start_ms, summary.fields["n"])
            for batch in arrived(self._centre)
            for summary in batch.summaries
            if summary.series.quantity == _COUNTED and summary.series.device != self._probe
        ]
        return count_slots(sent, self.arrived(), windows)

    def _is_delivered(self) -> bool:
        time.sleep(0.5)
        metrics = self._agent().metrics()
        return not metrics["bansui_agent_open_readings"] and not metrics["bansui_agent_waiting_summaries"]

    def _agent(self) -> Agent:
        assert self._process is not None
        return Agent(self._process.pid, re.findall(r"http://[^/]+", self._log())[-1])

    def _log(self) -> str:
        log = self.folder / "gateway.log"
        return log.read_text() if log.exists() else ""
