"""What `bansui buffer` and `bansui audit` say of a store, in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bansui.failures import language

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WORDS: Final = {
    "en": {
        "duration": "{hours} h {minutes:02d} min",
        "days": "{days} d {hours} h",
        "stored": "stored      {duration}, {waiting_summaries} summaries",
        "room": "room        {duration} more at {summaries_an_hour} summaries an hour",
        "batches": "batches     {unacknowledged_batches} sent and not yet acknowledged, last {last_sequence}",
        "size": "size        {used} MiB, of which {ledger} MiB have been acknowledged; may become {limit} MiB",
        "retry": "next retry  {}",
        "retry.unknown": "unknown: no agent answers",
        "retry.now": "now",
        "retry.in": "in {} s",
        "wear": "wear        {}",
        "wear.unknown": "not measured yet",
        "wear.known": "{:.2f} GB a day written to disk",
        "whole": "the store is whole",
        "mend": "mend it with the agent stopped: `bansui buffer repair`",
        "exported": "{} summaries in {}",
        "left.unknown": "✕ {} left out: the version that wrote them knows them, this one does not",
        "left.damaged": "✕ {} left out: they are not what was written",
        "nothing": "the store is whole: nothing was done",
        "aside": "moved aside as {aside}; lost, as far as its counters can be read: "
        "{readings} readings, {summaries} summaries",
        "again": "`bansui audit` counts them; the agent may be started again",
        "rejected": "  rejected, {}: {}",
        "closes": "the balance closes",
        "open": "the balance does not close",
    },
    "zh": {
        "duration": "{hours} 小时 {minutes:02d} 分",
        "days": "{days} 天 {hours} 小时",
        "stored": "已存      {duration}，{waiting_summaries} 条汇总值",
        "room": "余量      还可存 {duration}（每小时 {summaries_an_hour} 条汇总值）",
        "batches": "批次      已发送未确认 {unacknowledged_batches} 个，最后序号 {last_sequence}",
        "size": "占用      {used} MiB，其中 {ledger} MiB 已确认；上限 {limit} MiB",
        "retry": "下次重试  {}",
        "retry.unknown": "未知：边缘网关没有应答",
        "retry.now": "现在",
        "retry.in": "{} 秒后",
        "wear": "写入量    {}",
        "wear.unknown": "尚未测得",
        "wear.known": "每天写盘 {:.2f} GB",
        "whole": "存储完整",
        "mend": "停止边缘网关后修复：`bansui buffer repair`",
        "exported": "{} 条汇总值写入 {}",
        "left.unknown": "✕ 略去 {} 条：由另一版本写入，本版本不认识",
        "left.damaged": "✕ 略去 {} 条：与写入时不一致",
        "nothing": "存储完整：没有做任何事",
        "aside": "已移开为 {aside}；按可读的计数，损失读数 {readings} 个、汇总值 {summaries} 条",
        "again": "`bansui audit` 会计入这些损失；可以重新启动边缘网关",
        "rejected": "  拒收，{}：{}",
        "closes": "账目平衡",
        "open": "账目不平衡",
    },
}


def say(name: str, *values: object, **named: object) -> str:
    """One sentence."""
    return _WORDS[language()][name].format(*values, **named)


def shown(figures: Mapping[str, Any]) -> Iterator[str]:
    """The lines of `bansui buffer show`."""
    retry, wear = figures["next_retry_s"], figures["wear_gb_a_day"]
    yield say("stored", duration=_duration(figures["stored_minutes"]), **figures)
    yield say("room", duration=_duration(figures["room_minutes"]), **figures)
    yield say("batches", **figures)
    sizes = {name: figures[f"{name}_bytes"] >> 20 for name in ("used", "ledger", "limit")}
    yield say("size", **sizes)
    when = "unknown" if retry is None else "in" if retry else "now"
    yield say("retry", say(f"retry.{when}", retry))
    yield say("wear", say("wear.unknown") if wear is None else say("wear.known", wear))


def balance(numbers: Mapping[str, int]) -> Iterator[str]:
    """The lines of `bansui audit`: each number with its name and what it counts."""
    from bansui.explanations import explanations  # noqa: PLC0415 - for a person alone, not at each start

    meanings = {entry.code: entry.what[language()] for entry in explanations() if entry.code in numbers}
    for name, number in numbers.items():
        yield f"{name:<14}{number:>12}  {meanings[name]}"


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if hours >= 72:
        return say("days", days=hours // 24, hours=hours % 24)
    return say("duration", hours=hours, minutes=rest)
