"""A real Mosquitto on an ephemeral loopback port, with everything it writes in one folder."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from bansui.free_port import free_port
from tests.support.processes import Spawned
from tests.support.programs import MOSQUITTO
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

_ATTEMPTS: Final = 5  # another program may take the port between the probe and the bind


class Mosquitto:
    """Starts on creation; anonymous unless `settings` says otherwise; queues are not limited."""

    host: Final = "127.0.0.1"

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n") -> None:
        self._folder = folder
        self._settings = settings
        self._starts = 0
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            try:
                self.start()
            except AssertionError:
                self.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it takes connections."""
        program = MOSQUITTO.find()
        assert program is not None, "no Mosquitto; mark the test with pytest.mark.mosquitto"
        file = self._folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.port} {self.host}\nmax_queued_messages 0\nmax_inflight_messages 0\n{self._settings}"
        )
        self._starts += 1
        self._spawned = Spawned([program, "-c", str(file)], self._folder / f"run-{self._starts}")
        wait_until(self._answers, 10, "Mosquitto takes connections")

    def stop(self) -> None:
        """End it at once, as a power cut would; `start` brings it back on the same port."""
        self._spawned.kill()

    @property
    def log(self) -> str:
        """What this run has logged."""
        return self._spawned.stderr

    def _answers(self) -> bool:
        assert self._spawned.is_running(), f"Mosquitto ended:\n{self.log}"
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False
