"""What `bansui sim` says, in the reader's language."""

from __future__ import annotations

from typing import Final

from bansui.failures import language

_ENGLISH: Final = {
    "away": "{address}: devices do not reach the broker, {client} first: {why}",
    "away.meanwhile": "the day goes on; devices keep what they have to say, try again, and give up {seconds:.0f} s "
    "after its end (exit code 1)",
    "away.fix": "see that the broker runs there and lets these clients in, or give another --broker",
    "back": "{address}: every device reaches the broker again",
    "school": "{rooms} rooms, {devices} devices",
    "when.day": "{starts} to {ends} on {date}",
    "when.days": "{date} {starts} to {last} {ends}",
    "span": "{when} in {seconds:,.0f} s ({speed:,.0f}x)",
    "clients": "{count} clients",
    "serial": "serial",
    "password": "with password",
    "relay": "relay",
    "to": "to",
    "wiring": "wiring",
    "truth": "truth",
    "ctrl-c": "Ctrl-C ends it.",
    "stopped": "stopped early",
    "over": "it is over",
    "sent": "{end}: {frames:,} frames with {readings:,} readings sent; {confirmed}",
    "confirmed": "everything sent over MQTT is confirmed",
    "unconfirmed": "{unconfirmed:,} messages unconfirmed, {refused:,} refused by the broker",
    "missed": "a fault did not take place: {reason}",
    "stay": "The relay stays open. Ctrl-C ends it.",
    "cost": "it took {share:,.0f} % of a core for {seconds:,.0f} s, and {memory:,.0f} MB",
    "quantity": "quantity",
    "windows": "windows",
    "arrived": "arrived",
    "values": "values",
    "values.of": "{arrived:,} of {all:,}",
    "off.sent": "off from sent: mean, worst",
    "off.physics": "off from physics: mean, worst",
    "complete": "{share:.1%} of the truth's windows arrived; what a policy keeps is not among them.",
    "no.windows": "The truth has no windows: no device of this run stamps its readings, and nothing can be compared.",
    "found": "{device}: {fault} since {since} shows by {by}",
    "not.found": "{device}: {fault} since {since} does not show",
    "detected": "{fault}: {found} of {all} found, {false} false alarms; judged here, by means at the centre alone.",
    "false": "{device}: seems to be broken ({what}), and nothing was done to it",
    "unknown": "{device}: at the centre, and not in the truth",
}
_CHINESE: Final = {
    "away": "{address}：设备连不上消息代理，最先是 {client}：{why}",
    "away.meanwhile": "仿真继续，设备保留要发的内容并重试；结束后 {seconds:.0f} 秒放弃（退出码 1）",
    "away.fix": "确认消息代理在该地址运行并允许这些客户端接入，或改用 --broker",
    "back": "{address}：所有设备已重新连上消息代理",
    "school": "{rooms} 个教室，{devices} 台设备",
    "when.day": "{date} {starts} 至 {ends}",
    "when.days": "{date} {starts} 至 {last} {ends}",
    "span": "{when}，用时 {seconds:,.0f} 秒（{speed:,.0f} 倍速）",
    "clients": "{count} 个客户端",
    "serial": "串口",
    "password": "有密码",
    "relay": "中继",
    "to": "至",
    "wiring": "接线",
    "truth": "真值",
    "ctrl-c": "按 Ctrl-C 结束。",
    "stopped": "提前停止",
    "over": "已结束",
    "sent": "{end}：发出 {frames:,} 帧、{readings:,} 个读数；{confirmed}",
    "confirmed": "经 MQTT 发出的全部已确认",
    "unconfirmed": "{unconfirmed:,} 条消息未确认，{refused:,} 条被消息代理拒绝",
    "missed": "有故障未发生：{reason}",
    "stay": "中继保持打开。按 Ctrl-C 结束。",
    "cost": "占用单核的 {share:,.0f} %，共 {seconds:,.0f} 秒，内存 {memory:,.0f} MB",
    "quantity": "指标",
    "windows": "时间窗",
    "arrived": "到达",
    "values": "读数",
    "values.of": "{arrived:,} / {all:,}",
    "off.sent": "与发出值之差：平均、最大",
    "off.physics": "与物理真值之差：平均、最大",
    "complete": "真值中 {share:.1%} 的时间窗已到达；按策略不出校的不在其中。",
    "no.windows": "真值中没有时间窗：这次运行没有自带时间戳的设备，无从比较。",
    "found": "{device}：{fault} 始于 {since}，{by} 时可见",
    "not.found": "{device}：{fault} 始于 {since}，未能看出",
    "detected": "{fault}：看出 {found} / {all}，误报 {false}；仅凭物联中心的平均值在此判断。",
    "false": "{device}：看似故障（{what}），其实没有对它做任何事",
    "unknown": "{device}：物联中心有，真值中没有",
}


def words() -> dict[str, str]:
    """The sentences by name, their places in braces."""
    return _CHINESE if language() == "zh" else _ENGLISH
