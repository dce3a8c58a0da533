"""What `bansui init` writes: a commented agent.toml from six answers, and the secrets beside it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bansui.files import FileExists, write_new

if TYPE_CHECKING:
    from pathlib import Path

UPLINK_CREDENTIAL: Final = "uplink.token"
LOGIN_CREDENTIAL: Final = "zigbee.password"
PLACEHOLDER: Final = "ask-the-district-for-this-agents-token"
CLIENT: Final = "zigbee"

_COMMENTS: Final = {
    "en": {
        "head": "The agent's configuration. Check it with `bansui agent validate --config {name}`,",
        "head2": "and the box with `bansui doctor --config {name}`. Every key: docs/configuration.md.",
        "state": "Folder of the durable store, relative to this file.",
        "health": "/healthz and /metrics, on loopback only.",
        "pages": "What left today, and the rooms' labels, for people in the school to look at.",
        "uplink": "The IoT centre. The district gives the token; it goes into the file, mode 600.",
        "privacy": "What may leave the school; `bansui privacy explain --config {name}` says it of each field.",
        "listener": 'Devices connect to the agent itself: PUBACK means "on disk".',
        "tls": "The same over TLS, beside the plain port; with `required = true` instead of it.",
        "client": "One login, and the topics it may publish. Give every device or bridge its own.",
        "instead": "A broker instead: `bansui init --broker HOST:PORT` writes [subscriber] in place of [listener].",
        "subscriber": "The school's own broker; the agent subscribes to it.",
        "timetable": "When lessons may take place; `bansui timetable import` writes this table from CSV or ICS.",
        "room": "placement is indoor, outdoor or plant.",
        "device": "A device, when you have one. `bansui driver list` names the drivers.",
    },
    "zh": {
        "head": "边缘网关的配置。用 `bansui agent validate --config {name}` 检查，",
        "head2": "用 `bansui doctor --config {name}` 检查本机。全部配置项见 docs/configuration.md。",
        "state": "持久存储的文件夹，相对于本文件。",
        "health": "/healthz 与 /metrics，仅限本机访问。",
        "pages": "供校内人员查看：今天离开了什么、各教室的隐私牌。",
        "uplink": "物联中心。令牌由区里发给，写入该文件，权限 600。",
        "privacy": "哪些内容可以出校；`bansui privacy explain --config {name}` 逐字段说明。",
        "listener": "设备直接连接边缘网关：收到 PUBACK 即已落盘。",
        "tls": "同一接入端的 TLS 端口；`required = true` 时只开 TLS。",
        "client": "一个登录名及其可发布的主题。每台设备或网桥各用一个。",
        "instead": "若改用消息代理：`bansui init --broker HOST:PORT` 会写 [subscriber] 来代替 [listener]。",
        "subscriber": "学校自己的消息代理，边缘网关向它订阅。",
        "timetable": "可能上课的时间；`bansui timetable import` 可由 CSV 或 ICS 生成本表。",
        "room": "placement 为 indoor（室内）、outdoor（室外）或 plant（设备间）。",
        "device": "有设备时填写。`bansui driver list` 列出驱动。",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The six answers."""

    district: str
    school: str
    timezone: str
    centre: str
    rooms: tuple[str, ...]
    broker: str
    """HOST:PORT of the school's broker; empty where devices connect to the agent."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and the password that is shown once; empty where no login was made."""

    files: tuple[Path, ...]
    password: str


def write(path: Path, answers: Answers, language: str) -> Written:
    """Write the configuration and its secrets, none of which may be there yet. Raises `FileExists`."""
    password = "" if answers.broker else secrets.token_urlsafe(16)
    contents = {path.parent / UPLINK_CREDENTIAL: PLACEHOLDER}
    if password:
        contents[path.parent / LOGIN_CREDENTIAL] = password
    for file in (path, *contents):
        if file.exists():
            raise FileExists("is there already", where=str(file), fix="name another folder, or remove this file")
    for file, text in contents.items():
        write_new(file, f"{text}\n", mode=0o600)
    write_new(path, configuration(path.name, answers, language))
    return Written((path, *contents), password)


def configuration(name: str, answers: Answers, language: str) -> str:
    """The text of agent.toml."""
    say = {key: f"## {text.format(name=name)}\n" for key, text in _COMMENTS[language].items()}
    first_room = answers.rooms[0]
    parts = [
        say["head"],
        say["head2"],
        f'\n[agent]\nid = "edge-1"\ndistrict = "{answers.district}"\nschool = "{answers.school}"\n',
        f'timezone = "{answers.timezone}"\n{say["state"]}state = "state"\n',
        f"\n[health]\n{say['health']}port = 9464\n",
        f'\n{say["pages"]}# [pages]\n# address = "http://10.20.0.5:9465"\n',
        f'\n[uplink]\n{say["uplink"]}url = "{answers.centre}"\ntoken_file = "{UPLINK_CREDENTIAL}"\ninterval_s = 60\n',
        f'\n[privacy]\n{say["privacy"]}policy = "strict"\n',
        _subscriber(say, answers) if answers.broker else _listener(say),
        f'\n[timetable]\n{say["timetable"]}days = ["mon", "tue", "wed", "thu", "fri"]\n',
        'hours = [["08:00", "12:00"], ["13:00", "17:00"]]\n',
        f"\n{say['room']}",
        *(_room(room) for room in answers.rooms),
        f"\n{say['device']}",
        f'# [[device]]\n# id = "co2-{first_room}"\n# room = "{first_room}"\n# role = "room_sensor"\n',
        f'# driver = "zigbee2mqtt"\n# cadence_s = 60\n# mqtt = {{ topic = "zigbee2mqtt/co2-{first_room}" }}\n',
    ]
    return "".join(parts)


def _room(code: str) -> str:
    building = code.partition("-")[0] or code
    return f'[[room]]\ncode = "{code}"\nbuilding = "{building}"\nplacement = "indoor"\n'


def _listener(say: dict[str, str]) -> str:
    return (
        f'\n[listener]\n{say["listener"]}{say["instead"]}host = "0.0.0.0"\nport = 1883\n'
        f"\n{say['tls']}# [listener.tls]\n# port = 8883\n"
        '# certificate_file = "listener.pem"\n# key_file = "listener.key"\n'
        f'\n[[listener.client]]\n{say["client"]}id = "{CLIENT}"\npassword_file = "{LOGIN_CREDENTIAL}"\n'
        'publish = ["zigbee2mqtt/#"]\n'
    )


def _subscriber(say: dict[str, str], answers: Answers) -> str:
    host, _, port = answers.broker.rpartition(":")
    return (
        f'\n[subscriber]\n{say["subscriber"]}host = "{host}"\nport = {port}\nclient_id = "bansui-edge-1"\n'
        'topics = ["zigbee2mqtt/#"]\n'
    )
