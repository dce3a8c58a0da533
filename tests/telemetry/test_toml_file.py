from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from telemetry.toml_file import Path

TEXT = '''# a comment [not.a.table]
title = "x # [y]"

[centre]
host = "127.0.0.1"   # trailing
days = [
  "mon",  # [
  "tue",
]
note = """
[agent]
port = 1
"""
port = 8086

[centre.district]
code = "changning"

[[agent]]
id = "edge-1"
mqtt = { topic = "a/b" }

[[agent]]
id = "edge-2"
"quoted key" = 1
tcp.port = 4352

[[agent.client]]
id = "c1"
[[agent.client]]
id = "c2"

[poll]
asked = [
  { send = "[{", to = { a = [1, { b = 2 }] } }, # { not this one
  # nor { this
  { send = "x" }, { send = "y" },
  { send = "z" },
]
none = []
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("centre",), 4),
        (("centre", "host"), 5),
        (("centre", "days"), 6),
        (("centre", "days", 1), 6),
        (("centre", "port"), 14),
        (("centre", "missing"), 4),
        (("centre", "district", "code"), 17),
        (("agent", 0), 19),
        (("agent", 0, "mqtt", "topic"), 21),
        (("agent", 1, "id"), 24),
        (("agent", 1, "quoted key"), 25),
        (("agent", 1, "tcp", "port"), 26),
        (("agent", 1, "client", 1, "id"), 31),
        (("poll", "asked"), 34),
        (("poll", "asked", 0, "send"), 35),
        (("poll", "asked", 0, "to", "a"), 35),
        (("poll", "asked", 1, "send"), 37),
        (("poll", "asked", 2), 37),
        (("poll", "asked", 3, "send"), 38),
        (("poll", "asked", 4), 34),
        (("poll", "none", 0), 40),
        (("nowhere",), 1),
    ],
)
def test_every_value_is_found_on_the_line_it_stands_on(path: Path, line: int) -> None:
    tomllib.loads(TEXT)
    assert locate(TEXT)(path) == line


def test_the_line_of_a_syntax_error_is_the_one_tomllib_names() -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads("a = 1\nb = = 2\n")
    assert syntax_error_line(caught.value) == 2
