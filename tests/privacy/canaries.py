"""Made-up personal values that cannot be mistaken for anything else, and every form in which they could be found."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SURNAMES: Final = "赵钱孙周吴郑冯褚卫蒋韩尤许吕曹严魏陶姜戚邹喻窦潘葛奚"
_GIVEN: Final = "梓涵浩轩欣怡宇航诗琪俊熙雨桐嘉懿奕辰沐瑶铭泽芷若煜祺婉婷睿渊静姝翊凡霁鸿韫玥昱珩萱翰"
_SYLLABLES: Final = ("zhang", "wei", "ming", "hao", "xiao", "yan", "lin", "jie", "yu", "chen", "rong", "fang")


def canaries(count: int, seed: int) -> list[str]:
    """So many different values, of every kind in turn."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[_KINDS[len(found) % len(_KINDS)](rng)] = None
    return list(found)


def _name(rng: random.Random) -> str:
    return rng.choice(_SURNAMES) + "".join(rng.choices(_GIVEN, k=3))


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _student_number(rng: random.Random) -> str:
    return f"20{rng.randrange(10, 26)}{_digits(rng, 9)}"


def _id_card(rng: random.Random) -> str:
    """GB 11643: region, birthday, sequence, check digit."""
    born = f"20{rng.randrange(8, 19):02}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    body = f"310{_digits(rng, 3)}{born}{_digits(rng, 3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def _phone(rng: random.Random) -> str:
    return f"1{rng.choice('358')}{_digits(rng, 9)}"


def _mac(rng: random.Random) -> str:
    return rng.randbytes(6).hex(rng.choice(":-")).upper()


def _card(rng: random.Random) -> str:
    return rng.randbytes(7).hex()


def _face(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(96)).decode()


def _free_text(rng: random.Random) -> str:
    return f"{_name(rng)}上课讲话，{rng.randrange(1, 9)}班第{rng.randrange(1, 60)}号"


def _login(rng: random.Random) -> str:
    """A name as a login is made of it: it has the form of a code, a channel or a reason."""
    return "".join(rng.choices(_SYLLABLES, k=2)) + _digits(rng, 6)


_KINDS: Final[tuple[Callable[[random.Random], str], ...]] = (
    _name,
    _student_number,
    _id_card,
    _phone,
    _mac,
    _card,
    _face,
    _free_text,
    _login,
)

LONGEST: Final = 20
"""Bytes of a form that is looked for as a whole; of a longer one its beginning and its end are, by themselves."""
_PIECE: Final = 16


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Every way in which a value could be written down, with its name."""
    whole = value.encode()
    spellings = {value, value.lower(), value.upper()}
    bare = re.sub("[^a-z0-9]", "", value.lower())
    if len(bare) == len(whole) or (len(bare) >= 10 and value.isascii()):
        spellings.add(bare)
    for spelling in spellings:
        text = spelling.encode()
        yield "UTF-8", text
        yield "UTF-16LE", spelling.encode("utf-16-le")
        yield "UTF-16BE", spelling.encode("utf-16-be")
        yield "base64", base64.b64encode(text).rstrip(b"=")
        yield "hex", text.hex().encode()
        yield from _digests(text)
    for offset in range(3):  # wherever it stands in something longer
        encoded = base64.b64encode(bytes(offset) + whole + bytes(-(offset + len(whole)) % 3))
        inner = encoded[-(-offset * 8 // 6) : (offset + len(whole)) * 8 // 6]
        yield "base64", inner
        yield "base64", inner.translate(bytes.maketrans(b"+/", b"-_"))
    chinese = value.encode("gb18030")
    yield "GB18030", chinese
    yield "hex", chinese.hex().encode()
    yield "hex", whole.hex().upper().encode()
    yield "URL", quote(value, safe="").encode()
    yield "URL", quote(value, safe="").lower().encode()
    yield "URL", quote(chinese, safe="").encode()
    yield "JSON", json.dumps(value)[1:-1].encode()
    yield "repr", repr(whole)[2:-1].encode()
    if re.fullmatch(r"([0-9A-F]{2}[:-]){5}[0-9A-F]{2}", value):
        yield "bytes", bytes.fromhex(bare)


def _digests(text: bytes) -> Iterator[tuple[str, bytes]]:
    for name in ("md5", "sha1", "sha256"):
        digest = hashlib.new(name, text, usedforsecurity=False)
        yield name, digest.digest()
        yield name, digest.hexdigest().encode()
        yield name, digest.hexdigest().upper().encode()
        yield name, base64.b64encode(digest.digest())
    yield "crc32", f"{zlib.crc32(text):08x}".encode()
    yield "crc32", f"{zlib.crc32(text):08X}".encode()


def pieces(value: str) -> Iterator[tuple[str, bytes]]:
    """The byte strings to look for: a form that was cut short is found too. The plainest come last."""
    for name, form in reversed(list(forms(value))):
        if len(form) <= LONGEST:
            yield name, form
        else:
            yield name, form[:_PIECE]
            yield name, form[-_PIECE:]
