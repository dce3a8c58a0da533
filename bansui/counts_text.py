"""What is told of people counts, with how much noise, and what such a number is worth, in English and Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bansui.policy_text import wrapped
from edge_agent.privacy.budget import NANO, epsilon
from edge_agent.privacy.noise import NoiseMissing, discrete_gaussian

if TYPE_CHECKING:
    from edge_agent.privacy.plan import CountsPlan

TERM_DAYS: Final = 100
CLASS_SIZE: Final = 45
_WORDS: Final = {
    "en": {
        "campus": "People counts: one total for the campus of each of {statistics} quantities, for each whole hour of "
        "the timetable, at most {slots} a day.",
        "room": "People counts: one number of each room and quantity, of at most {statistics} quantities a room, for "
        "each whole hour of the timetable, at most {slots} a day.",
        "noise": "Discrete Gaussian noise with sigma {sigma:.2f}: in 95 of 100 cases a number is within {error} of the "
        "truth.",
        "worth_campus": "It tells a full school from a half empty one, and not whether one person was there.",
        "worth_room": "Of a class of {size}, that is {share} % either way: it tells a full room from an empty one, and "
        "neither how many are missing nor who. Do not act on a single one.",
        "budget": "A person who is there all day, in up to {rooms} rooms in an hour, spends at most rho {rho:.3f}: "
        "epsilon {day:.1f} at delta 1e-6. {term} such days compose to rho {term_rho:.1f}, epsilon {term_epsilon:.0f}: "
        "who belongs to the school is not hidden by this, who was there on a day is.",
        "missing": "They are not told at present: {what}; {fix}.",
    },
    "zh": {
        "campus": "人数：课表内每个整点小时，全校 {statistics} 项指标各一个总数，每天最多 {slots} 次。",
        "room": "人数：课表内每个整点小时，每个教室每项指标一个数（每室最多 {statistics} 项），每天最多 {slots} 次。",
        "noise": "加离散高斯噪声，sigma 为 {sigma:.2f}：100 次中有 95 次，数值与真实值相差不超过 {error}。",
        "worth_campus": "它能区分满员与半空的学校，看不出某一个人在不在。",
        "worth_room": "对 {size} 人的班级即上下各 {share} %：能区分满与空，看不出缺几人，更看不出缺谁。"
        "不要凭单个数值行事。",
        "budget": "一个人全天在校、每小时出现在最多 {rooms} 个教室，最多消耗 rho {rho:.3f}："
        "delta 为 1e-6 时 epsilon 为 {day:.1f}。{term} 个这样的日子合计 rho {term_rho:.1f}、"
        "epsilon {term_epsilon:.0f}：它不掩盖谁属于这所学校，掩盖的是谁哪天在校。",
        "missing": "目前未发布：{what}；{fix}。",
    },
}


def counts_told(plan: CountsPlan, language: str) -> str:
    """A paragraph on the plan; the honest limits too."""
    words, budget = _WORDS[language], plan.budget
    rho = budget.rho_nano / NANO
    kind = "room" if plan.by_room else "campus"
    sentences = [words[kind], words["noise"], words[f"worth_{kind}"], words["budget"]]
    try:
        discrete_gaussian(budget)
    except NoiseMissing as error:
        sentences.append(words["missing"].format(what=error.what, fix=error.fix))
    text = (" " if language == "en" else "").join(sentences)
    told = text.format(
        statistics=plan.statistics,
        slots=budget.slots,
        sigma=budget.sigma_milli / 1000,
        error=budget.error95,
        size=CLASS_SIZE,
        share=round(100 * budget.error95 / CLASS_SIZE),
        rooms=plan.rooms_per_slot,
        rho=rho,
        day=epsilon(rho),
        term=TERM_DAYS,
        term_rho=TERM_DAYS * rho,
        term_epsilon=epsilon(TERM_DAYS * rho),
    )
    return "\n".join(wrapped(told, ""))
