from __future__ import annotations

import array
import fcntl
import functools
import os
import select
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulators.plantower import frame
from simulators.serial_line import SerialLine
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def line() -> Iterator[SerialLine]:
    line = SerialLine()
    yield line
    line.close()


@pytest.fixture
def reader(line: SerialLine) -> Iterator[int]:
    descriptor = os.open(line.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> bytes:
    assert select.select([descriptor], [], [], 5)[0], "nothing came over the line"
    return os.read(descriptor, 65_536)


def numbered(number: int) -> bytes:
    return frame([number] * 12)


def test_every_byte_value_passes_the_line_untouched(line: SerialLine, reader: int) -> None:
    """A terminal that is not raw would swallow 0x03, 0x11 and 0x13 and change 0x0A and 0x0D."""
    data = bytes(range(256))
    assert line.write(data[:128])
    received = read(reader)
    assert line.write(data[128:])
    assert received + read(reader) == data


def test_frames_arrive_whole_and_in_order(line: SerialLine, reader: int) -> None:
    for number in range(3):
        assert line.write(numbered(number))
    received = b""
    while len(received) < 96:
        received += read(reader)
    assert received == numbered(0) + numbered(1) + numbered(2)


def unread(descriptor: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def has_unread(descriptor: int, expected: int) -> bool:
    return unread(descriptor) == expected


def test_what_nobody_reads_is_lost_but_for_the_newest_frames(line: SerialLine, reader: int) -> None:
    expected = 0
    for number in range(40):
        assert line.write(numbered(number))
        expected = 32 if expected > 4 * 32 else expected + 32
        wait_until(functools.partial(has_unread, reader, expected))
    assert read(reader) == b"".join(numbered(number) for number in range(40 - expected // 32, 40))


def test_line_never_blocks(line: SerialLine) -> None:
    for number in range(10_000):
        line.write(numbered(number))


def test_line_outlives_its_reader(line: SerialLine) -> None:
    for _ in range(2):
        descriptor = os.open(line.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        termios.tcflush(descriptor, termios.TCIFLUSH)
        assert line.write(numbered(7))
        assert read(descriptor) == numbered(7)
        os.close(descriptor)


def test_closing_twice_is_harmless(line: SerialLine) -> None:
    line.close()
    line.close()
    assert not Path(line.port).exists()


def test_while_it_is_pulled_out_its_name_goes_to_nobody_else_and_then_it_has_it_again(line: SerialLine) -> None:
    line.pull_out()
    assert not Path(line.port).exists()
    other = SerialLine()
    try:
        assert other.port != line.port
        assert line.plug()
        assert Path(line.port).exists()
    finally:
        other.close()


def test_it_comes_back_under_its_name_though_a_lower_one_is_free() -> None:
    lower, line = SerialLine(), SerialLine()
    try:
        line.pull_out()
        lower.close()
        assert line.plug()
        assert Path(line.port).exists()
    finally:
        line.close()


def test_it_does_not_come_back_before_its_reader_has_let_go(line: SerialLine) -> None:
    descriptor = os.open(line.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    line.pull_out()
    assert not line.plug()
    os.close(descriptor)
    assert line.plug()
    assert Path(line.port).exists()
