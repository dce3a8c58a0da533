"""The shared language of Bansui: quantities, places, readings, summaries, line protocol, clock, errors."""

from telemetry.clock import Clock, ManualClock, ScaledClock, SystemClock, parse_clock
from telemetry.errors import (
    BansuiError,
    ConfigurationError,
    ContractViolation,
    DeliveryFault,
    DeviceFault,
    EnvironmentFault,
)
from telemetry.line_protocol import (
    Decoder,
    LineProtocolError,
    UnknownInLine,
    decode_all,
    encode,
    encode_all,
    encode_fields,
    encode_series,
)
from telemetry.places import MalformedPlace, Place, Placement, Role, check_code
from telemetry.quantities import PrivacyClass, Quantity, Summarise
from telemetry.summaries import FIELDS, FIELDS_OF, Series, Summary
from telemetry.vocabulary import UnknownQuantity, quantities, quantity

__all__ = [
    "FIELDS",
    "FIELDS_OF",
    "BansuiError",
    "Clock",
    "ConfigurationError",
    "ContractViolation",
    "Decoder",
    "DeliveryFault",
    "DeviceFault",
    "EnvironmentFault",
    "LineProtocolError",
    "MalformedPlace",
    "ManualClock",
    "Place",
    "Placement",
    "PrivacyClass",
    "Quantity",
    "Role",
    "ScaledClock",
    "Series",
    "Summarise",
    "Summary",
    "SystemClock",
    "UnknownInLine",
    "UnknownQuantity",
    "check_code",
    "decode_all",
    "encode",
    "encode_all",
    "encode_fields",
    "encode_series",
    "parse_clock",
    "quantities",
    "quantity",
]
