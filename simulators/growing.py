"""Schools of another size: more rooms or fewer, and many schools out of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.scenarios import LONGEST_CODE, ScenarioInvalid

if TYPE_CHECKING:
    from simulators.scenarios import DeviceModel, RoomModel, Scenario


def with_rooms(scenario: Scenario, rooms: int) -> Scenario:
    """The scenario with so many rooms: its first ones, or all of them and copies of its classrooms in turn.

    A copy has the devices of its original; its code and theirs end in `-2`, `-3` and so on.
    """
    kept = list(scenario.room[:rooms])
    codes = {room.code for room in kept}
    devices = [device for device in scenario.device if device.room in codes]
    classrooms = [room for room in kept if room.pupils] or kept
    by_room = {room.code: [device for device in devices if device.room == room.code] for room in classrooms}
    for number in range(rooms - len(kept)):
        model = classrooms[number % len(classrooms)]
        ending = f"-{number // len(classrooms) + 2}"
        kept.append(_room(model, ending))
        devices += [_device(device, ending) for device in by_room[model.code]]
    ids = {device.id for device in devices}
    alarms = tuple(alarm for alarm in scenario.alarm if alarm.device in ids)
    return _checked(scenario.model_copy(update={"room": tuple(kept), "device": tuple(devices), "alarm": alarms}))


def schools(scenario: Scenario) -> list[Scenario]:
    """Each of the scenario's schools as a scenario: itself, or many whose devices' ids begin with the school's code.

    The number at the end of the scenario's school code is counted up. Raises `ScenarioInvalid`, as does `with_rooms`.
    """
    if scenario.schools == 1:
        return [scenario]
    stem = scenario.school.rstrip("0123456789")
    digits = scenario.school[len(stem) :] or "1"
    codes = [f"{stem}{int(digits) + number:0{len(digits)}d}" for number in range(scenario.schools)]
    return [_school(scenario, code) for code in codes]


def _school(scenario: Scenario, code: str) -> Scenario:
    devices = tuple(
        device.model_copy(
            update={
                "id": f"{code}-{device.id}",
                "line": f"{code}-{device.line}" if device.line else "",
                "bridge": f"{code}-bridge",
            }
        )
        for device in scenario.device
    )
    alarms = tuple(alarm.model_copy(update={"device": f"{code}-{alarm.device}"}) for alarm in scenario.alarm)
    return _checked(scenario.model_copy(update={"school": code, "schools": 1, "device": devices, "alarm": alarms}))


def _checked(scenario: Scenario) -> Scenario:
    names = [*(room.code for room in scenario.room), *(device.id for device in scenario.device)]
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_CODE:
        raise ScenarioInvalid(
            f"copies need longer names than there may be: {longest!r} has more than {LONGEST_CODE} characters",
            fix="give rooms and devices of the scenario shorter names",
        )
    return scenario


def _room(room: RoomModel, ending: str) -> RoomModel:
    return room.model_copy(update={"code": room.code + ending})


def _device(device: DeviceModel, ending: str) -> DeviceModel:
    line = device.line + ending if device.line else ""
    return device.model_copy(update={"id": device.id + ending, "room": device.room + ending, "line": line})
