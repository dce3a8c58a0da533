"""The options of `python -m tests.faults` and `python -m tests.privacy`: what to run, and how often."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Repeated(Protocol):
    """What is tried a number of times: in `make test`, and at length."""

    @property
    def short(self) -> int: ...
    @property
    def long(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was asked for."""

    module: str
    names: Sequence[str]
    count: int | None
    is_long: bool
    is_written: bool
    """Whether figures go into the documents."""

    def times(self, each: Repeated) -> int:
        """How often to try this one."""
        return self.count or (each.long if self.is_long else each.short)

    def command(self, name: str) -> str:
        """The command that does it again, as a document shows it."""
        how = f"--count {self.count} " if self.count else "--long " if self.is_long else ""
        return f"`python -m {self.module} {how}{name}`"


def read_attempts(
    arguments: list[str], module: str, known: Mapping[str, Repeated], *, target: str, documents: str
) -> Attempts:
    """Read a command line; a mistake in it ends the process with a sentence, as `argparse` does.

    `target` is the make target that does it at length, `documents` names what --write writes.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"One of: {', '.join(known)}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")
    parser.add_argument("--long", action="store_true", help=f"as often as `make {target}` does")
    parser.add_argument("--count", type=int, help="so often")
    parser.add_argument("--write", action="store_true", help=f"write the table of {documents}")
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        parser.error("--count takes a number from 1")
    unknown = sorted(set(options.names) - known.keys())
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are: {', '.join(known)}")
    return Attempts(module, options.names or list(known), options.count, options.long, options.write)
