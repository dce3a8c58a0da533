"""Atheris over the listener's codec and sessions, or over every driver: `make fuzz`, for as long as one likes.

    python -m tests.fuzz --seconds 600 --corpus folder
    python -m tests.fuzz --drivers --seconds 600

What crashes is left in the folder as `crash-…`; `python -m tests.fuzz --replay FILE` runs that one again.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["broker", "device_drivers"]):
    from tests.broker.fuzzing import exercise
    from tests.device_drivers import fuzzing as drivers

from tests.broker import device

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_INPUT = 4_096


def seeds() -> Iterator[bytes]:
    """Streams of both versions, from which the fuzzer goes on: whole, and cut."""
    for level in (4, 5):
        is_v5 = level == 5
        properties = b"" if is_v5 else None
        stream = b"".join(
            (
                device.connect(level=level, will=("t/will", b"gone", 1)),
                device.publish(packet_id=1, properties=properties),
                device.publish(packet_id=2, qos=2, properties=properties),
                b"\x62\x02" + struct.pack(">H", 2),
                device.subscribe("t/set", "homeassistant/status", is_v5=is_v5),
                device.unsubscribe("t/set", is_v5=is_v5),
                device.PINGREQ,
                device.DISCONNECT,
            )
        )
        yield b"\0" + stream
        yield b"\3\x05\x14\x28" + stream


def main() -> None:
    """Read the options, write the seeds, and hand over to libFuzzer, which ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--drivers", action="store_true")
    options = parser.parse_args()
    target, begin = (drivers.exercise, drivers.seeds) if options.drivers else (exercise, seeds)
    if options.replay is not None:
        target(options.replay.read_bytes())
        return
    folder: Path = options.corpus or Path(tempfile.mkdtemp(prefix="bansui-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(begin()):
        (folder / f"seed-{number}").write_bytes(seed)
    limits = (f"-max_total_time={options.seconds}", f"-max_len={LONGEST_INPUT}", "-print_final_stats=1")
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
