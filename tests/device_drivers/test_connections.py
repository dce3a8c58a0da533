"""What an agent says of a line that fails: the system's own words, or plain ones, and nothing of the line."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from device_drivers.connections import reason

ONE, OTHER = "[Errno 111] Connect call failed ('::1', 9, 0, 0)", "[Errno 111] Connect call failed ('127.0.0.1', 9)"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.7', 502)"), "Connection refused"),
        (OSError(f"Multiple exceptions: {ONE}, {OTHER}"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (TimeoutError(), "no answer in time"),
        (asyncio.IncompleteReadError(b"card 4400", 20), "the connection ended"),
        (asyncio.LimitOverrunError("Separator is not found", 4096), "the answer does not end"),
        (ValueError("card 4400"), "ValueError"),
    ],
)
def test_an_error_of_a_line_is_said_in_few_words(error: Exception, said: str) -> None:
    assert reason(error) == said
