"""Why a packet or a connection is refused: one list, with the word that is counted and the codes that are sent.

"MQTT 5" is OASIS MQTT Version 5.0 (2019-03-07), "MQTT 3.1.1" is OASIS MQTT Version 3.1.1 (2014-10-29).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from telemetry import ContractViolation

_OF_CONNACK: Final = frozenset((*range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F))
_SERVER_UNAVAILABLE: Final = 0x88


class Refusal(Enum):
    """A reason; its value is the word counted, the MQTT 5 reason code (section 2.4), the 3.1.1 CONNACK return code.

    A return code (MQTT 3.1.1, table 3.1) exists for few reasons: without one, a 3.1.1 client sees only the close.
    """

    MALFORMED = ("malformed", 0x81, None)
    PROTOCOL = ("protocol", 0x82, None)
    FIRST_PACKET = ("first_packet", 0x82, None)
    PROTOCOL_VERSION = ("protocol_version", 0x84, 0x01)
    CLIENT_ID = ("client_id", 0x85, 0x02)
    CREDENTIALS = ("credentials", 0x86, 0x05)
    BUSY = ("busy", 0x89, 0x03)
    AUTHENTICATION_METHOD = ("authentication_method", 0x8C, 0x05)
    NOT_AUTHORIZED = ("not_authorized", 0x87, 0x05)
    SUBSCRIPTION = ("subscription", 0x87, None)
    SUBSCRIPTION_IDENTIFIER = ("subscription_identifier", 0xA1, None)
    QOS_2 = ("qos_2", 0x9B, 0x05)
    TOO_LARGE = ("too_large", 0x95, None)
    TOPIC = ("topic", 0x90, None)
    TOPIC_ALIAS = ("topic_alias", 0x94, None)
    RECEIVE_MAXIMUM = ("receive_maximum", 0x93, None)
    KEEP_ALIVE = ("keep_alive", 0x8D, None)
    CONNECT_TIMEOUT = ("connect_timeout", 0x82, None)
    TOO_MANY_CONNECTIONS = ("too_many_connections", 0x97, None)
    TOO_MANY_OF_CLIENT = ("too_many_connections_of_client", 0x97, 0x03)
    TLS = ("tls", 0x80, None)
    TAKEN_OVER = ("taken_over", 0x8E, None)
    SHUTTING_DOWN = ("shutting_down", 0x8B, 0x03)

    def __init__(self, word: str, reason_code: int, return_code: int | None) -> None:
        self.word = word
        self.reason_code = reason_code
        self.return_code = return_code

    @property
    def connack_code(self) -> int:
        """The reason code that CONNACK may have for it (MQTT 5 table 3-1); where it has none, Server unavailable."""
        return self.reason_code if self.reason_code in _OF_CONNACK else _SERVER_UNAVAILABLE


class PacketRefused(ContractViolation):
    """Bytes that MQTT forbids or this endpoint does not serve; the connection ends."""

    code = "mqtt_refused"

    def __init__(self, refusal: Refusal, what: str) -> None:
        super().__init__(what)
        self.refusal = refusal
