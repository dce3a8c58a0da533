"""The egress ledger as a terminal shows it, in English and Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_agent.privacy.egress import Sum, Totals
    from edge_agent.store.batches import Verified

_WORDS: Final = {
    "en": {
        "day": "{day}: {batches} batches, {bytes} bytes with padding, {summaries} summaries",
        "nothing": "{day}: nothing left this school",
        "acknowledged": "acknowledged",
        "waiting": "waiting",
        "refused": "refused",
        "forked": "forked",
        "state": "  {name:<14}{batches:>8} batches  {bytes:>12} bytes  {summaries:>9} summaries",
        "reports": "  of these, {batches} tell of the agent itself ({bytes} bytes)",
        "quantities": "summaries by quantity",
        "classes": "summaries by privacy class",
        "row": "  {number:>9}  {name}",
        "hash": "  of {batches} batches ({summaries} summaries) only the hash is kept: no bytes, quantities or classes",
        "unreadable": "  the bytes of {batches} batches are not what was sealed: `bansui privacy verify`",
        "head": "day            batches         bytes  summaries  acknowledged  waiting  only hash",
        "none": "nothing has left this school",
        "chain": "epoch {epoch}: {batches} batches to {epoch}-{sequence}, of {only_hash} only the hash; head {head}",
        "whole": "every byte that left is as it was sealed, and the chain is whole",
        "broken": "the egress ledger is not what was sealed",
    },
    "zh": {
        "day": "{day}：{batches} 个批次，含填充 {bytes} 字节，{summaries} 个汇总值",
        "nothing": "{day}：没有数据离开本校",
        "acknowledged": "已确认",
        "waiting": "待确认",
        "refused": "被拒绝",
        "forked": "编号已被占用",
        "state": "  {name}：{batches} 个批次，{bytes} 字节，{summaries} 个汇总值",
        "reports": "  其中 {batches} 个批次是边缘网关自身状况（{bytes} 字节）",
        "quantities": "按指标的汇总值数",
        "classes": "按隐私类别的汇总值数",
        "row": "  {number:>9}  {name}",
        "hash": "  {batches} 个批次（{summaries} 个汇总值）只保留散列：不计入字节、指标与类别",
        "unreadable": "  {batches} 个批次的字节与封存时不符：请运行 `bansui privacy verify`",
        "head": "日期              批次          字节     汇总值        已确认   待确认   仅散列",
        "none": "还没有数据离开本校",
        "chain": "纪元 {epoch}：共 {batches} 个批次，至 {epoch}-{sequence}，其中 {only_hash} 个只有散列；链头 {head}",
        "whole": "离开的每个字节都与封存时一致，批次链完整",
        "broken": "出口账本与封存时不符",
    },
}
_ROW: Final = "{day:<12}{batches:>10}{bytes:>14}{summaries:>11}{acknowledged:>14}{waiting:>9}{only_hash:>11}"


def one_day(day: str, totals: Totals, language: str) -> str:
    """All that left on one day."""
    return "\n".join(_one_day(day, totals, language))


def _one_day(day: str, totals: Totals, language: str) -> Iterator[str]:
    words = _WORDS[language]
    if not totals.whole.batches:
        yield words["nothing"].format(day=day)
        return
    yield words["day"].format(day=day, **_figures(totals.whole))
    for name, each in totals.states.items():
        if each.batches:
            yield words["state"].format(name=words[name], **_figures(each))
    for name, each in (("reports", totals.reports), ("hash", totals.only_hash), ("unreadable", totals.unreadable)):
        if each.batches:
            yield words[name].format(**_figures(each))
    if totals.quantities:
        yield words["quantities"]
        for quantity_id, number in totals.quantities.most_common():
            yield words["row"].format(number=f"{number:,}", name=_quantity(quantity_id, language))
        yield words["classes"]
        for name, number in sorted(totals.classes.items()):
            yield words["row"].format(number=f"{number:,}", name=name)


def _quantity(quantity_id: str, language: str) -> str:
    entry = quantity(quantity_id)
    return f"{quantity_id} ({entry.name_zh if language == 'zh' else entry.name_en})"


def days(totals: Mapping[str, Totals], language: str) -> str:
    """A line for each day, the earliest first."""
    words = _WORDS[language]
    if not totals:
        return words["none"]
    rows = (
        _ROW.format(
            day=day,
            **_figures(each.whole),
            acknowledged=each.states["acknowledged"].batches,
            waiting=each.states["waiting"].batches,
            only_hash=each.only_hash.batches,
        )
        for day, each in totals.items()
    )
    return "\n".join([words["head"], *rows])


def verified(found: Verified, language: str) -> str:
    """What a look at the whole ledger came to."""
    words = _WORDS[language]
    heads = [
        words["chain"].format(
            epoch=each.epoch, sequence=each.sequence, batches=each.batches, only_hash=each.only_hash, head=each.head
        )
        for each in found.heads
    ]
    verdict = words["broken"] if found.faults else words["whole"]
    return "\n".join([*heads, *(f"✕ {fault}" for fault in found.faults), verdict])


def _figures(of: Sum) -> dict[str, str]:
    return {"batches": f"{of.batches:,}", "bytes": f"{of.bytes:,}", "summaries": f"{of.summaries:,}"}
