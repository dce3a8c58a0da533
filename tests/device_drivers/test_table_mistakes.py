"""What a table says of a mistake in it: the line, the key, and what would do."""

from __future__ import annotations

import pytest

from device_drivers.manifest import ManifestUnusable
from tests.device_drivers.table_driver import driver

FIELD = '[[field]]\nkey = "x"\nquantity = "pm25"\n'
AT = FIELD + "at = 0\n"
JSON = '[format]\nkind = "json"\n'
BYTES = '[format]\nkind = "frame"\n'
REGISTERS = '[format]\nkind = "registers"\nblock = [{ function = 3, start = 0, count = 2 }]\n'
LINES = '[format]\nkind = "lines"\nend = "#"\n[[format.command]]\nname = "p"\nsend = "p?"\nreply = '
OF_P = '\n[[field]]\nkey = "p"\ncommand = "p"\nquantity = '


@pytest.mark.parametrize(
    ("transport", "body", "what"),
    [
        ("mqtt", JSON + FIELD.replace("pm25", "happiness"), "17: field[1].quantity: no quantity is called 'happiness'"),
        ("mqtt", JSON + FIELD + 'unit = "ppm"\n', "15: field[1]: unit 'ppm' does not become 'ug/m3'; there is: µg/m³"),
        ("mqtt", JSON + FIELD + "scal = 2\n", "18: field[1].scal: no such key"),
        ("mqtt", JSON + FIELD + 'values = { ON = "lit" }\n', "15: field[1]: pm25 has no state 'lit'"),
        ("mqtt", '[format]\nkind = "xml"\n' + FIELD, "14: format.kind: there is no 'xml'; there is: json, frame"),
        ("mqtt", JSON + AT, "18: field[1].at: no such key"),
        ("serial-stream", JSON + FIELD, "14: format.kind: kind 'json' is for mqtt, not for serial-stream"),
        ("mqtt", JSON + FIELD + FIELD, "1: file: field 'x' stands twice"),
        ("mqtt", JSON + FIELD + 'path = ["*"]\n', "15: field[1]: a path has one"),
        ("mqtt", JSON + FIELD + FIELD.replace("x", "y") + 'path = ["x", "y"]\n', "21: field[2].path: it stands where"),
        ("mqtt", BYTES + 'start = "AZ"\n' + AT, "15: format.start: 'AZ' is not hexadecimal"),
        ("mqtt", BYTES + "length = 0\n" + AT, "15: format.length"),
        ("mqtt", BYTES + FIELD, "15: field[1]: a field stands `at` a byte"),
        ("serial-stream", BYTES + 'start = "AA"\n' + AT, "13: format.length: it is missing"),
        ("serial-poll", BYTES + "length = 3\n" + AT, "13: format.poll: it says what is asked"),
        ("mqtt", BYTES + "length = 3\n" + AT + 'type = "u32"\n', "19: field[1].at: it ends at byte 4"),
        ("mqtt", BYTES + AT + "bits = [0, 8]\n", "15: field[1]: bits are the lowest"),
        ("mqtt", BYTES + AT + "when = { at = 1 }\n", "19: field[1].when[1]: a condition names"),
        ("mqtt", BYTES + AT + "when = { at = 1, is = [1], is_not = [2] }\n", "19: field[1].when[1]: a condition names"),
        ("mqtt", BYTES + AT + 'models = ["C"]\n', "19: field[1].models: 'C' is not in driver.models"),
        ("mqtt", BYTES + AT + "values = { on = 1 }\n", "15: field[1]: values: 'on' is no number"),
        ("mqtt", '[format]\nkind = "entries"\nheader = 2\n' + FIELD + 'entry = "67"\n', "19: field[1].entry: headers"),
        ("serial-poll", REGISTERS + FIELD + 'register = 1\ntype = "u32"\n', "19: field[1].register: register 1 lies"),
        ("serial-poll", LINES + '"{a}{b}"' + OF_P + '"lamp_hours"\n', "19: format.command[1].reply: {b} stands right"),
        ("serial-poll", LINES + '"{a:int}5"' + OF_P + '"lamp_hours"\n', "19: format.command[1].reply: what follows"),
        ("serial-poll", LINES + '"{a:int5x}"' + OF_P + '"lamp_hours"\n', "19: format.command[1].reply: {a:int5x}"),
        ("serial-poll", LINES + '"{address:hex2}"' + OF_P + '"lamp_hours"\n', "{address} needs format.address"),
        ("serial-poll", LINES + '"p={a}"' + OF_P + '"lamp_hours"\n', "20: field[1]: it is a word"),
        ("serial-poll", LINES + '"p"' + OF_P + '"lamp_hours"\n', "20: field[1]: it names no part"),
        ("serial-poll", LINES + '"p={a}"' + OF_P.replace('d = "p"', 'd = "q"') + '"lamp"\n', "22: field[1].command"),
        ("mqtt", "[format\n", "13: is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(transport: str, body: str, what: str) -> None:
    with pytest.raises(ManifestUnusable) as error:
        driver(body, transport)
    assert what in str(error.value)
    assert str(error.value).startswith("driver.toml:")


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ManifestUnusable) as error:
        driver(JSON + FIELD.replace("pm25", "a") + FIELD.replace("pm25", "b"))
    assert "driver.toml:17" in str(error.value)
    assert "\n  driver.toml:20: field[2].quantity" in str(error.value)
