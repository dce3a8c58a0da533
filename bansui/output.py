"""The command's stdout, by which a disk that is full and a reader that has left are what they are, and no traceback."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from telemetry import EnvironmentFault

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_READER_LEFT: Final = 128 + signal.SIGPIPE
"""What a shell shows of a program that SIGPIPE ended."""


class OutputFault(EnvironmentFault):
    """What the command prints could not be written."""

    code = "output_fault"


class _Stdout(io.RawIOBase):
    """Standard output; behind the first failure, nothing more is written to it."""

    def __init__(self, file: int) -> None:
        self._file = io.FileIO(file, "w", closefd=False)
        self._is_given_up = False

    def fileno(self) -> int:
        """The file's own number."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._file.isatty()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: ReadableBuffer, /) -> int | None:
        """Write some of it. Raises `OutputFault`, or `SystemExit` where the reader of a pipe has left."""
        if self._is_given_up:
            return memoryview(data).nbytes
        try:
            return self._file.write(data)
        except BrokenPipeError:
            self._is_given_up = True
            raise SystemExit(EXIT_READER_LEFT) from None
        except OSError as error:
            self._is_given_up = True
            raise OutputFault(
                f"cannot write: {os.strerror(error.errno or 0)}",
                where="stdout",
                why="what was printed is not whole",
                fix="make room where the output goes, or let it go elsewhere",
            ) from None


def guard_stdout() -> None:
    """Let every `print` of this process say so when its output is lost."""
    plain = sys.stdout
    if not isinstance(plain, io.TextIOWrapper):  # None where it was closed before the start
        return
    plain.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(plain.fileno())),
        encoding=plain.encoding,
        errors=plain.errors,
        line_buffering=plain.line_buffering or plain.write_through,
    )
