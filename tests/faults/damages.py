"""What may become of a SQLite database while nobody looks: cut off, flipped, zeroed, without its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path


def truncated(file: Path, rng: random.Random) -> None:
    """It ends early."""
    with file.open("r+b") as opened:
        opened.truncate(rng.randrange(file.stat().st_size))


def flipped(file: Path, rng: random.Random) -> None:
    """Up to eight bits anywhere, in the file or its log."""
    damaged = rng.choice([each for each in (file, log_of(file)) if each.exists() and each.stat().st_size])
    content = bytearray(damaged.read_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    damaged.write_bytes(content)


def zeroed(file: Path, rng: random.Random) -> None:
    """A stretch of the file is zeroes, or all of it."""
    content = bytearray(file.read_bytes())
    start = rng.choice([0, rng.randrange(len(content))])
    end = rng.choice([len(content), min(len(content), start + rng.choice([512, 4096, 65_536]))])
    content[start:end] = bytes(end - start)
    file.write_bytes(content)


def without_log(file: Path, rng: random.Random) -> None:
    """The write-ahead log is gone, or cut off."""
    log = log_of(file)
    if rng.random() < 0.6:
        log.unlink(missing_ok=True)
    elif log.exists():
        with log.open("r+b") as opened:
            opened.truncate(rng.randrange(log.stat().st_size + 1))


def log_of(file: Path) -> Path:
    """Its write-ahead log."""
    return file.with_name(f"{file.name}-wal")


DAMAGES: Final[tuple[Callable[[Path, random.Random], None], ...]] = (truncated, flipped, zeroed, without_log)
