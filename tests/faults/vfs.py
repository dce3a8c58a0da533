"""A SQLite file system that remembers every write and sync, so that the power can be cut between any two of them.

What was written and not synced may be on the disk after a cut, or not, or in part, in any combination: a disk's cache
promises nothing (SQLite, "Atomic Commit In SQLite", section 3). What was synced is there.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import apsw

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

V = TypeVar("V", bound="PowerVFS")
SECTOR: Final = 512


class Step(NamedTuple):
    """What reached the file system: a write, a truncation, a sync or one that failed, a deletion; or a mark."""

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class _Image:
    """One file as a disk might hold it."""

    content: bytearray = field(default_factory=bytearray)
    unsynced: list[Step] = field(default_factory=list)

    def sync(self) -> None:
        for step in self.unsynced:
            self.apply(step)
        self.unsynced.clear()

    def fail_to_sync(self, rng: random.Random) -> None:
        """The system says so once and takes the pages for clean: no later sync brings them to the disk.

        That is what Linux does (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
        """
        self.keep_some(rng)
        self.unsynced.clear()

    def keep_some(self, rng: random.Random) -> None:
        """Of what was not synced, what happens to have reached the disk."""
        for step in self.unsynced:
            if rng.random() < 0.5:
                self.apply(step if step.kind == "truncate" else _torn(step, rng))

    def apply(self, step: Step) -> None:
        if step.kind == "truncate":
            del self.content[step.offset :]
            return
        end = step.offset + len(step.data)
        if end > len(self.content):
            self.content.extend(bytes(end - len(self.content)))
        self.content[step.offset : end] = step.data


class PowerVFS(apsw.VFS):
    """The system's file system, with a diary. Nothing waits for the machine's disk: what a sync means, `cut` says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []
        super().__init__(name, "")

    def before(self, operation: str) -> None:
        """Called before each open, read, write, truncate, sync and delete; what it raises, the operation fails with."""

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> PowerFile:  # noqa: N802 - apsw's name
        self.before("open")
        return PowerFile(name, flags, self)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name
        self.before("delete")
        super().xDelete(filename, syncdir)
        self.steps.append(Step("delete", Path(filename).name))

    def remember(self, file: Path) -> None:
        """Let the diary begin with a file that is on the disk already."""
        self.steps += [Step("write", file.name, 0, file.read_bytes()), Step("sync", file.name)]

    def mark(self, text: str) -> None:
        """Note in the diary where the test stands."""
        self.steps.append(Step("mark", text))


@contextlib.contextmanager
def registered(vfs: V) -> Iterator[V]:
    """The file system, known to SQLite by its name while the block runs."""
    try:
        yield vfs
    finally:
        vfs.unregister()


class ShortWrite(apsw.FullError):
    """Raised by `PowerVFS.before` for a write of which the first half is to reach the file."""


class PowerFile(apsw.VFSFile):
    """One open file whose changes go into the diary."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], vfs: PowerVFS) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._file = Path(path).name
        self._vfs = vfs
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        self._vfs.before("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        try:
            self._vfs.before("write")
        except ShortWrite:
            self._write(data[: len(data) // 2], offset)
            raise
        self._write(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        self._vfs.before("truncate")
        super().xTruncate(newsize)
        self._vfs.steps.append(Step("truncate", self._file, newsize))

    def xSync(self, _flags: int) -> None:  # noqa: N802 - apsw's name
        try:
            self._vfs.before("sync")
        except apsw.Error:
            self._vfs.steps.append(Step("failed sync", self._file))
            raise
        self._vfs.steps.append(Step("sync", self._file))

    def _write(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._vfs.steps.append(Step("write", self._file, offset, bytes(data)))


class Disk:
    """What a disk may hold, step by step through a diary."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.marks: list[str] = []
        """Those that the diary has come to."""
        self._steps = steps
        self._taken = 0
        self._images: defaultdict[str, _Image] = defaultdict(_Image)

    def go_on(self, position: int, rng: random.Random) -> None:
        """Until so many steps are taken in all, which is never back."""
        for step in self._steps[self._taken : position]:
            if step.kind == "mark":
                self.marks.append(step.file)
            elif step.kind == "delete":
                self._images.pop(step.file, None)
            elif step.kind == "sync":
                self._images[step.file].sync()
            elif step.kind == "failed sync":
                self._images[step.file].fail_to_sync(rng)
            else:
                self._images[step.file].unsynced.append(step)
        self._taken = position

    def cut(self, folder: Path, rng: random.Random) -> None:
        """Write into `folder` what it may hold when the power goes here; the disk itself stays, to be cut later on."""
        folder.mkdir()
        for name, image in self._images.items():
            kept = _Image(image.content.copy(), image.unsynced)
            kept.keep_some(rng)
            if not name.endswith("-shm"):
                (folder / name).write_bytes(kept.content)


def cut(steps: Sequence[Step], position: int, folder: Path, rng: random.Random) -> list[str]:
    """Write into `folder` what a disk may hold when the power goes after `position` steps; return the marks so far."""
    disk = Disk(steps)
    disk.go_on(position, rng)
    disk.cut(folder, rng)
    return disk.marks


def _torn(step: Step, rng: random.Random) -> Step:
    """The whole of a write, or its first sectors."""
    sectors = -(-len(step.data) // SECTOR)
    kept = rng.choice([sectors, rng.randint(0, sectors)])
    return Step(step.kind, step.file, step.offset, step.data[: kept * SECTOR])
