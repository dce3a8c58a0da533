"""The account's words, in Chinese and English, or both side by side."""

from __future__ import annotations

from typing import Final

_WORDS: Final = {
    "title": ("{year} 年数据出校账目", "What left the school in {year}"),
    "lead": (
        "供未成年人个人信息保护合规审计使用。离开学校的是数值和枚举组成的汇总值，没有文字，也没有任何人的标识。",
        "For the yearly audit of minors' personal information. Numbers and enums left: no text, and nobody's name.",
    ),
    "subject": ("对象与版本", "Subject and versions"),
    "school": ("学校", "school"),
    "agent": ("边缘网关", "agent"),
    "made": ("生成时间", "made"),
    "software": ("软件版本", "software"),
    "contract": ("上行契约", "uplink contract"),
    "store_schema": ("存储结构版本", "schema of the store"),
    "policy": ("隐私策略", "privacy policy"),
    "configuration": ("配置 SHA-256", "configuration, SHA-256"),
    "version": ("第 {version} 版", "version {version}"),
    "months": ("逐月", "By month"),
    "month": ("月份", "month"),
    "batches": ("批次", "batches"),
    "summaries": ("汇总值", "summaries"),
    "bytes": ("字节（含填充）", "bytes, padding included"),
    "acknowledged": ("已确认批次", "batches acknowledged"),
    "waiting": ("待确认批次", "batches waiting"),
    "refused": ("被拒绝批次", "batches refused"),
    "forked": ("编号已被占用的批次", "batches whose number was taken"),
    "hash_batches": ("仅存散列的批次", "batches of which only the hash is kept"),
    "hash_summaries": ("其中的汇总值", "summaries in these"),
    "unreadable": ("与封存不符的批次", "batches that are not what was sealed"),
    "total": ("全年", "the year"),
    "hash_note": (
        "字节只保留 ledger_days 天；之后批次仍计入批次与汇总值，但不再计入字节、指标和类别。",
        "Bytes are kept for ledger_days; after that a batch no longer counts in bytes, quantities and classes.",
    ),
    "quantities": ("按指标", "By quantity"),
    "quantity": ("指标", "quantity"),
    "classes": ("按隐私类别：目的、接收方、保存期限", "By privacy class: purpose, recipients, retention"),
    "class": ("类别", "class"),
    "purpose": ("目的", "purpose"),
    "recipients": ("接收方", "recipients"),
    "recipient.school": ("学校", "school"),
    "recipient.district": ("区", "district"),
    "days": ("物联中心保存天数", "days kept at the centre"),
    "nothing_leaves": ("不离开学校，也不保存", "never leaves, and is never kept"),
    "unknown": ("设备已不在配置中", "device no longer configured"),
    "class_note": (
        "类别、目的、接收方和期限按当前策略与配置列出。",
        "Classes, purposes, recipients and retention are those of the policy and the configuration in force.",
    ),
    "budget": ("隐私预算", "Privacy budget"),
    "budget_none": ("无：全年没有发布人数。", "None: no count of people was told in the year."),
    "budget_slots": ("已发布的课时数", "slots told"),
    "budget_rho": ("全年已用 rho", "rho spent in the year"),
    "budget_most": ("任意 24 小时最多已用 rho", "most rho spent in any 24 hours"),
    "budget_limit": ("每人每日预算 rho", "budget of one person for one day, rho"),
    "budget_sigma": ("噪声 sigma 最小值（人）", "least noise, sigma in people"),
    "ledger": ("出口账本", "Egress ledger"),
    "epoch": ("纪元", "epoch"),
    "only_hash": ("仅存散列", "only hash"),
    "head": ("链头", "head"),
    "whole": ("每个字节都与封存时一致，批次链完整。", "Every byte is as it was sealed, and the chain is whole."),
    "broken": ("账本与封存时不符：", "The ledger is not what was sealed:"),
    "accesses": ("访问记录", "Access log"),
    "time": ("时间", "time"),
    "account": ("账号编号", "number of the account"),
    "command": ("命令", "command"),
    "access_note": (
        "记录查看出口账本的命令，不记姓名，也不记所读内容。校内页面无需登录，不记录访问者。",
        "Commands that looked at the ledger, without names. The pages in the school ask for no login and note nobody.",
    ),
    "none": ("无", "none"),
}


class Words:
    """Looks words up."""

    def __init__(self, language: str) -> None:
        """`zh`, `en`, or `both`."""
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The word or sentence of that key."""
        return self.of(*(text.format(**values) for text in _WORDS[key]))

    def of(self, zh: str, en: str) -> str:
        """One of two texts, or both."""
        return {"zh": zh, "en": en}.get(self.language) or (zh if zh == en else f"{zh} / {en}")
