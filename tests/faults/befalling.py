"""What may befall an agent, its disk, its clock, its devices and its centre: one function each, of one life."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from edge_agent.clock_trust import EARLIEST_MS
from edge_agent.events import Undelivered
from edge_agent.store import ballast
from tests.edge_agent.harness import DAY, HOUR, MINUTE, SECOND
from tests.faults.vfs import cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.life import Life


def power_cut(life: Life) -> None:
    """Between any two writes: what was not synced is there, or not, or in part."""
    life.bench.commits.clear()
    place = life.folder / f"state-{life._starts}"
    steps = list(life._vfs.steps)
    last = max((index + 1 for index, step in enumerate(steps) if step.kind == "sync"), default=0)
    position = life.random.randint(last, len(steps))
    cut(steps, position, place, life.random)
    life.bench.store.close()
    life._start_on(place)


def power_cut_in_a_commit(life: Life) -> None:
    """While a transaction is being written: all of it is there afterwards, or nothing."""
    if not life.bench.commits:
        power_cut(life)
        return
    before = len(life._vfs.steps)
    life._write_unheard(life.bench.commits.pop())
    place = life.folder / f"state-{life._starts}"
    cut(list(life._vfs.steps), life.random.randint(before, len(life._vfs.steps)), place, life.random)
    life.bench.store.close()
    life._start_on(place)


def kill(life: Life) -> None:
    """The process dies; what it had written stays, and what was under way got there or did not."""
    if life.bench.commits and life.random.random() < 0.5:
        life._write_unheard(life.bench.commits[0])
    life._restart()


def answer_lost(life: Life) -> None:
    """The centre has the batch, and nobody hears of it."""
    if life.bench.sends:
        send = life.bench.sends.pop(0)
        life.centre.take(send)
        life.bench.play(Undelivered(send.batch, "the answer got lost"))


def answer_doubled(life: Life) -> None:
    """The centre's word comes twice."""
    if life.bench.sends:
        send = life.bench.sends.pop(0)
        answer = life.centre.take(send)
        life.bench.play(answer)
        life.bench.play(answer)


def answers_reordered(life: Life) -> None:
    """An answer comes after the batch was offered again, and that was answered."""
    if not life.bench.sends:
        return
    send = life.bench.sends.pop(0)
    early = life.centre.take(send)
    life.bench.play(Undelivered(send.batch, "no answer in time", 0))
    life._settle()
    if life.bench.sends:
        life.bench.play(life.centre.take(life.bench.sends.pop(0)))
    life.bench.play(early)


def centre_slow(life: Life) -> None:
    """It asks for a wait, or answers nobody for a time."""
    if life.bench.sends:
        send = life.bench.sends.pop(0)
        life.bench.play(Undelivered(send.batch, "HTTP 503", life.random.choice([None, 0, 30, 300])))


def centre_dead(life: Life) -> None:
    """Away for hours."""
    life._is_centre_up = False
    for _ in range(life.random.randint(5, 40)):
        life._live()
        life._hear()
    life.bench.pass_time(life.random.choice([MINUTE, HOUR, 5 * HOUR]))
    life._is_centre_up = True


def centre_restored(life: Life) -> None:
    """Its inbox is a copy of some time ago; not of before the bytes that the agent still has, and will have."""
    if life.bench.core.pressure.is_waiting(life.bench.clock.monotonic()):
        return
    backup = life.random.choice(life._backups)
    query = "SELECT epoch, max(sequence) FROM batch WHERE body IS NULL GROUP BY epoch"
    gone = dict(life.bench.store._connection.execute(query))
    if all(life.centre.applied_in(epoch, backup) >= sequence for epoch, sequence in gone.items()):
        life.centre.restore(backup)


def _is_behind(life: Life) -> bool:
    """Whether the centre was restored, and has not yet got again all that it acknowledged."""
    state = life.bench.core.state
    return life.centre.applied_in(state.epoch) < state.next_sequence - 1 - len(state.unacknowledged)


def centre_of_another_past(life: Life) -> None:
    """Its inbox is a copy of some batches ago, and another copy of the agent was there; all that it had is settled."""
    state, lost = life.bench.core.state, life.random.randint(0, 3)
    is_settled = not any(batch in life.centre.bodies for batch in state.unacknowledged)
    if is_settled and not _is_behind(life) and life.centre.applied_in(state.epoch) > lost:
        life.centre.change_past(state.epoch, lost)


def backup_of_centre(life: Life) -> None:
    """A copy of its inbox is made."""
    life._backups = [*life._backups[-2:], life.centre.copy()]


def agent_restored(life: Life) -> None:
    """The agent's disk is replaced by a copy of some time ago; what came in since is gone with the old one."""
    copy = life.folder / f"state-{life._starts}"
    life.bench.store._connection.wal_checkpoint()
    shutil.copytree(life.bench.folder, copy, ignore=shutil.ignore_patterns(ballast.NAME))
    received, forked_s = life.bench.audit().balance, life.bench.forked_s
    for _ in range(life.random.randint(5, 60)):
        life._live()
        life._hear()
    lost = life.bench.audit().balance
    life._forgiven += (lost["received"] - lost["duplicate"]) - (received["received"] - received["duplicate"])
    life.bench.store.close()
    life.bench.bodies.clear()
    life.bench.forked_s = forked_s
    life._start_on(copy)


def redelivered(life: Life) -> None:
    """The broker sends again, with DUP, what was not acknowledged; some of that is under way already."""
    device = life.random.choice(life.devices)
    if not life.bench.is_holding:
        life._bring(device, device.again())


def late(life: Life) -> None:
    """A device that was out of reach sends what it measured hours ago."""
    device = life.devices[2]
    life._bring(device, device.send_late(life.bench.clock.now() - life.random.randrange(12 * HOUR)))


def clock_step(life: Life) -> None:
    """The time service corrects the clock, or spoils it."""
    life.bench.clock.step(life.random.choice([-HOUR, -10 * MINUTE, -3 * SECOND, 3 * SECOND, 2 * HOUR]))


def clock_far(life: Life) -> None:
    """A month off, and back after a while."""
    days = life.random.choice([-30, 30]) * DAY
    life.bench.clock.step(days)
    for _ in range(life.random.randint(1, 10)):
        life._live()
    life.bench.clock.step(-days)


def clock_unknown(life: Life) -> None:
    """A start with no battery in the clock: 1970, until a time service comes, or the box is started again."""
    right, began = life.bench.clock.now(), life.bench.clock.monotonic()
    life._trust.is_kept = False
    life.bench.clock.step(life.random.choice([0, -right, EARLIEST_MS - right - DAY, DAY]))
    life._restart()
    for _ in range(life.random.randint(1, 25)):
        life._live()
        life._hear()
        if life.random.random() < 0.2:
            life._strike(FAULTS.keys())
    elapsed = int((life.bench.clock.monotonic() - began) * 1000)
    life.bench.clock.step(right + elapsed - life.bench.clock.now())
    life._trust.is_kept = True
    if life.random.random() < 0.5:  # the agent has not yet heard that its clock is right
        life._strike({"clock_far", "clock_unknown"})


def disk_full(life: Life) -> None:
    """No room for hours; then somebody makes some. Bytes that a restored centre still needs are not at stake."""
    if _is_behind(life):
        return
    life._free = 0
    for _ in range(life.random.randint(10, 60)):
        life._live()
        life._hear()
        if life.random.random() < 0.3 and life.bench.is_holding:
            life._strike(FAULTS.keys() - {"disk_full", "centre_restored"})
    life._free = 1 << 30
    if life.bench.is_holding and life.random.random() < 0.5:  # it has not yet seen that there is room
        life._strike({"disk_full", "centre_restored"})


def no_room(life: Life) -> None:
    """Commits find no room, for somebody else fills the disk: for moments or minutes. Bytes as above."""
    if _is_behind(life):
        return
    life._vfs.fits = life.random.randint(0, 8)
    for _ in range(life.random.randint(5, 25)):
        life._live()
        life._hear()
        if life.random.random() < 0.1:
            life._strike(_WITH_NO_ROOM)
    life._vfs.fits = None


def reload(life: Life) -> None:
    """The configuration is edited: a device comes or goes, a rule becomes stricter; the agent starts again."""
    devices = list(life.more_devices if life.random.random() < 0.5 or life.devices[-1].sent else life.devices_bound)
    if life.random.random() < 0.3:
        devices[2] = life.stricter
    life.bench.devices = devices
    life._restart()


def quiet(life: Life) -> None:
    """Nothing, for hours: what takes an hour without a fault, such as a count of people, comes to its end."""
    for _ in range(life.random.randint(10, 20)):
        life._arrive()
        life._arrive()
        life.bench.pass_time(10 * MINUTE)
        life._settle()
        life._answer()
        life._hear()


_WITH_NO_ROOM: Final = ("kill", "power_cut", "power_cut_in_a_commit", "answer_lost", "answer_doubled", "centre_slow")
FAULTS: Final[dict[str, Callable[[Life], None]]] = {
    "power_cut": power_cut,
    "power_cut_in_a_commit": power_cut_in_a_commit,
    "kill": kill,
    "answer_lost": answer_lost,
    "answer_doubled": answer_doubled,
    "answers_reordered": answers_reordered,
    "centre_slow": centre_slow,
    "centre_dead": centre_dead,
    "centre_restored": centre_restored,
    "centre_of_another_past": centre_of_another_past,
    "backup_of_centre": backup_of_centre,
    "agent_restored": agent_restored,
    "redelivered": redelivered,
    "late": late,
    "clock_step": clock_step,
    "clock_far": clock_far,
    "clock_unknown": clock_unknown,
    "disk_full": disk_full,
    "no_room": no_room,
    "reload": reload,
    "quiet": quiet,
}
