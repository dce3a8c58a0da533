"""A disk of its own for one folder, so small that it can be filled: a tmpfs in a mount namespace (unshare(1))."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.support.processes import Processes

_MOUNT: Final = 'mount -t tmpfs -o "size=$1,mode=700" none "$2" && echo mounted && exec sleep infinity'
_PIECE: Final = bytes(1 << 16)


def refusal() -> str:
    """Why this machine makes no such disk, as containers often do not; empty if it does."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "unshare and nsenter are not installed: apt-get install util-linux"
    tried = subprocess.run(
        ["unshare", *own_mounts(), "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    return f"this machine lets nobody mount a tmpfs: {tried.stderr.decode().strip()}" if tried.returncode else ""


def own_mounts() -> list[str]:
    """What gives a program of unshare(1) mounts of its own."""
    return ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]


class SmallDisk:
    """Whoever is started with `prefix` sees it at `folder`; everybody else sees the empty folder."""

    def __init__(self, folder: Path, size: str, processes: Processes) -> None:
        folder.mkdir(parents=True)
        holder = processes.start("unshare", *own_mounts(), "sh", "-c", _MOUNT, "sh", size, str(folder))
        holder.wait_for_output("mounted")
        joined = ["--mount"] if os.geteuid() == 0 else ["--user", "--preserve-credentials", "--mount"]
        self.prefix = ("nsenter", "--target", f"{holder.pid}", *joined)
        self._folder = folder
        self._inside = Path(f"/proc/{holder.pid}/root{folder}")
        self._filler = self._inside / "filler"

    def fill(self) -> None:
        """Take all the room that is left."""
        with self._filler.open("ab", buffering=0) as file:
            for piece in (_PIECE, bytes(1)):
                self._write_all(file.fileno(), piece)

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def copy_out(self) -> None:
        """Show everybody what is on it."""
        shutil.copytree(self._inside, self._folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("filler"))

    def _write_all(self, descriptor: int, piece: bytes) -> None:
        try:
            while os.write(descriptor, piece):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
