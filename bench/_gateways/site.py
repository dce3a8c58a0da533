"""One gateway between the devices' broker and its remote, as the scenarios see it."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from bench._processes import Usage, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench._gateways.counting import Count

QUIET_S: Final = 45.0
"""Without an arrival for so long, nothing more will come: longer than any of the gateways waits before a retry."""
DOUBLES_S: Final = 10.0
"""How long second copies are waited for when every message is there."""
_SETTLED_WITHIN_S: Final = 300.0
_READY_WITHIN_S: Final = 90.0


class Site(ABC):
    """Starts nothing by itself; whatever was started is gone when the block is left."""

    name: str
    """As the table says it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> None:
        """Start the gateway's process; it need not be ready."""
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.environment(), stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def usage(self) -> Usage:
        """What the gateway's process has used since it was started."""
        assert self._process is not None
        return Usage.of(self._process.pid)

    def wait_until_through(self, probe: Sequence[str]) -> None:
        """Run `probe`, which publishes a message that is not counted, until it has come through."""

        def comes() -> bool:
            subprocess.run(probe, check=True)
            time.sleep(0.5)
            return self.is_through()

        until(comes, f"{self.folder.name} gets a message through", _READY_WITHIN_S)

    def settle(self, sent: int) -> None:
        """Wait until every message has come, and a little longer for second copies, or until nothing comes."""
        began = moved = time.monotonic()
        before = -1
        while time.monotonic() - began < _SETTLED_WITHIN_S:
            arrived = self.arrived()
            if arrived != before:
                before, moved = arrived, time.monotonic()
            if time.monotonic() - moved > (DOUBLES_S if arrived >= sent else QUIET_S):
                return
            time.sleep(0.5)

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """In which environment."""

    @abstractmethod
    def is_through(self) -> bool:
        """Whether any message has reached the other side."""

    @abstractmethod
    def arrived(self) -> int:
        """How many messages have: of those told in summaries, how many are on disk."""

    @abstractmethod
    def count(self, sent: int) -> Count:
        """What became of the stream, when it is settled."""
