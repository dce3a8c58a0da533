"""The kinds of simulated devices, and the role that an agent's configuration states for each."""

from __future__ import annotations

import enum
from typing import Final


class Kind(enum.StrEnum):
    """What a simulated device is, and so what it puts on the wire."""

    AIR = "air"
    CLIMATE = "climate"
    MOTION = "motion"
    DOOR = "door"
    PLUG = "plug"
    METER = "meter"
    SMOKE = "smoke"
    LEAK = "leak"
    PARTICLES = "particles"
    PROJECTOR = "projector"
    VR = "vr"
    TASMOTA_AIR = "tasmota_air"
    TASMOTA_PLUG = "tasmota_plug"
    ESPHOME = "esphome"
    CHIRPSTACK_AM = "chirpstack_am"
    THINGS_STACK_AM = "things_stack_am"
    CO2_SERIAL = "co2_serial"
    MODBUS_AIR = "modbus_air"
    MODBUS_METER = "modbus_meter"
    AERASGARD = "aerasgard"
    AIRGRADIENT = "airgradient"
    ANDROID_HEADSET = "android_headset"
    BENQ = "benq"
    BENQ_BOARD = "benq_board"
    BROWAN = "browan"
    CAYENNE_LPP = "cayenne_lpp"
    CHINT_DTSU666 = "chint_dtsu666"
    CVTE_BOARD = "cvte_board"
    DECENTLAB = "decentlab"
    DRAGINO = "dragino"
    ELSYS = "elsys"
    EMU_METER = "emu_meter"
    EPSON_ESCVP21 = "epson_escvp21"
    HOMIE = "homie"
    HONEYWELL_HPMA = "honeywell_hpma"
    LAIRD = "laird"
    LG_DISPLAY = "lg_display"
    MANAGEXR = "managexr"
    MAXHUB_BOARD = "maxhub_board"
    MCU680 = "mcu680"
    MILESIGHT = "milesight"
    MILESIGHT_GS524N = "milesight_gs524n"
    NEC_DISPLAY = "nec_display"
    NETVOX = "netvox"
    NETVOX_RA07 = "netvox_ra07"
    NEWLINE_BOARD = "newline_board"
    NOVA_SDS = "nova_sds"
    OPENMQTTGATEWAY = "openmqttgateway"
    OPTOMA = "optoma"
    PHILIPS_SICP = "philips_sicp"
    PZEM = "pzem"
    SAMSUNG_MDC = "samsung_mdc"
    SENML = "senml"
    SENSECAP = "sensecap"
    SENSECAP_S2120 = "sensecap_s2120"
    SENSIRION_SPS30 = "sensirion_sps30"
    SHELLY = "shelly"
    SMART_BOARD = "smart_board"
    SPARKPLUG_B = "sparkplug_b"
    STEAMVR = "steamvr"
    TEKTELIC = "tektelic"
    VIEWSONIC_BOARD = "viewsonic_board"


class Load(enum.StrEnum):
    """What draws its power through a plug."""

    BOARD = "board"
    COMPUTER = "computer"
    RACK = "rack"
    CART = "cart"
    """A cart that charges VR headsets after the lessons they were worn in."""


MODBUS: Final = frozenset((Kind.MODBUS_AIR, Kind.MODBUS_METER, Kind.AERASGARD, Kind.PZEM, Kind.CHINT_DTSU666))
"""Slaves, which may stand behind a TCP address."""
ROLES: Final = {
    Kind.PLUG: "plug",
    Kind.METER: "room_meter",
    Kind.SMOKE: "safety",
    Kind.LEAK: "safety",
    Kind.PROJECTOR: "display",
    Kind.VR: "vr_station",
    Kind.TASMOTA_PLUG: "plug",
    Kind.MODBUS_METER: "room_meter",
    Kind.CHINT_DTSU666: "room_meter",
    Kind.EMU_METER: "room_meter",
    Kind.PZEM: "room_meter",
    Kind.SHELLY: "plug",
    Kind.ANDROID_HEADSET: "vr_station",
    Kind.MANAGEXR: "vr_station",
    Kind.STEAMVR: "vr_station",
    Kind.BENQ: "display",
    Kind.BENQ_BOARD: "display",
    Kind.CVTE_BOARD: "display",
    Kind.EPSON_ESCVP21: "display",
    Kind.LG_DISPLAY: "display",
    Kind.MAXHUB_BOARD: "display",
    Kind.NEC_DISPLAY: "display",
    Kind.NEWLINE_BOARD: "display",
    Kind.OPTOMA: "display",
    Kind.PHILIPS_SICP: "display",
    Kind.SAMSUNG_MDC: "display",
    Kind.SMART_BOARD: "display",
    Kind.VIEWSONIC_BOARD: "display",
}
"""A kind that is not here is a room's sensor."""
ROOM_SENSOR: Final = "room_sensor"
