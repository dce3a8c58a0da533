"""Hears what announces itself, and tells it to who may read the agent's state folder: over a socket in that folder.

A socket's name may have 108 bytes (unix(7)), which a folder's alone may need: it goes through the folder's descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.discovery.announcements import announced, is_announcement
from edge_agent.discovery.proposals import Proposal, Proposals
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.admission import Admission

_log = logging.getLogger(__name__)

NAME: Final = "discover.socket"
_ANSWER_WITHIN_S: Final = 5.0


class Told(msgspec.Struct, frozen=True):
    """What a running agent knows of devices that nobody has placed."""

    proposals: list[Proposal]
    forgotten: int = 0
    unread: int = 0


class Teller:
    """Listens to what admission finds no device for; answers whoever connects with what there is, and hangs up."""

    def __init__(self, folder: Path, admission: Admission) -> None:
        self._folder = folder
        self._device_at = admission.device_at
        self._proposals = Proposals(announced, is_announcement)
        admission.notice = self._proposals.notice
        self._server: asyncio.Server | None = None

    def unplaced(self) -> list[Proposal]:
        """What was announced over MQTT and has no place yet."""
        return self._proposals.unplaced(self._device_at)

    async def start(self) -> None:
        """Listen; an agent that cannot works on without."""
        try:
            (self._folder / NAME).unlink(missing_ok=True)  # of an agent that was killed: the folder is ours alone
            with _short(self._folder) as path:
                self._server = await asyncio.start_unix_server(self._answer, path)
            (self._folder / NAME).chmod(0o600)
        except OSError as error:
            _log.warning("`bansui agent discover` will not be answered: %s", error.strerror)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            (self._folder / NAME).unlink(missing_ok=True)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known = self._proposals
        told = Told(self.unplaced(), known.forgotten, known.unread)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                writer.write(msgspec.json.encode(told))
                await writer.drain()
        writer.close()


async def ask(folder: Path) -> Told | None:
    """What the agent of this state folder tells; None where none is running. Raises `EnvironmentFault`."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            with _short(folder) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            try:
                return msgspec.json.decode(await reader.read(), type=Told)
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionError):
        return None
    except PermissionError:
        raise EnvironmentFault(
            f"{folder / NAME} is not yours to read", fix="run the command as the agent's user: sudo -u bansui …"
        ) from None
    except (OSError, TimeoutError, msgspec.DecodeError) as error:
        raise EnvironmentFault(
            f"the agent does not say what it has found: {type(error).__name__}", fix="start the agent again"
        ) from None


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A short name of the socket in `folder`."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
