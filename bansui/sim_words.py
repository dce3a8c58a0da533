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
}
_CHINESE: Final = {
    "away": "{address}：设备连不上消息代理，最先是 {client}：{why}",
    "away.meanwhile": "仿真继续，设备保留要发的内容并重试；结束后 {seconds:.0f} 秒放弃（退出码 1）",
    "away.fix": "确认消息代理在该地址运行并允许这些客户端接入，或改用 --broker",
    "back": "{address}：所有设备已重新连上消息代理",
}


def words() -> dict[str, str]:
    """The sentences by name, their places in braces."""
    return _CHINESE if language() == "zh" else _ENGLISH
