"""Boards, screens and projectors that are asked over a serial line or TCP: their state, and how makers' protocols put
it.

Formats: BenQ, "Projector RS232 Command Control Installation Guide"; Epson, "ESC/VP21 Command User's Guide"; LG, signage
owner's manuals, "Transmission / Receiving Protocol"; Optoma, "RS232 Protocol Function List"; SMART, "SMART Board
6000S", appendix "Remote management"; NEC, "External Control, LCD Monitor" Rev. 2.6; Samsung, "MDC Protocol" 2015;
Philips, "SICP" V2.03; Clevertouch, "Impact RS-232 command list" (CVTE); BenQ, "RP Series RS232/LAN Control"; ViewSonic,
"RS-232 Protocol" for ViewBoards; MAXHUB, "RS-232 Protocol" (3A packets); Newline, "RS-232 Control" (7F packets).
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Final, TypeAlias

from simulators.asked_line import Answer
from simulators.gauge import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

    Protocol: TypeAlias = Callable[["Display", bytes], bytes | None]

_MS_PER_H: Final = 3_600_000


class Display:
    """One display: on while the room is in session, on HDMI, as loud as somebody has set it."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise, protocol: Protocol) -> None:
        self.id = model.id
        self.address = model.address
        self.gauge = Gauge(room, rng)
        self.volume = rng.randrange(5, 60)
        self.is_muted = rng.random() < 0.2
        self._hours = rng.randrange(200, 9000)
        self._sessions = room.timetable.sessions
        self._protocol = protocol

    @property
    def is_on(self) -> bool:
        """Whether there is a picture."""
        return self.gauge.room.timetable.in_session(self.gauge.now_ms)

    @property
    def hours(self) -> int:
        """How long it has been on in its life."""
        now_ms = self.gauge.now_ms
        on_ms = sum(max(0, min(now_ms, session.end_ms) - session.start_ms) for session in self._sessions)
        return self._hours + on_ms // _MS_PER_H

    def answer(self, question: bytes) -> Answer | None:
        """What it says, and what that tells; None to what is not for it."""
        content = self._protocol(self, question)
        readings = self.gauge.told()
        return None if content is None else Answer(content, readings)

    def says_power(self, *, off: str = "standby") -> bool:
        """Tell whether it is on; `off` is what the protocol's document calls the other state."""
        self.gauge.state("display_power", "on" if self.is_on else off)
        return self.is_on

    def says_hdmi(self) -> None:
        """Tell its input."""
        self.gauge.state("display_input", "digital")

    def says_mute(self) -> bool:
        """Tell whether it is mute."""
        self.gauge.say("audio_mute", float(self.is_muted))
        return self.is_muted

    def says_volume(self) -> int:
        """Tell how loud it is."""
        self.gauge.say("volume", self.volume)
        return self.volume

    def says_hours(self, name: str = "lamp_hours") -> int:
        """Tell how long it has been on."""
        self.gauge.say(name, self.hours)
        return self.hours

    def says_picture_mute(self) -> None:
        """Tell that the picture is not muted."""
        self.gauge.say("video_mute", 0.0)


def benq(display: Display, question: bytes) -> bytes | None:
    """Text between `*` and `#`; what it cannot tell now is a block item."""
    match = re.fullmatch(rb"\r\*(\w+)=\?#\r", question)
    if match is None:
        return None
    command = match[1].decode()
    text = "Unsupported item"
    if command == "pow":
        text = f"POW={'ON' if display.says_power() else 'OFF'}"
    elif command == "ltim":
        text = f"LTIM={display.says_hours()}"
    elif command in ("sour", "mute", "blank"):
        text = _benq_picture(display, command) if display.is_on else "Block item"
    return f"*{text}#".encode()


def _benq_picture(display: Display, command: str) -> str:
    if command == "sour":
        display.says_hdmi()
        return "SOUR=HDMI"
    if command == "mute":
        return f"MUTE={'ON' if display.says_mute() else 'OFF'}"
    display.says_picture_mute()
    return "BLANK=OFF"


def epson(display: Display, question: bytes) -> bytes | None:
    """`NAME?` and a return; the answer ends with a colon, as does ERR for what it cannot tell now."""
    command = question.removesuffix(b"\r").decode("ascii", "replace")
    if command == "PWR?":
        return b"PWR=01\r:" if display.says_power() else b"PWR=00\r:"
    if command == "LAMP?":
        return b"LAMP=%d\r:" % display.says_hours()
    if command == "ERR?":
        display.gauge.state("fault", "ok")
        return b"ERR=00\r:"
    if command not in ("SOURCE?", "MUTE?") or not display.is_on:
        return b"ERR\r:"
    if command == "SOURCE?":
        display.says_hdmi()
        return b"SOURCE=30\r:"
    display.says_picture_mute()
    return b"MUTE=OFF\r:"


def lg(display: Display, question: bytes) -> bytes | None:
    """Two letters, the set's number and FF; the answer has the second letter, OK or NG, data, and x."""
    match = re.fullmatch(rb"([kdx])([a-z]) ([0-9a-f]{2}) ff\r", question, re.IGNORECASE)
    if match is None or int(match[3], 16) != display.address:
        return None
    command = (match[1] + match[2]).decode()
    data = _lg_data(display, command)
    verdict = "NG00" if data is None else f"OK{data}"
    return f"{command[1]} {display.address:02x} {verdict}x".encode()


def _lg_data(display: Display, command: str) -> str | None:
    if command == "ka":
        return "01" if display.says_power(off="off") else "00"
    if command == "dl":
        return f"{display.says_hours('operating_time'):04x}"
    if command == "dn":
        return f"{display.gauge.take('device_temperature'):02x}"
    if not display.is_on or command not in _LG_PICTURE:
        return None
    say, data = _LG_PICTURE[command]
    say(display)
    return data


_LG_PICTURE: Final[dict[str, tuple[Callable[[Display], None], str]]] = {
    "xb": (lambda display: display.says_hdmi(), "90"),
    "kd": (lambda display: display.says_picture_mute(), "00"),
    "dp": (lambda display: display.gauge.state("fault", "ok"), "01"),
}


def optoma(display: Display, question: bytes) -> bytes | None:
    """`~`, the projector's number, that of the function, and 1; number 00 is for every set."""
    match = re.fullmatch(rb"~([0-9]{2})([0-9]{3}) 1\r", question)
    if match is None or int(match[1]) not in (0, display.address):
        return None
    if match[2] == b"124":
        return b"OK1\r" if display.says_power(off="off") else b"OK0\r"
    if match[2] == b"108":
        return b"OK%05d\r" % display.says_hours()
    return b"F\r"


def smart(display: Display, question: bytes) -> bytes | None:
    """`get NAME`; the answer ends with a prompt."""
    name = question.removesuffix(b"\r").removeprefix(b"get ").decode("ascii", "replace")
    if name == "powerstate":
        return b"powerstate=on\r\n>" if display.says_power() else b"powerstate=standby\r\n>"
    if not display.is_on or name not in ("input", "volume", "mute"):
        return f"invalid cmd={name}\r\n>".encode()
    if name == "input":
        display.says_hdmi()
        return b"input=hdmi1\r\n>"
    if name == "volume":
        return b"volume=%d\r\n>" % display.says_volume()
    return b"mute=on\r\n>" if display.says_mute() else b"mute=off\r\n>"


def nine_bytes(display: Display, question: bytes) -> bytes | None:
    """8, the set's number, g, the function and three digits: BenQ boards, and with temperature ViewSonic's."""
    match = re.fullmatch(rb"([8:])([0-9]{2})g(.)0+\r", question)
    if match is None or int(match[2]) != display.address:
        return None
    function, value = match[3].decode(), None
    if function == "l":
        value = "001" if display.says_power() else "000"
    elif function == "f":
        value = f"{display.says_volume():03d}"
    elif function == "g":
        value = f"{int(display.says_mute()):03d}"
    elif function == "v":
        value = f"{display.says_hours('operating_time'):05d}"
    elif function == "0":
        value = f"+{display.gauge.take('device_temperature'):02d}"
    if value is None:
        return f"4{display.address:02d}-\r".encode()
    return f"{match[1].decode()}{display.address:02d}r{function}{value}\r".encode()


def three_a(display: Display, question: bytes) -> bytes | None:
    """A colon, the set's number, G, the function and three digits."""
    match = re.fullmatch(rb":([0-9]{2})G(.)000\r", question)
    if match is None or int(match[1]) != display.address:
        return None
    function = match[2].decode()
    if function == "0":
        value = int(display.says_power())
    elif function == "8":
        value = display.says_volume()
    elif function == "9":
        value = int(display.says_mute())
    else:
        return f"4{display.address:02d}-\r".encode()
    return f":{display.address:02d}r{function}{value:03d}\r".encode()


def seven_f(display: Display, question: bytes) -> bytes | None:
    """7F, eight bytes that never change, the function, CF; the answer has one byte more, of data."""
    if len(question) != 11 or question[:9] != bytes.fromhex("7f0899a2b3c402ff01") or question[10] != 0xCF:
        return None
    function = question[9]
    if function == 0x37:
        value = int(display.says_power())
    elif function == 0x33:
        value = display.says_volume()
    elif function == 0x82:
        value = int(display.says_mute())
    elif function == 0x50:
        display.says_hdmi()
        value = 0x1F
    else:
        return None
    return bytes.fromhex("7f0999a2b3c402ff01") + bytes((function, value, 0xCF))


def cvte(display: Display, question: bytes) -> bytes | None:
    """AA BB CC, a function, two bytes, their sum, DD EE FF."""
    body = question[3:6]
    if len(question) != 10 or question != _cvte(body):
        return None
    if body == b"\x01\x02\x00":
        return _cvte(b"\x80\x00\x00" if display.says_power() else b"\x80\x01\x00")
    if body == b"\x02\x00\x00":
        display.says_hdmi()
        return _cvte(b"\x81\x06\x00")
    return None


def _cvte(body: bytes) -> bytes:
    return b"\xaa\xbb\xcc" + body + bytes((sum(body) & 0xFF,)) + b"\xdd\xee\xff"


def nec(display: Display, question: bytes) -> bytes | None:
    """SOH, a header, STX, hexadecimal digits, ETX, the exclusive or of all since SOH, a return."""
    asked = {_nec(b"0A0A06", b"01D6"): "power", **{_nec(b"0A0C06", page): name for page, name in _NEC_PAGES.items()}}
    what = asked.get(question)
    if what is None:
        return None
    if what == "power":
        return _nec(b"00AB12", b"0200D60000040001" if display.says_power() else b"0200D60000040002")
    if what == "volume":
        return _nec(b"00AD12", b"00006200006400%02X" % display.says_volume())
    if what == "mute":
        return _nec(b"00AD12", b"00008D000002000%d" % (1 if display.says_mute() else 2))
    display.says_hdmi()
    return _nec(b"00AD12", b"0000600000880011")


_NEC_PAGES: Final = {b"0060": "input", b"0062": "volume", b"008D": "mute"}


def _nec(header: bytes, message: bytes) -> bytes:
    body = header + b"\x02" + message + b"\x03"
    return b"\x01" + body + bytes((_exclusive_or(body),)) + b"\r"


def _exclusive_or(content: bytes) -> int:
    return reduce(xor, content, 0)


def samsung(display: Display, question: bytes) -> bytes | None:
    """AA, the command, the set's number, a length of 0, the sum; the answer has FF and A before the command."""
    if len(question) != 5 or question[0] != 0xAA or sum(question[1:4]) & 0xFF != question[4]:
        return None
    command, address = question[1], question[2]
    if command == 0x11:
        data = bytes((int(display.says_power()),))
    elif command == 0x12:
        data = bytes((display.says_volume(),))
    elif command == 0x13:
        data = bytes((int(display.says_mute()),))
    elif command == 0x14:
        display.says_hdmi()
        data = b"\x21"
    elif command == 0x0D:
        for _ in ("lamp", "temperature", "fan"):
            display.gauge.state("fault", "ok")
        data = bytes((0, 0, 0, 0, display.gauge.take("device_temperature"), 0))
    elif command == 0x83:
        tens_of_minutes = display.hours * 6
        display.gauge.say("operating_time", tens_of_minutes / 6)
        data = tens_of_minutes.to_bytes(2, "big")
    else:
        return _samsung(address, b"N" + bytes((command,)))
    return _samsung(address, b"A" + bytes((command,)) + data)


def _samsung(address: int, content: bytes) -> bytes:
    body = bytes((0xFF, address, len(content))) + content
    return b"\xaa" + body + bytes((sum(body) & 0xFF,))


def philips(display: Display, question: bytes) -> bytes | None:
    """Size, the set's number, a group, a command, data, the exclusive or of all; the answer repeats the command."""
    if len(question) not in (5, 6) or question != _philips(*question[1:-1]) or question[1] != display.address:
        return None
    command, value = question[3], b""
    if command == 0x19:
        value = b"\x02" if display.says_power(off="off") else b"\x01"
    elif command == 0x0F:
        value = display.says_hours("operating_time").to_bytes(2, "big")
    elif command == 0x2F:
        value = bytes((display.gauge.take("device_temperature"), 0))
    elif display.is_on and command == 0xAD:
        display.says_hdmi()
        value = b"\x0d\x00\x01\x00"
    elif display.is_on and command == 0x45:
        value = bytes((display.says_volume(), 0))
    elif display.is_on and command == 0x46:
        value = bytes((int(display.says_mute()),))
    elif display.is_on and command == 0x71:
        display.says_picture_mute()
        value = b"\x00"
    return _philips(display.address, 0, *((command, *value) if value else (0x00, 0x18)))


def _philips(*content: int) -> bytes:
    message = bytes((len(content) + 2, *content))
    return message + bytes((_exclusive_or(message),))


PROTOCOLS: Final = {
    "benq": benq,
    "epson_escvp21": epson,
    "lg_display": lg,
    "optoma": optoma,
    "smart_board": smart,
    "benq_board": nine_bytes,
    "viewsonic_board": nine_bytes,
    "maxhub_board": three_a,
    "newline_board": seven_f,
    "cvte_board": cvte,
    "nec_display": nec,
    "samsung_mdc": samsung,
    "philips_sicp": philips,
}
"""By the kind of device."""
