"""The few words of the demo's screen, in the reader's language."""

from __future__ import annotations

from typing import Final

_ENGLISH: Final = {
    "opened": "The IoT centre's page. Ctrl-C ends it.",
    "title": "A simulated school day",
    "time": "time of day",
    "rooms": "rooms fresh",
    "worst": "most CO2",
    "received": "readings received",
    "summaries": "summaries",
    "outbox": "{waiting} waiting, {acknowledged} acknowledged",
    "uplink": "uplink",
    "agent": "agent",
    "up": "● up",
    "down": "✕ CUT",
    "running": "● running",
    "killed": "✕ killed, starting again",
    "running.again": "● running, killed and started again: {kills}",
    "balance": "The balance of the day, against the ground truth",
    "row.repeat": "readings, devices that repeat until confirmed",
    "sent": "{sent} sent, {counted} taken in; {duplicates} came twice",
    "lost": "lost {lost}, doubled {doubled}",
    "row.once": "readings, devices that say all once",
    "once": "{said_once} said, {heard_once} heard",
    "invented": "invented {invented}",
    "row.windows": "windows, every mean and count",
    "windows": "{compared} compared; {untold} quarters outside the timetable, {not_over} not over yet",
    "windows.verdict": "missing {missing}, mismatched {mismatched}",
    "row.summaries": "summaries",
    "stored": "{acknowledged} acknowledged, {stored} stored",
    "stored.verdict": "waiting {waiting}, stored twice {repeated}",
    "row.agent": "the agent's own balance",
    "equations": "{received} = {admitted} admitted + {rejected} rejected + {duplicate} duplicate",
    "equations.hold": "closes",
    "equations.fail": "does not close",
    "row.faults": "on the way",
    "faults": "uplink cut for {minutes} min, agent killed: {kills}",
    "row.first": "first room on the page",
    "first": "{seconds} s after the start",
    "closes": "✓ Every reading and every summary is accounted for.",
    "fails": "✕ The balance fails: {names}",
    "look": "With --keep, the folder with stores, logs and ground truth stays.",
    "stopped": "Stopped; every process has ended.",
    "kept": "Kept: {folder}",
}
_CHINESE: Final = {
    "opened": "物联中心页面。按 Ctrl-C 结束。",
    "title": "仿真学校的一天",
    "time": "时刻",
    "rooms": "新鲜教室",
    "worst": "二氧化碳最高",
    "received": "已收读数",
    "summaries": "汇总值",
    "outbox": "待确认 {waiting}，已确认 {acknowledged}",
    "uplink": "上行链路",
    "agent": "边缘网关",
    "up": "● 畅通",
    "down": "✕ 中断",
    "running": "● 运行",
    "killed": "✕ 被强制结束，正在重启",
    "running.again": "● 运行，已强制结束并重启 {kills} 次",
    "balance": "全天收支，与真值对照",
    "row.repeat": "读数：重发直至确认的设备",
    "sent": "发出 {sent}，收入 {counted}；重复到达 {duplicates}",
    "lost": "丢失 {lost}，重复计入 {doubled}",
    "row.once": "读数：只说一次的设备",
    "once": "说出 {said_once}，听到 {heard_once}",
    "invented": "多出 {invented}",
    "row.windows": "时间窗：每个均值与个数",
    "windows": "对照 {compared}；另有 {untold} 刻钟在课表时段外，{not_over} 刻钟尚未结束",
    "windows.verdict": "缺失 {missing}，不符 {mismatched}",
    "row.summaries": "汇总值",
    "stored": "确认 {acknowledged}，入库 {stored}",
    "stored.verdict": "待确认 {waiting}，重复入库 {repeated}",
    "row.agent": "边缘网关自身的收支",
    "equations": "{received} = 接纳 {admitted} + 拒收 {rejected} + 重复 {duplicate}",
    "equations.hold": "平衡",
    "equations.fail": "不平衡",
    "row.faults": "途中",
    "faults": "上行中断 {minutes} 分钟，边缘网关被强制结束 {kills} 次",
    "row.first": "第一个教室上页",
    "first": "启动后 {seconds} 秒",
    "closes": "✓ 每个读数、每个汇总值都有着落。",
    "fails": "✕ 收支不平：{names}",
    "look": "加上 --keep，可保留含存储、日志与真值的文件夹。",
    "stopped": "已停止，所有进程均已结束。",
    "kept": "已保留：{folder}",
}


class Words:
    """The words in one language."""

    def __init__(self, language: str) -> None:
        """`language` is `zh`, or English."""
        self._words = _CHINESE if language == "zh" else _ENGLISH

    def __call__(self, key: str, **values: object) -> str:
        """The words of that key, numbers grouped by thousands."""
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        return self._words[key].format(**shown)
