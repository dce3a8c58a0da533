"""What shows of people within timetable hours: a figure, since there it is told what a room was like.

The same attack as on the empty building, on windows of lesson time: whether somebody was in a room that stood empty
otherwise, and whether there was one pupil more in a class. The first mostly shows, which is the control; the second
must be hard to tell.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.edge_agent.harness import HOUR, MONDAY_9
from tests.privacy.attack import best_auc, standard_error
from tests.privacy.evening import Evening
from tests.privacy.presence import SURE_RAW, lived
from tests.privacy.proof import Proof, Result

if TYPE_CHECKING:
    from pathlib import Path

CLASS: Final = 40
MOST_AUC: Final = 0.65
LEAST_SEEN_AUC: Final = 0.90
_BEGIN_MS: Final = MONDAY_9 - HOUR


def run(count: int, folder: Path) -> Result:
    """Attack so many rooms, half of them with somebody; and so many lessons, half of them with one pupil more."""
    pairs = max(2, count // 4)
    alone = _areas(pairs, folder / "alone", others=0)
    more = _areas(pairs, folder / "more", others=CLASS)
    broken = [
        f"one pupil more shows in {name}: AUC {area:.2f}"
        for name, area in more.items()
        if area - 2 * standard_error(MOST_AUC, pairs) > MOST_AUC
    ]
    broken += [
        f"the attack does not find the person alone by {name}: AUC {alone[name]:.2f}"
        for name in SURE_RAW
        if alone[name] < LEAST_SEEN_AUC
    ]
    seen = (
        f"AUC by what left, of one person in an empty room: {_figures(alone)}; "
        f"of one pupil more among {CLASS}: {_figures(more)}"
    )
    return Result(4 * pairs, seen, tuple(broken))


def _areas(pairs: int, folder: Path, *, others: int) -> dict[str, float]:
    told, _ = lived(pairs, folder, partial(Evening, begin_ms=8 * HOUR, others=others), at_ms=_BEGIN_MS)
    return {key[1]: best_auc(told[1][key], told[0][key])[0] for key in sorted(told[0].keys() | told[1].keys())}


def _figures(areas: dict[str, float]) -> str:
    return ", ".join(f"{name} {area:.2f}" for name, area in areas.items() if not name.endswith(" n"))


PROOFS: Final = [
    Proof(
        name="lessons",
        claim_en="in timetable hours it shows that a room is used, but hardly one pupil more: AUC at most 0.65",
        claim_zh="课表时段内，离校数据能看出教室在用，但几乎看不出多了一名学生：AUC 不超过 0.65",
        short=80,
        long=600,
        run=run,
    )
]
