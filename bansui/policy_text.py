"""What becomes of each field of a device, and why, as a terminal shows it, in English and Chinese."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from edge_agent.privacy.treatment import Fate, Why
from telemetry import PrivacyClass, quantity
from telemetry.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_agent.privacy.treatment import Treatment
    from telemetry.policy import Policy

_WIDTH: Final = 100
_TOKEN: Final = re.compile(r"[!-~]+ *|.")
_NEVER_FIRST: Final = frozenset("，。、；：）")
_CLASSES: Final = {
    "en": {
        PrivacyClass.E: "environment, outdoors or in a plant room",
        PrivacyClass.P1: "influenced by people",
        PrivacyClass.P2: "derived from people",
        PrivacyClass.DA: "health of a device that nobody switches",
        PrivacyClass.DB: "health of a device that people switch",
        PrivacyClass.S: "safety",
        PrivacyClass.X: "personal",
    },
    "zh": {
        PrivacyClass.E: "室外或机房的环境",
        PrivacyClass.P1: "受人影响",
        PrivacyClass.P2: "由人推得",
        PrivacyClass.DA: "无人开关的设备的状况",
        PrivacyClass.DB: "由人开关的设备的状况",
        PrivacyClass.S: "安全",
        PrivacyClass.X: "个人信息",
    },
}
_WHY: Final = {
    "en": {
        Why.LEAST: "of this class wherever it is measured",
        Why.INDOOR: "measured in a room that people use, so it says something of them",
        Why.SWITCHED: "people switch this device, so it keeps a record of who used it",
    },
    "zh": {
        Why.LEAST: "无论在哪里测量都属此类",
        Why.INDOOR: "在有人使用的房间里测得，会反映人的情况",
        Why.SWITCHED: "设备由人开关，会留下使用者的记录",
    },
}
_FATE: Final = {
    "en": {
        Fate.WINDOWS: "leaves as {fields} {span}{step}{hours}",
        Fate.EVENTS: "each alarm and each all-clear leaves at once",
        Fate.COUNTED: "leaves with noise, once an hour of the timetable",
        Fate.WITHHELD: "nothing leaves: read, counted and dropped",
        Fate.NEVER: "nothing leaves, whatever a policy says: read, counted and dropped",
    },
    "zh": {
        Fate.WINDOWS: "出校内容：{span} {fields}{step}{hours}",
        Fate.EVENTS: "每次报警与解除立即出校",
        Fate.COUNTED: "课表时段内每小时一个加噪值出校",
        Fate.WITHHELD: "不出校：读取后只计数，即行丢弃",
        Fate.NEVER: "任何策略下都不出校：读取后只计数，即行丢弃",
    },
}
_SPAN: Final = {
    "en": {
        Span.MINUTE: "of each minute",
        Span.QUARTER: "of each 15 minutes",
        Span.HOUR: "of each hour",
        Span.TIMETABLE: "of each 15 minutes in timetable hours, of each hour otherwise",
        Span.DAY: "of each day",
    },
    "zh": {
        Span.MINUTE: "每分钟的",
        Span.QUARTER: "每 15 分钟的",
        Span.HOUR: "每小时的",
        Span.TIMETABLE: "课表时段内每 15 分钟、其余每小时的",
        Span.DAY: "每天的",
    },
}
_WORDS: Final = {
    "en": {
        "policy": "policy {name}, version {version}",
        "device": "{device}: room {room} ({placement}), {role}, driver {driver}",
        "class": "class {code}, {what}: {why}",
        "step": ", rounded to {step:g} {unit}",
        "hours": "; nothing of hours that lie outside the timetable",
        "in part": "of each 15 minutes in timetable hours, of each hour that lies in them in part",
        "no device": "No device is bound, so nothing leaves.",
        "by night": "Outside timetable hours this policy tells of rooms: {names}. In an empty building that shows "
        "whether one person is there. `strict` tells none of it.",
        "purpose": "for: {purpose}; to: {recipients}; kept {days} days",
        "school": "the school",
        "district": "the district",
        "nobody": "nobody",
        "list": ", ",
        "rest": "A field that its driver does not declare is dropped and counted. A name, an address, a card or "
        "student number, a face, a voice, free text is refused at the parser: no code keeps it.",
    },
    "zh": {
        "policy": "策略 {name}，第 {version} 版",
        "device": "{device}：教室 {room}（{placement}），{role}，驱动 {driver}",
        "class": "{code} 类（{what}）：{why}",
        "step": "，修约到 {step:g} {unit}",
        "hours": "；课表时段之外的钟点不出校",
        "in part": "课表时段内每 15 分钟、部分落在时段内的钟点每小时的",
        "no device": "没有绑定任何设备，因此没有数据出校。",
        "by night": "课表时段之外，本策略仍发布教室的：{names}。"
        "楼里没人时，这会显出是否有一个人在。`strict` 一概不发布。",
        "purpose": "用途：{purpose}；接收方：{recipients}；保存 {days} 天",
        "school": "学校",
        "district": "区",
        "nobody": "无",
        "list": "、",
        "rest": "驱动没有声明的字段一律丢弃并计数。"
        "姓名、地址、卡号、学号、人脸、声音和自由文本在解析时即被拒绝，没有任何代码保存它们。",
    },
}


def explained(
    device: Mapping[str, str], found: Mapping[Treatment, Sequence[str]], policy: Policy, language: str
) -> str:
    """All of one device: `device` says what it is, where and by which driver."""
    return "\n".join(_explained(device, found, policy, language))


def heading(policy: Policy, language: str) -> str:
    """Which policy it is."""
    return _WORDS[language]["policy"].format(name=policy.name, version=policy.tables.version)


def rest(language: str) -> str:
    """What holds of everything that is not listed."""
    return "\n".join(wrapped(_WORDS[language]["rest"], ""))


def no_device(language: str) -> str:
    """That nothing is bound."""
    return _WORDS[language]["no device"]


def by_night(names: Sequence[str], language: str) -> str:
    """What a policy tells that shows who is in an empty building."""
    words = _WORDS[language]
    named = words["list"].join(_named(name, language) for name in names)
    return "\n".join(wrapped(words["by night"].format(names=named), ""))


def _explained(
    device: Mapping[str, str], found: Mapping[Treatment, Sequence[str]], policy: Policy, language: str
) -> Iterator[str]:
    words = _WORDS[language]
    yield words["device"].format(**device)
    for treatment, names in found.items():
        code = treatment.privacy_class
        yield "  " + words["class"].format(code=code, what=_CLASSES[language][code], why=_WHY[language][treatment.why])
        yield from wrapped(words["list"].join(_named(name, language) for name in names), "    ")
        yield from wrapped(_told(treatment, names, language), "    → ")
        table = policy.table(code)
        if table is not None and treatment.fate not in (Fate.WITHHELD, Fate.NEVER):
            recipients = words["list"].join(words[each] for each in table.recipients) or words["nobody"]
            purpose = table.purpose.text(language)
            line = words["purpose"].format(purpose=purpose, recipients=recipients, days=table.retention_days)
            yield from wrapped(line, "      ")


def _told(treatment: Treatment, names: Sequence[str], language: str) -> str:
    words = _WORDS[language]
    if treatment.span is None:
        return _FATE[language][treatment.fate]
    step = ""
    if treatment.step is not None:
        step = words["step"].format(step=treatment.step, unit=quantity(names[0]).symbol)
    is_in_part = treatment.in_hours_only and treatment.span is Span.TIMETABLE
    span = words["in part"] if is_in_part else _SPAN[language][treatment.span]
    fields = words["list"].join(treatment.fields)
    hours = words["hours"] if treatment.in_hours_only else ""
    return _FATE[language][treatment.fate].format(fields=fields, span=span, step=step, hours=hours)


def _named(name: str, language: str) -> str:
    label = quantity(name).label(language)
    return (
        name if label.replace(" ", "_") == name else f"{name} ({label})" if language == "en" else f"{name}（{label}）"
    )


def wrapped(text: str, start: str) -> list[str]:
    """Lines of at most `_WIDTH` cells, broken between words, and between any two Chinese characters."""
    lines, line = [], start
    for token in _TOKEN.findall(text):
        if cell_len(line + token.rstrip()) > _WIDTH and token not in _NEVER_FIRST:
            lines.append(line.rstrip())
            line = " " * cell_len(start)
        line += token
    return [*lines, line.rstrip()]
