"""Who looked at the egress ledger: a file in the agent's state folder to which the commands add a line each.

A line has the time, the number of the account, and the command: never a name, and nothing of what was read. The pages
in the school ask for no login and note nobody.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.store.engine import no_store
from telemetry import EnvironmentFault

if TYPE_CHECKING:
    import zoneinfo
    from pathlib import Path

FILE_NAME: Final = "access.log"
_LINE: Final = re.compile(r"(\S+) account=([0-9]+) (.+)")


class AccessNotLogged(EnvironmentFault):
    """A look at the egress ledger that could not be written down, and so was not granted."""

    code = "access_not_logged"


@dataclass(frozen=True, slots=True)
class Access:
    """One look."""

    time: str
    """Local, ISO 8601."""
    account: int
    command: str


def note(folder: Path, command: str, now_ms: int, zone: zoneinfo.ZoneInfo) -> None:
    """Write down a look before it is granted. Raises `AccessNotLogged`, `StoreUnusable`."""
    time = dt.datetime.fromtimestamp(now_ms / 1000, zone).isoformat(timespec="seconds")
    line = f"{time} account={os.getuid()} {command}\n"
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            with contextlib.suppress(PermissionError):  # root may look first, and the agent's user has to be able to
                os.fchown(descriptor, folder.stat().st_uid, folder.stat().st_gid)
            file.write(line.encode())
            file.flush()
            os.fsync(descriptor)
    except FileNotFoundError:
        raise no_store(folder) from None
    except OSError as error:
        raise AccessNotLogged(
            f"cannot be written: {error.strerror}",
            where=str(folder / FILE_NAME),
            why="the yearly audit asks who looked, so nobody looks unseen",
            fix="run the command as the agent's user",
        ) from None


def read(folder: Path, year: int) -> list[Access]:
    """The looks of one year, in order; a line that is none is shown as it stands, without a time."""
    try:
        lines = (folder / FILE_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            found.append(Access("?", -1, line))
        elif match[1].startswith(f"{year}-"):
            found.append(Access(match[1], int(match[2]), match[3]))
    return found
