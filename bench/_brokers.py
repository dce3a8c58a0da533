"""A Mosquitto, and mosquitto_sub behind it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from bansui.free_port import free_port
from bench._processes import answers, ended, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def mosquitto(folder: Path, settings: str = "") -> Iterator[int]:
    """A Mosquitto with unlimited queues; yields its port."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    port = free_port()
    file = folder / f"mosquitto-{port}.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{settings}")
    with ended(subprocess.Popen([program, "-c", str(file)], stderr=subprocess.DEVNULL)):
        until(lambda: answers(port), "Mosquitto takes connections")
        yield port


@contextlib.contextmanager
def mosquitto_sub(folder: Path, port: int, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """mosquitto_sub at QoS 1, subscribed, which ends by itself after `count` messages."""
    subprocess.run(
        ["mosquitto_pub", "-p", str(port), "-q", "1", "-r", "-t", "zigbee2mqtt/-", "-m", "ready"], check=True
    )
    received = folder / "received"
    command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-t", "zigbee2mqtt/#", "-C", str(count + 1)]
    with received.open("wb") as file, ended(subprocess.Popen(command, stdout=file)) as process:
        until(lambda: received.stat().st_size, "mosquitto_sub has subscribed")
        yield process
