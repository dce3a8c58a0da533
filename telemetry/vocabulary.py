"""The rows of the vocabulary, and the way to look one up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry.errors import ContractViolation
from telemetry.quantities import PrivacyClass, Quantity, Summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

E, P1, P2, D, S = PrivacyClass.E, PrivacyClass.P1, PrivacyClass.P2, PrivacyClass.DA, PrivacyClass.S
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

# id, unit, symbol, decimals, minimum, maximum, least class, summarise, zh, en[, states]
_ROWS: Final[tuple[tuple[object, ...], ...]] = (
    # air and room
    ("temperature", "Cel", "°C", 2, -40, 85, E, MEAN, "温度", "temperature"),
    ("dew_point", "Cel", "°C", 2, -60, 60, E, MEAN, "露点", "dew point"),
    ("humidity", "%", "%", 1, 0, 100, E, MEAN, "相对湿度", "relative humidity"),
    ("carbon_dioxide", "[ppm]", "ppm", 0, 300, 10000, E, MEAN, "二氧化碳", "CO2"),
    ("carbon_monoxide", "[ppm]", "ppm", 1, 0, 1000, E, MEAN, "一氧化碳", "carbon monoxide"),
    ("nitrogen_dioxide", "[ppm]", "ppm", 3, 0, 20, E, MEAN, "二氧化氮", "nitrogen dioxide"),
    ("sulphur_dioxide", "[ppm]", "ppm", 3, 0, 20, E, MEAN, "二氧化硫", "sulphur dioxide"),
    ("ozone", "[ppm]", "ppm", 3, 0, 10, E, MEAN, "臭氧", "ozone"),
    ("formaldehyde", "ug/m3", "µg/m³", 0, 0, 5000, E, MEAN, "甲醛", "formaldehyde"),
    ("volatile_organic_compounds", "ug/m3", "µg/m³", 0, 0, 60000, E, MEAN, "总挥发性有机物", "TVOC"),
    ("volatile_organic_compounds_parts", "[ppb]", "ppb", 0, 0, 60000, E, MEAN, "总挥发性有机物浓度", "TVOC, by volume"),
    ("voc_index", "1", "", 0, 0, 500, E, MEAN, "VOC 指数", "VOC index"),
    ("nox_index", "1", "", 0, 0, 500, E, MEAN, "NOx 指数", "NOx index"),
    ("aqi", "1", "", 0, 0, 500, E, MEAN, "空气质量指数", "air quality index"),
    ("pm1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM1", "PM1"),
    ("pm25", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM2.5", "PM2.5"),
    ("pm4", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM4", "PM4"),
    ("pm10", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM10", "PM10"),
    ("pm1_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM1（标准颗粒）", "PM1, standard particle"),
    ("pm25_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM2.5（标准颗粒）", "PM2.5, standard particle"),
    ("pm10_cf1", "ug/m3", "µg/m³", 1, 0, 2000, E, MEAN, "PM10（标准颗粒）", "PM10, standard particle"),
    ("particle_count_0_3", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >0.3 µm", "particles > 0.3 µm"),
    ("particle_count_0_5", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >0.5 µm", "particles > 0.5 µm"),
    ("particle_count_1_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >1.0 µm", "particles > 1.0 µm"),
    ("particle_count_2_5", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >2.5 µm", "particles > 2.5 µm"),
    ("particle_count_5_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >5.0 µm", "particles > 5.0 µm"),
    ("particle_count_10_0", "/cm3", "1/cm³", 2, 0, 1000, E, MEAN, "颗粒数 >10 µm", "particles > 10 µm"),
    ("illuminance", "lx", "lx", 0, 0, 200000, E, MEAN, "照度", "illuminance"),
    ("illuminance_level", "1", "", 0, 0, 10, E, MEAN, "照度等级", "illuminance level"),
    ("sound_pressure", "dB[SPL]", "dB", 1, 0, 140, P1, MEAN, "声级", "sound level"),
    ("atmospheric_pressure", "hPa", "hPa", 1, 300, 1100, E, MEAN, "气压", "air pressure"),
    ("wind_speed", "m/s", "m/s", 1, 0, 90, E, MEAN, "风速", "wind speed"),
    # movement and doors
    ("occupancy", "1", "", 0, 0, 1, P1, FLAG, "有人", "occupancy"),
    ("motion", "1", "", 0, 0, 1, P1, FLAG, "移动", "motion"),
    ("motion_count", "1", "", 0, 0, 65535, P1, MEAN, "移动次数", "motion count"),
    ("opening", "1", "", 0, 0, 1, P1, FLAG, "门窗开启", "opening"),
    ("vibration", "1", "", 0, 0, 1, P1, FLAG, "振动", "vibration"),
    # electricity
    ("power", "W", "W", 1, -100000, 1000000, E, MEAN, "功率", "power"),
    ("apparent_power", "V.A", "VA", 1, 0, 1000000, E, MEAN, "视在功率", "apparent power"),
    ("reactive_power", "var", "var", 1, -1000000, 1000000, E, MEAN, "无功功率", "reactive power"),
    ("power_factor", "1", "", 2, -1, 1, E, MEAN, "功率因数", "power factor"),
    ("energy", "kW.h", "kWh", 3, 0, 100000000, E, COUNTER, "电量", "energy"),
    ("voltage", "V", "V", 3, 0, 1000, E, MEAN, "电压", "voltage"),
    ("current", "A", "A", 3, -1000, 1000, E, MEAN, "电流", "current"),
    ("frequency", "Hz", "Hz", 2, 0, 1000, E, MEAN, "频率", "frequency"),
    # people
    ("people_count", "1", "", 0, 0, 5000, P2, COUNT, "人数", "people"),
    ("seats_in_use", "1", "", 0, 0, 5000, P2, COUNT, "在用座位", "seats in use"),
    ("vr_seats_in_use", "1", "", 0, 0, 500, P2, COUNT, "在用 VR 座位", "VR seats in use"),
    ("people_in", "1", "", 0, 0, 1000000, P2, NEVER, "进入人次", "people in"),
    ("people_out", "1", "", 0, 0, 1000000, P2, NEVER, "离开人次", "people out"),
    ("button_action", "1", "", 0, 0, 9, P2, NEVER, "按键动作", "button action", _ACTION),
    # health of devices
    ("connectivity", "1", "", 0, 0, 1, D, FLAG, "在线", "connectivity"),
    ("fault", "1", "", 0, 0, 2, D, STATE, "故障", "fault", _FAULT),
    ("tamper", "1", "", 0, 0, 1, D, FLAG, "防拆", "tamper"),
    ("battery", "%", "%", 0, 0, 100, D, MEAN, "电池电量", "battery"),
    ("battery_low", "1", "", 0, 0, 1, D, FLAG, "电池电量低", "battery low"),
    ("battery_charging", "1", "", 0, 0, 1, D, FLAG, "充电中", "battery charging"),
    ("battery_voltage", "V", "V", 3, 0, 60, D, MEAN, "电池电压", "battery voltage"),
    ("link_quality", "{lqi}", "", 0, 0, 255, D, MEAN, "链路质量", "link quality"),
    ("signal_strength", "dB[mW]", "dBm", 0, -150, 20, D, MEAN, "信号强度", "signal strength"),
    ("device_temperature", "Cel", "°C", 1, -40, 150, D, MEAN, "设备温度", "device temperature"),
    ("operating_time", "h", "h", 1, 0, 1000000, D, COUNTER, "运行时间", "operating time"),
    ("switch", "1", "", 0, 0, 1, D, STATE, "开关", "switch", _OFF_ON),
    ("display_power", "1", "", 0, 0, 5, D, STATE, "显示设备电源", "display power", _DISPLAY),
    ("display_input", "1", "", 0, 0, 5, D, STATE, "显示信号源", "display input", _INPUT),
    ("display_input_number", "1", "", 0, 0, 35, D, MEAN, "信号源序号", "display input number"),
    ("input_count", "1", "", 0, 0, 1000, D, MEAN, "信号源数量", "number of inputs"),
    ("video_mute", "1", "", 0, 0, 1, D, FLAG, "画面关闭", "video mute"),
    ("audio_mute", "1", "", 0, 0, 1, D, FLAG, "静音", "audio mute"),
    ("volume", "%", "%", 0, 0, 100, D, MEAN, "音量", "volume"),
    ("backlight", "%", "%", 0, 0, 100, D, MEAN, "背光", "backlight"),
    ("lamp_hours", "h", "h", 0, 0, 200000, D, COUNTER, "灯时", "lamp hours"),
    ("lamp", "1", "", 0, 0, 1, D, STATE, "灯泡", "lamp", _OFF_ON),
    ("filter_hours", "h", "h", 0, 0, 200000, D, COUNTER, "滤网时间", "filter hours"),
    ("horizontal_resolution", "{pixel}", "px", 0, 0, 100000, D, MEAN, "水平分辨率", "horizontal resolution"),
    ("vertical_resolution", "{pixel}", "px", 0, 0, 100000, D, MEAN, "垂直分辨率", "vertical resolution"),
    ("protocol_version", "1", "", 0, 0, 100, D, MEAN, "协议版本", "protocol version"),
    # VR stations
    ("headset_worn", "1", "", 0, 0, 1, D, FLAG, "头显佩戴", "headset worn"),
    ("session_active", "1", "", 0, 0, 1, D, FLAG, "VR 会话", "VR session"),
    ("frame_rate", "Hz", "Hz", 1, 0, 480, D, MEAN, "帧率", "frame rate"),
    ("dropped_frames", "{frame}", "", 0, 0, 1000000000, D, COUNTER, "丢帧", "dropped frames"),
    ("thermal_state", "1", "", 0, 0, 3, D, STATE, "热状态", "thermal state", _THERMAL),
    ("tracking_state", "1", "", 0, 0, 2, D, STATE, "跟踪状态", "tracking state", _TRACKING),
    # safety
    ("smoke", "1", "", 0, 0, 1, S, EVENT, "烟雾", "smoke", _ALARM),
    ("gas", "1", "", 0, 0, 1, S, EVENT, "燃气泄漏", "gas leak", _ALARM),
    ("water_leak", "1", "", 0, 0, 1, S, EVENT, "漏水", "water leak", _ALARM),
    ("electrical_overload", "1", "", 0, 0, 1, S, EVENT, "电气过载", "electrical overload", _ALARM),
)

_FIELDS: Final = (
    "id", "unit", "symbol", "decimals", "minimum", "maximum", "least_class", "summarise", "name_zh", "name_en",
    "states",
)  # fmt: skip


def _build() -> dict[str, Quantity]:
    table: dict[str, Quantity] = {}
    for row in _ROWS:
        quantity = Quantity(**dict(zip(_FIELDS, row, strict=False)))  # type: ignore[arg-type]
        table[quantity.id] = quantity
    return table


_TABLE: Final = _build()


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
    return iter(_TABLE.values())
