"""A SQLite file system that remembers every write and sync, so that the power can be cut between any two of them.

What was written and not synced may be on the disk after a cut, or not, or in part, in any combination: a disk's cache
promises nothing (SQLite, "Atomic Commit In SQLite", section 3). What was synced is there.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

SECTOR: Final = 512


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that reached the file system: a write, a truncation, a sync, a deletion, or a mark of the test."""

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

    def apply(self, step: Step) -> None:
        if step.kind == "truncate":
            del self.content[step.offset :]
            return
        missing = step.offset + len(step.data) - len(self.content)
        self.content.extend(bytes(max(0, missing)))
        self.content[step.offset : step.offset + len(step.data)] = step.data


class PowerVFS(apsw.VFS):
    """The system's file system, with a diary."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> PowerFile:  # noqa: N802 - apsw's name
        return PowerFile(name, flags, self.steps)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name
        super().xDelete(filename, syncdir)
        self.steps.append(Step("delete", Path(filename).name))

    def remember(self, file: Path) -> None:
        """Let the diary begin with a file that is on the disk already."""
        self.steps += [Step("write", file.name, 0, file.read_bytes()), Step("sync", file.name)]

    def mark(self, text: str) -> None:
        """Note in the diary where the test stands."""
        self.steps.append(Step("mark", text))


@contextlib.contextmanager
def recorded(name: str) -> Iterator[PowerVFS]:
    """A file system of that name while the block runs."""
    vfs = PowerVFS(name)
    try:
        yield vfs
    finally:
        vfs.unregister()


class PowerFile(apsw.VFSFile):
    """One open file whose changes go into the diary."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int], steps: list[Step]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._file = Path(path).name
        self._steps = steps
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        super().xWrite(data, offset)
        self._steps.append(Step("write", self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        super().xTruncate(newsize)
        self._steps.append(Step("truncate", self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        super().xSync(flags)
        self._steps.append(Step("sync", self._file))


def cut(steps: Sequence[Step], position: int, folder: Path, rng: random.Random) -> list[str]:
    """Write into `folder` what a disk may hold when the power goes after `position` steps; return the marks so far."""
    images: dict[str, _Image] = {}
    marks = []
    for step in steps[:position]:
        if step.kind == "mark":
            marks.append(step.file)
        elif step.kind == "delete":
            images.pop(step.file, None)
        elif step.kind == "sync":
            images.setdefault(step.file, _Image()).sync()
        else:
            images.setdefault(step.file, _Image()).unsynced.append(step)
    folder.mkdir()
    for name, image in images.items():
        for step in image.unsynced:
            if rng.random() < 0.5:
                image.apply(step if step.kind == "truncate" else _torn(step, rng))
        if not name.endswith("-shm"):
            (folder / name).write_bytes(image.content)
    return marks


def _torn(step: Step, rng: random.Random) -> Step:
    """The whole of a write, or its first sectors."""
    sectors = -(-len(step.data) // SECTOR)
    kept = rng.choice([sectors, rng.randint(0, sectors)])
    return Step(step.kind, step.file, step.offset, step.data[: kept * SECTOR])
