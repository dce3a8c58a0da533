"""The rows of the vocabulary, and the way to look one up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry.errors import ContractViolation
from telemetry.quantities import PrivacyClass, Quantity, Summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

E, P1, P2, S = PrivacyClass.E, PrivacyClass.P1, PrivacyClass.P2, PrivacyClass.S
DA, DB = PrivacyClass.DA, PrivacyClass.DB
MEAN, COUNTER, FLAG, STATE = Summarise.MEAN, Summarise.COUNTER, Summarise.FLAG, Summarise.STATE
EVENT, COUNT, NEVER = Summarise.EVENT, Summarise.COUNT, Summarise.NEVER

_OFF_ON: Final = ("off", "on")
_DISPLAY: Final = ("off", "standby", "on", "warming_up", "cooling_down", "error")
_INPUT: Final = ("rgb", "video", "digital", "storage", "network", "internal")
_FAULT: Final = ("ok", "warning", "error")
_THERMAL: Final = ("nominal", "fair", "serious", "critical")
_TRACKING: Final = ("lost", "rotation_only", "ok")
_ALARM: Final = ("clear", "alarm")
_ACTION: Final = ("single", "double", "triple", "quadruple", "hold", "long", "release", "on", "off", "toggle")

_ENTRIES: Final = (
    # id, unit, symbol, decimals, minimum, maximum, least class, summarise, zh name, en name[, states]
    # air and room
    Quantity("temperature", "Cel", "°C", 2, -40, 85, E, MEAN, "温度", "temperature"),
    Quantity("dew_point", "Cel", "°C", 2, -60, 60, E, MEAN, "露点", "dew point"),
    Quantity("humidity", "%", "%", 1, 0, 100, E, MEAN, "相对湿度", "relative humidity"),
    Quantity("carbon_dioxide", "[ppm]", "ppm", 0, 300, 10000, E, MEAN, "二氧化碳", "CO2"),
    Quantity("carbon_monoxide", "[ppm]", "ppm", 1, 0, 1000, E, MEAN, "一氧化碳", "carbon monoxide"),
    Quantity("nitrogen_dioxide", "[ppm]", "ppm", 3, 0, 20, E, MEAN, "二氧化氮", "nitrogen dioxide"),
    Quantity("sulphur_dioxide", "[ppm]", "ppm", 3, 0, 20, E, MEAN, "二氧化硫", "sulphur dioxide"),
    Quantity("ozone", "[ppm]", "ppm", 3, 0, 10, E, MEAN, "臭氧", "ozone"),
    Quantity("formaldehyde", "ug/m3", "µg/m³", 0, 0, 5000, E, MEAN, "甲醛", "formaldehyde"),
    Quantity("volatile_organic_compounds", "ug/m3", "µg/m³", 0, 0, 60000, E, MEAN, "总挥发性有机物", "TVOC"),
    Quantity(
        "volatile_organic_compounds_parts", "[ppb]", "ppb", 0, 0, 60000, E, MEAN, "TVOC 体积浓度", "TVOC by volume"
    ),
    Quantity("voc_index", "1", "", 2, 0, 500, E, MEAN, "VOC 指数", "VOC index"),
    Quantity("nox_index", "1", "", 0, 0, 500, E, MEAN, "NOx 指数", "NOx index"),
    Quantity("aqi", "1", "", 0, 0, 500, E, MEAN, "空气质量指数", "air quality index"),
    Quantity("pm1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM1", "PM1"),
    Quantity("pm25", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM2.5", "PM2.5"),
    Quantity("pm4", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM4", "PM4"),
    Quantity("pm10", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM10", "PM10"),
    Quantity("pm1_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM1（标准颗粒）", "PM1, standard particle"),
    Quantity("pm25_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM2.5（标准颗粒）", "PM2.5, standard particle"),
    Quantity("pm10_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM10（标准颗粒）", "PM10, standard particle"),
    Quantity("particle_count_0_3", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >0.3 µm", "particles > 0.3 µm"),
    Quantity("particle_count_0_5", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >0.5 µm", "particles > 0.5 µm"),
    Quantity("particle_count_1_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >1.0 µm", "particles > 1.0 µm"),
    Quantity("particle_count_2_5", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >2.5 µm", "particles > 2.5 µm"),
    Quantity("particle_count_5_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >5.0 µm", "particles > 5.0 µm"),
    Quantity("particle_count_10_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >10 µm", "particles > 10 µm"),
    Quantity("illuminance", "lx", "lx", 0, 0, 200000, E, MEAN, "照度", "illuminance"),
    Quantity("illuminance_level", "1", "", 0, 0, 10, E, MEAN, "照度等级", "illuminance level"),
    Quantity("sound_pressure", "dB[SPL]", "dB", 1, 0, 140, P1, MEAN, "声级", "sound level"),
    Quantity("atmospheric_pressure", "hPa", "hPa", 1, 300, 1100, E, MEAN, "气压", "air pressure"),
    Quantity("wind_speed", "m/s", "m/s", 1, 0, 90, E, MEAN, "风速", "wind speed"),
    # movement and doors
    Quantity("occupancy", "1", "", 0, 0, 1, P1, FLAG, "有人", "occupancy"),
    Quantity("motion", "1", "", 0, 0, 1, P1, FLAG, "移动", "motion"),
    Quantity("motion_count", "1", "", 0, 0, 65535, P1, MEAN, "移动次数", "motion count"),
    Quantity("opening", "1", "", 0, 0, 1, P1, FLAG, "门窗开启", "opening"),
    Quantity("vibration", "1", "", 0, 0, 1, P1, FLAG, "振动", "vibration"),
    # electricity
    Quantity("power", "W", "W", 1, -100000, 1000000, E, MEAN, "功率", "power"),
    Quantity("apparent_power", "V.A", "VA", 1, 0, 1000000, E, MEAN, "视在功率", "apparent power"),
    Quantity("reactive_power", "V.A{reactive}", "var", 1, -1000000, 1000000, E, MEAN, "无功功率", "reactive power"),
    Quantity("power_factor", "1", "", 2, -1, 1, E, MEAN, "功率因数", "power factor"),
    Quantity("energy", "kW.h", "kWh", 3, 0, 100000000, E, COUNTER, "电量", "energy"),
    Quantity("voltage", "V", "V", 3, 0, 1000, E, MEAN, "电压", "voltage"),
    Quantity("current", "A", "A", 3, -1000, 1000, E, MEAN, "电流", "current"),
    Quantity("frequency", "Hz", "Hz", 2, 0, 1000, E, MEAN, "频率", "frequency"),
    # people
    Quantity("people_count", "1", "", 0, 0, 5000, P2, COUNT, "人数", "people"),
    Quantity("seats_in_use", "1", "", 0, 0, 5000, P2, COUNT, "在用座位", "seats in use"),
    Quantity("vr_seats_in_use", "1", "", 0, 0, 500, P2, COUNT, "在用 VR 座位", "VR seats in use"),
    Quantity("people_in", "1", "", 0, 0, 1000000, P2, NEVER, "进入人次", "people in"),
    Quantity("people_out", "1", "", 0, 0, 1000000, P2, NEVER, "离开人次", "people out"),
    Quantity("button_action", "1", "", 0, 0, 9, P2, NEVER, "按键动作", "button action", _ACTION),
    # health of devices
    Quantity("connectivity", "1", "", 0, 0, 1, DA, FLAG, "在线", "connectivity"),
    Quantity("fault", "1", "", 0, 0, 2, DA, STATE, "故障", "fault", _FAULT),
    Quantity("tamper", "1", "", 0, 0, 1, DA, FLAG, "防拆", "tamper"),
    Quantity("battery", "%", "%", 0, 0, 100, DA, MEAN, "电池电量", "battery"),
    Quantity("battery_low", "1", "", 0, 0, 1, DA, FLAG, "电池电量低", "battery low"),
    Quantity("battery_charging", "1", "", 0, 0, 1, DA, FLAG, "充电中", "battery charging"),
    Quantity("battery_voltage", "V", "V", 3, 0, 60, DA, MEAN, "电池电压", "battery voltage"),
    Quantity("link_quality", "{lqi}", "", 0, 0, 255, DA, MEAN, "链路质量", "link quality"),
    Quantity("signal_strength", "{dBm}", "dBm", 0, -150, 20, DA, MEAN, "信号强度", "signal strength"),
    Quantity("device_temperature", "Cel", "°C", 1, -40, 150, DA, MEAN, "设备温度", "device temperature"),
    # of what people switch, whatever role its device is given: by the quarter of an hour it is one person's record
    Quantity("operating_time", "h", "h", 1, 0, 1000000, DB, COUNTER, "运行时间", "operating time"),
    Quantity("switch", "1", "", 0, 0, 1, DB, STATE, "开关", "switch", _OFF_ON),
    Quantity("display_power", "1", "", 0, 0, 5, DB, STATE, "显示设备电源", "display power", _DISPLAY),
    Quantity("display_input", "1", "", 0, 0, 5, DB, STATE, "显示信号源", "display input", _INPUT),
    Quantity("display_input_number", "1", "", 0, 0, 35, DB, MEAN, "信号源序号", "display input number"),
    Quantity("input_count", "1", "", 0, 0, 1000, DB, MEAN, "信号源数量", "number of inputs"),
    Quantity("video_mute", "1", "", 0, 0, 1, DB, FLAG, "画面关闭", "video mute"),
    Quantity("audio_mute", "1", "", 0, 0, 1, DB, FLAG, "静音", "audio mute"),
    Quantity("volume", "%", "%", 0, 0, 100, DB, MEAN, "音量", "volume"),
    Quantity("backlight", "%", "%", 0, 0, 100, DB, MEAN, "背光", "backlight"),
    Quantity("lamp_hours", "h", "h", 0, 0, 200000, DB, COUNTER, "灯时", "lamp hours"),
    Quantity("lamp", "1", "", 0, 0, 1, DB, STATE, "灯泡", "lamp", _OFF_ON),
    Quantity("filter_hours", "h", "h", 0, 0, 200000, DB, COUNTER, "滤网时间", "filter hours"),
    Quantity("horizontal_resolution", "{pixel}", "px", 0, 0, 100000, DB, MEAN, "水平分辨率", "horizontal resolution"),
    Quantity("vertical_resolution", "{pixel}", "px", 0, 0, 100000, DB, MEAN, "垂直分辨率", "vertical resolution"),
    Quantity("protocol_version", "1", "", 0, 0, 100, DB, MEAN, "协议版本", "protocol version"),
    # VR stations
    Quantity("headset_worn", "1", "", 0, 0, 1, DB, FLAG, "头显佩戴", "headset worn"),
    Quantity("session_active", "1", "", 0, 0, 1, DB, FLAG, "VR 会话", "VR session"),
    Quantity("frame_rate", "Hz", "Hz", 1, 0, 480, DB, MEAN, "帧率", "frame rate"),
    Quantity("dropped_frames", "{frame}", "", 0, 0, 1000000000, DB, COUNTER, "丢帧", "dropped frames"),
    Quantity("thermal_state", "1", "", 0, 0, 3, DB, STATE, "热状态", "thermal state", _THERMAL),
    Quantity("tracking_state", "1", "", 0, 0, 2, DB, STATE, "跟踪状态", "tracking state", _TRACKING),
    # safety
    Quantity("smoke", "1", "", 0, 0, 1, S, EVENT, "烟雾", "smoke", _ALARM),
    Quantity("gas", "1", "", 0, 0, 1, S, EVENT, "燃气泄漏", "gas leak", _ALARM),
    Quantity("water_leak", "1", "", 0, 0, 1, S, EVENT, "漏水", "water leak", _ALARM),
    Quantity("electrical_overload", "1", "", 0, 0, 1, S, EVENT, "电气过载", "electrical overload", _ALARM),
)
_TABLE: Final = {entry.id: entry for entry in _ENTRIES}


class UnknownQuantity(ContractViolation):
    """A quantity that the vocabulary does not have."""

    code = "unknown_quantity"


def quantity(quantity_id: str) -> Quantity:
    """The entry of that id. Raises `UnknownQuantity`."""
    try:
        return _TABLE[quantity_id]
    except KeyError:
        raise UnknownQuantity(f"no quantity is called {quantity_id!r}", fix="see docs/vocabulary.md") from None


def quantities() -> Iterator[Quantity]:
    """Every entry, in the table's order."""
    return iter(_ENTRIES)
