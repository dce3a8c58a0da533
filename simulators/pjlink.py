"""PJLink projectors, class 1 and class 2, on TCP: what a projector answers, and the server that says it.

Format: JBMIA, "PJLink Specifications, Class 2", version 2.00: section 2 "Commands" (forms and error codes), 4
"Class 1 commands", 5 "authentication" (MD5 of the random number and the password, before the first command of a
connection), and the rule that a connection is closed after 30 seconds of silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from simulators.scenarios import DeviceModel
    from simulators.timetable import RoomTimetable

STANDBY, ON, COOLING, WARMING = 0, 1, 2, 3
MODEL: Final = "PJLink class {}"
INPUTS: Final = ("11", "31", "32", "52")
UNDEFINED, OUT_OF_PARAMETER, UNAVAILABLE = "ERR1", "ERR2", "ERR3"
_WARM_UP_MS: Final = 60_000
_COOL_DOWN_MS: Final = 90_000
_EARLY_MS: Final = 120_000
"""Projectors are switched on two minutes before the first lesson of a session."""
_MS_PER_H: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the projector says to one command, and how many vocabulary measurements that is."""

    text: str
    readings: int = 0


_Query: TypeAlias = "Callable[[int], Answer]"


class Projector:
    """One projector's state at any moment of its day; switched by the timetable, or by a command."""

    def __init__(self, model: DeviceModel, day: RoomTimetable, rng: Random, start_ms: int) -> None:
        self.id = model.id
        self.pjlink_class = model.pjlink_class
        self._spans = [(session.start_ms - _EARLY_MS, session.end_ms) for session in day.sessions]
        self._day, self._start_ms = day, start_ms
        self._lamp_h = rng.randrange(200, 9000)
        self._filter_h = rng.randrange(20, 1500)
        self._serial = f"{rng.randrange(10**9):09d}"
        self._errors = "000010" if rng.random() < 0.2 else "000000"
        self._input = rng.choice(("31", "32"))
        self._mute = "30"
        self._commanded: tuple[int, bool] | None = None
        self._queries = self._class_1()
        self._queries_2 = self._class_2()

    def power(self, at_ms: int) -> int:
        """STANDBY, ON, COOLING or WARMING."""
        if self._commanded is not None:
            since_ms, is_on = self._commanded
        else:
            since_ms, is_on = self._scheduled(at_ms)
        if is_on:
            return WARMING if at_ms - since_ms < _WARM_UP_MS else ON
        return COOLING if at_ms - since_ms < _COOL_DOWN_MS else STANDBY

    def answer(self, command: str, parameter: str, *, of_class: int, at_ms: int) -> Answer:
        """What it says to `%<class><command> <parameter>`."""
        if of_class > self.pjlink_class:
            return Answer(UNDEFINED)
        queries = self._queries if of_class == 1 else self._queries_2
        if parameter == "?":
            query = queries.get(command)
            return Answer(UNDEFINED) if query is None else query(at_ms)
        if command not in ("POWR", "INPT", "AVMT"):
            return Answer(UNDEFINED if command not in queries else OUT_OF_PARAMETER)
        return Answer(self._set(command, parameter, at_ms))

    def _scheduled(self, at_ms: int) -> tuple[int, bool]:
        since_ms, is_on = self._start_ms - _COOL_DOWN_MS, False
        for on_ms, off_ms in self._spans:
            if on_ms <= at_ms:
                since_ms, is_on = (on_ms, True) if at_ms < off_ms else (off_ms, False)
        return since_ms, is_on

    def _set(self, command: str, parameter: str, at_ms: int) -> str:
        power = self.power(at_ms)
        if command == "POWR":
            if parameter not in ("0", "1"):
                return OUT_OF_PARAMETER
            if power in (COOLING, WARMING):
                return UNAVAILABLE
            if (power == ON) != (parameter == "1"):
                self._commanded = (at_ms, parameter == "1")
            return "OK"
        known = INPUTS if command == "INPT" else ("10", "11", "20", "21", "30", "31")
        if parameter not in known:
            return OUT_OF_PARAMETER
        if power != ON:
            return UNAVAILABLE
        if command == "INPT":
            self._input = parameter
        else:
            self._mute = parameter
        return "OK"

    def _class_1(self) -> dict[str, _Query]:
        return {
            "POWR": lambda at_ms: Answer(str(self.power(at_ms)), 1),
            "INPT": lambda at_ms: self._when_on(at_ms, self._input, 2),
            "AVMT": self._muted,
            "ERST": lambda _: Answer(self._errors, 6),
            "LAMP": self._lamp,
            "INST": lambda _: Answer(" ".join(INPUTS), 1),
            "NAME": lambda _: Answer(self.id),
            "INF1": lambda _: Answer("Bansui"),
            "INF2": lambda _: Answer(f"Simulated projector class {self.pjlink_class}"),
            "INFO": lambda _: Answer(""),
            "CLSS": lambda _: Answer(str(self.pjlink_class), 1),
        }

    def _class_2(self) -> dict[str, _Query]:
        return {
            "INPT": self._queries["INPT"],
            "INST": self._queries["INST"],
            "SNUM": lambda _: Answer(self._serial),
            "SVER": lambda _: Answer("1.00"),
            "IRES": lambda at_ms: self._when_on(at_ms, "1920x1080", 2),
            "RRES": lambda _: Answer("1920x1200", 2),
            "FILT": lambda _: Answer(str(self._filter_h), 1),
            "RLMP": lambda _: Answer("BS-LAMP-1"),
            "RFIL": lambda _: Answer("BS-FILTER-1"),
            "FREZ": lambda at_ms: self._when_on(at_ms, "0", 0),
        }

    def _when_on(self, at_ms: int, text: str, readings: int) -> Answer:
        return Answer(text, readings) if self.power(at_ms) == ON else Answer(UNAVAILABLE)

    def _muted(self, at_ms: int) -> Answer:
        # the picture is blanked in the breaks between lessons
        in_break = self._mute == "30" and not self._day.in_lesson(at_ms)
        return self._when_on(at_ms, "11" if in_break else self._mute, 2)

    def _lamp(self, at_ms: int) -> Answer:
        burnt_ms = sum(max(0, min(at_ms, off_ms) - on_ms) for on_ms, off_ms in self._spans)
        lit = int(self.power(at_ms) in (ON, WARMING))
        return Answer(f"{self._lamp_h + burnt_ms // _MS_PER_H} {lit}", 2)
