"""Who may connect, and what each may publish and subscribe to: one meaning for the listener and for every broker."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from broker.command_topics import readable
from broker.topics import covers, matches
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SCHEME: Final = "scrypt"
# 4 MiB and about 10 ms on a small edge box, once per client and start: see `Credentials.recall`.
_COST: Final = (4_096, 8, 1)
_MEMORY: Final = 32 * 1024 * 1024


class MalformedPasswordHash(ConfigurationError):
    """A password hash that `bansui broker hash-password` did not print."""

    code = "password_hash"

    def __init__(self) -> None:
        super().__init__(
            "not a password hash of the form scrypt$n$r$p$salt$hash",
            fix="make one with `bansui broker hash-password`",
        )


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """A password as it may stand in a configuration file: scrypt (RFC 7914) with its parameters and salt."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: bytes) -> ScryptHash:
        """Hash a password with a fresh salt."""
        salt = secrets.token_bytes(16)
        return cls(*_COST, salt, _scrypt(password, *_COST, salt))

    @classmethod
    def parse(cls, text: str) -> ScryptHash:
        """Read `scrypt$n$r$p$salt$hash`. Raises `MalformedPasswordHash`, also for a cost that would stall a start."""
        try:
            scheme, n, r, p, salt, digest = text.split("$")
            parsed = cls(int(n), int(r), int(p), *(base64.b64decode(part, validate=True) for part in (salt, digest)))
        except (ValueError, binascii.Error):
            raise MalformedPasswordHash from None
        affordable = parsed.r >= 1 and parsed.p >= 1 and 128 * parsed.n * parsed.r * parsed.p <= _MEMORY // 2
        power_of_two = parsed.n > 1 and parsed.n & (parsed.n - 1) == 0
        if scheme != _SCHEME or not affordable or not power_of_two or not parsed.salt or len(parsed.digest) != 32:
            raise MalformedPasswordHash
        return parsed

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"{_SCHEME}${self.n}${self.r}${self.p}${salt}${digest}"

    def verify(self, password: bytes) -> bool:
        """Whether this is the password; takes its time."""
        return hmac.compare_digest(_scrypt(password, self.n, self.r, self.p, self.salt), self.digest)


def _scrypt(password: bytes, n: int, r: int, p: int, salt: bytes) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


@dataclass(frozen=True, slots=True)
class Client:
    """One login, and its topics. Where filters are absent, nothing is allowed."""

    id: str
    password: bytes | ScryptHash = field(repr=False)
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    """What it may subscribe to besides its own commands."""

    @property
    def readable(self) -> tuple[str, ...]:
        """Every filter it may subscribe to."""
        return readable(self.publish, self.subscribe)


class Acl:
    """Default deny: a client publishes and subscribes within its filters, and never to a `$` topic."""

    def __init__(self, clients: Iterable[Client]) -> None:
        clients = tuple(clients)
        self._publish = {client.id: client.publish for client in clients}
        self._readable = {client.id: client.readable for client in clients}

    def may_publish(self, client: str, topic: str) -> bool:
        """Whether a message of this client to this topic is taken."""
        return not topic.startswith("$") and any(matches(one, topic) for one in self._publish.get(client, ()))

    def may_subscribe(self, client: str, topic_filter: str) -> bool:
        """Whether all that this filter takes in is open to this client."""
        if topic_filter.startswith("$"):
            return False
        return any(covers(one, topic_filter) for one in self._readable.get(client, ()))

    def may_receive(self, client: str, topic: str) -> bool:
        """Whether a message to this topic may be handed to this client."""
        return not topic.startswith("$") and any(matches(one, topic) for one in self._readable.get(client, ()))

    def publisher(self, client: str) -> Callable[[str], bool]:
        """`may_publish` for one client."""
        return lambda topic: self.may_publish(client, topic)

    def subscriber(self, client: str) -> Callable[[str], bool]:
        """`may_subscribe` for one client."""
        return lambda topic_filter: self.may_subscribe(client, topic_filter)


class Credentials:
    """The clients of one endpoint. Checking a password that was checked before costs a keyed hash, not a scrypt."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self.clients: Final = tuple(clients)
        self.acl: Final = Acl(self.clients)
        self._passwords = {client.id: client.password for client in self.clients}
        self._key = secrets.token_bytes(32)
        self._accepted: dict[str, bytes] = {}
        self._refused: dict[str, bytes] = {}

    def recall(self, client: str, password: bytes) -> bool | None:
        """The answer, if it needs no scrypt; None if `verify` has to be asked. Never slow."""
        known = self._passwords.get(client)
        if known is None:
            return False
        if isinstance(known, bytes):
            return hmac.compare_digest(known, password)
        tag = self._tag(password)
        if hmac.compare_digest(self._accepted.get(client, b""), tag):
            return True
        return False if hmac.compare_digest(self._refused.get(client, b""), tag) else None

    def verify(self, client: str, password: bytes) -> bool:
        """Whether this is the client's password. May take 10 ms; may be called from any thread."""
        answer = self.recall(client, password)
        if answer is None:
            known = self._passwords[client]
            assert isinstance(known, ScryptHash)
            answer = known.verify(password)
            (self._accepted if answer else self._refused)[client] = self._tag(password)
        return answer

    def _tag(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, "sha256")
