"""`bansui init`: six questions, and a commented configuration that `bansui agent validate` accepts."""

import json
import re
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from bansui import failures
from bansui.json_option import AsJson

app = typer.Typer()

_CODE: Final = re.compile(r"[a-z0-9-]{1,32}")
_WORDS: Final = {
    "en": {
        "district": "District code",
        "school": "School code",
        "timezone": "Time zone",
        "centre": "The IoT centre's address",
        "rooms": "Rooms, by code, separated by commas",
        "broker": "The school's own MQTT broker as HOST:PORT; empty if devices connect to the agent",
        "written": "written: {}",
        "password": "MQTT login '{}', password {} (shown this once)",
        "next": "next: put the district's token into {}, then `bansui doctor --config {}`",
    },
    "zh": {
        "district": "区代码",
        "school": "学校代码",
        "timezone": "时区",
        "centre": "物联中心地址",
        "rooms": "教室代码，用逗号分隔",
        "broker": "学校已有的 MQTT 代理 HOST:PORT；设备直连边缘网关则留空",
        "written": "已写入：{}",
        "password": "MQTT 登录名 '{}'，密码 {}（仅显示一次）",
        "next": "下一步：把区里发的令牌写入 {}，然后运行 `bansui doctor --config {}`",
    },
}


def _code(text: str) -> str:
    if _CODE.fullmatch(text) is None:
        raise failures.UsageError(f"{text!r} is not a code", fix="use 1 to 32 of a-z, 0-9 and '-'")
    return text


def _zone(text: str) -> str:
    if text not in zoneinfo.available_timezones():
        raise failures.UsageError(
            f"{text!r} is not a time zone", fix="write one of the IANA database, such as Asia/Shanghai"
        )
    return text


def _url(text: str) -> str:
    if re.fullmatch(r"https://[^\s\"/]+/?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?", text) is None:
        raise failures.UsageError(
            f"{text!r} is not a centre's address", fix="write https://HOST[:PORT]; http is for loopback alone"
        )
    return text.rstrip("/")


def _rooms(text: str) -> str:
    codes = [_code(code.strip()) for code in text.replace("，", ",").split(",")]
    if len(set(codes)) != len(codes):
        raise failures.UsageError(f"{text!r} has a room twice", fix="write each room once")
    return ",".join(codes)


def _broker(text: str) -> str:
    found = re.fullmatch(r"[^\s\":]+:([1-9][0-9]{0,4})", text)
    if text and (found is None or int(found.group(1)) > 65_535):
        raise failures.UsageError(f"{text!r} is not HOST:PORT", fix="such as 127.0.0.1:1883")
    return text


_QUESTIONS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "district": ("district", _code),
    "school": ("school-1", _code),
    "timezone": ("Asia/Shanghai", _zone),
    "centre": ("https://centre.example", _url),
    "rooms": ("a-101", _rooms),
    "broker": ("", _broker),
}


@app.command("init")
def init(
    out: Annotated[Path, typer.Option(help="The file to write; its secrets go beside it.")] = Path("agent.toml"),
    *,
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing: take the defaults.")] = False,
    district: Annotated[str | None, typer.Option(help="District code.")] = None,
    school: Annotated[str | None, typer.Option(help="School code.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone.")] = None,
    centre: Annotated[str | None, typer.Option(help="https://HOST[:PORT] of the IoT centre.")] = None,
    rooms: Annotated[str | None, typer.Option(help="Room codes, separated by commas.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST:PORT of the school's own broker.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented agent.toml from at most six answers; what an option says is not asked."""
    from bansui.starting import CLIENT, UPLINK_CREDENTIAL, Answers, write

    words = _WORDS[failures.language()]
    given = dict(zip(_QUESTIONS, (district, school, timezone, centre, rooms, broker), strict=True))
    answer: dict[str, str] = {}
    for name, (default, check) in _QUESTIONS.items():
        stated = given[name]
        if stated is None and not defaults:
            answer[name] = _ask(words[name], default, check)
            continue
        try:
            answer[name] = check(default if stated is None else stated)
        except failures.UsageError as error:
            raise failures.UsageError(error.what, where=f"--{name}", fix=error.fix) from None
    room_codes = tuple(answer.pop("rooms").split(","))
    answers = Answers(**answer, rooms=room_codes)
    written = write(out, answers, failures.language())
    if as_json:
        print(json.dumps({"files": [str(file) for file in written.files], "password": written.password}))
        return
    print(words["written"].format(", ".join(str(file) for file in written.files)))
    if written.password:
        print(words["password"].format(CLIENT, written.password))
    print(words["next"].format(out.parent / UPLINK_CREDENTIAL, out))


def _ask(question: str, default: str, check: Callable[[str], str]) -> str:
    """The answer, once it is one that can be."""
    while True:
        try:
            return check(typer.prompt(question, default=default, show_default=bool(default)))
        except failures.UsageError as error:
            print(f"  {failures.translated(error.fix)}")
