"""Ends an agent that cannot go on, and names the driver that held it up, so that the next start leaves it alone.

A driver's call that takes too long is broken off (`driver_guard`), but code in C that never comes back keeps the
interpreter to itself: no thread of Python's can do anything. faulthandler's own thread needs no interpreter. It writes
which files' code is running, and nothing of what that works on, and ends the process. Nothing acknowledged is lost by
that: senders send again what was not.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import re
from typing import IO, TYPE_CHECKING, Final

from device_drivers.registry import discover

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.admission import Admission

_log = logging.getLogger(__name__)

FILE_NAME: Final = "stuck"
LONGEST_STUCK_S: Final = 30.0
REST_MS: Final = 3_600_000
"""For how long a driver that held the agent up is left alone by the next one."""
_SIGNS_OF_LIFE: Final = 6
"""In the time after which the agent is taken for stuck."""
_CODE: Final = re.compile(r'File "([^"]+)"')


class Lookout:
    """While it is entered, the loop has to come round now and then, or the process ends with exit code 1."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the agent's state folder, where it is written who held the agent up."""
        self._path = folder / FILE_NAME
        self._file: IO[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._file = self._path.open("wb")
        self._task = asyncio.create_task(self._live())

    async def __aexit__(self, *_error: object) -> None:
        assert self._task is not None
        assert self._file is not None
        self._task.cancel()
        faulthandler.cancel_dump_traceback_later()
        self._file.close()
        self._path.unlink(missing_ok=True)

    async def _live(self) -> None:
        assert self._file is not None
        while True:
            faulthandler.dump_traceback_later(LONGEST_STUCK_S, exit=True, file=self._file)
            await asyncio.sleep(LONGEST_STUCK_S / _SIGNS_OF_LIFE)


def leave_alone_who_was_stuck(folder: Path, admission: Admission, now_ms: int) -> None:
    """Rest the devices of the driver in whose code the last agent of this state folder was stuck, if it was."""
    path = folder / FILE_NAME
    if not path.exists():
        return
    running = _CODE.findall(path.read_text(encoding="utf-8", errors="replace"))
    if not running:
        return  # it was ended by others
    drivers = discover()
    bindings = admission.bindings.values()
    folders = {each.driver_id: f"{drivers[each.driver_id].folder}/" for each in bindings}
    named = {driver for driver, at in folders.items() if any(file.startswith(at) for file in running)}
    if not named:
        _log.error("the agent was stuck for %d s, in no driver's own code, and had to end", LONGEST_STUCK_S)
    for binding in bindings:
        if binding.driver_id in named:
            admission.leave_alone(binding, now_ms, REST_MS)
            _log.error(
                "driver %s held the agent up for %d s on device %s or another: left alone for %d min",
                binding.driver_id,
                LONGEST_STUCK_S,
                binding.device,
                REST_MS // 60_000,
            )
