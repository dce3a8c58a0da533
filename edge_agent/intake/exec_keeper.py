"""Keeps one program of a device within its limits, in a process of its own between the agent and the program.

The agent runs this file by itself, so it imports the standard library alone. It is a subreaper (prctl(2)): whatever the
program forks, and however it hides, becomes a child of this process when its parent is gone, and ends with it. Its
standard input is a pipe that only the agent holds: when that closes, the agent is done or dead, and all of them end.

Limits of the system's bound each process (getrlimit(2)); the memory, the number and the processor time of all together
are looked at four times a second (proc(5)). None of it needs a privilege or a cgroup.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

ENDED, FAILED, ENDED_IN_ERROR, KILLED, NOT_STARTED, MEMORY, PROCESSES, TOLD_TO_END = range(8)
"""What this process exits with: why there is no program any more. FAILED is a fault of its own."""

_LOOK_EVERY_S: Final = 0.25
_FAREWELL_S: Final = 1.0
"""For how long a program that is told to end may tidy up."""
_BURST_S: Final = 1.0
"""Processor time that a program may save up, as for its start."""
_RESERVED: Final = 4
"""How much more than its memory one process may map: runtimes reserve what they do not use."""
_MOST_OF_USER: Final = 512
"""Processes of this user at which the program can fork no more, between two looks."""
_MOST_FILES: Final = 256
_AT_ONCE: Final = 512
"""Processes that are ended, or whose end is noted, before anything else is looked at."""
_DEAF_TO: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The agent's word is the pipe."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


class Program:
    """The program and everything it has started."""

    def __init__(
        self,
        *,
        command: list[str],
        folder: str,
        environment: dict[str, str],
        memory_bytes: int,
        cpu_share: float,
        processes: int,
    ) -> None:
        """`memory_bytes` and `processes` are of all together; `cpu_share` is of one processor."""
        self._command, self._folder, self._environment = command, folder, environment
        self._memory, self._share, self._most = memory_bytes, cpu_share, processes
        self._left_s = _BURST_S
        self._used_s = 0.0
        self._is_stopped = False
        self._looked_at = time.monotonic()
        self._pid = 0

    def start(self) -> bool:
        """Start it; false if the system cannot."""
        reading, writing = os.pipe()  # close on exec: whoever reads an end has been told of no failure
        self._pid = os.fork()
        if not self._pid:
            os.close(reading)
            try:
                self._become()
            except OSError as error:
                os.write(writing, bytes([error.errno or errno.EIO]))
            finally:
                os._exit(127)
        os.close(writing)
        failed = os.read(reading, 1)
        os.close(reading)
        return not failed

    def _become(self) -> None:
        """In the child: limit what is here, and be the program. Raises `OSError`."""
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (*_DEAF_TO, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.setpgid(0, 0)
        for limit, value in (
            (resource.RLIMIT_DATA, self._memory * _RESERVED),
            (resource.RLIMIT_FSIZE, self._memory),
            (resource.RLIMIT_NOFILE, _MOST_FILES),
            (resource.RLIMIT_NPROC, _MOST_OF_USER),
            (resource.RLIMIT_CORE, 0),
        ):
            _, hard = resource.getrlimit(limit)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901 - no looser than ours
            resource.setrlimit(limit, (value, value))
        (_PROC / "self/oom_score_adj").write_text("1000")  # whoever has to go for want of memory, it is not the agent
        os.chdir(self._folder)
        os.execve(self._command[0], self._command, self._environment)  # noqa: S606 - from a list, and no shell

    def look(self) -> int | None:
        """Why it ended or has to; None while all is well."""
        status = self._reap()
        if status is not None:
            if os.WIFSIGNALED(status):
                return KILLED
            return ENDED_IN_ERROR if os.WEXITSTATUS(status) else ENDED
        pids = descendants(self._most)
        if len(pids) > self._most:
            return PROCESSES
        if sum(map(memory, pids)) > self._memory:
            return MEMORY
        self._spare_the_processor(pids)
        return None

    def end(self, *, gently: bool) -> None:
        """Leave nothing of it; `gently` gives the program time to tidy up."""
        if gently:
            self._tell(signal.SIGTERM)
            self._tell(signal.SIGCONT)
            until = time.monotonic() + _FAREWELL_S
            while time.monotonic() < until and self._reap() is None:
                time.sleep(0.02)
        while True:
            self._tell(signal.SIGKILL)  # its whole group at once: nobody of it can fork any more
            for pid in descendants(_AT_ONCE):
                _kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._reap()

    def _reap(self) -> int | None:
        """Take note of whatever ended; the status of the program itself if it did."""
        ended = None
        for _ in range(_AT_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == self._pid:
                ended = status
        return ended

    def _spare_the_processor(self, pids: list[int]) -> None:
        """Stop whatever has used up its share of a processor, until it has some again."""
        now, times = time.monotonic(), os.times()
        used_s = times.children_user + times.children_system + sum(map(processor_s, pids))
        self._left_s += (now - self._looked_at) * self._share - max(0.0, used_s - self._used_s)
        self._left_s = min(self._left_s, _BURST_S)
        self._looked_at, self._used_s = now, max(used_s, self._used_s)
        if self._left_s < 0 or self._is_stopped:
            self._is_stopped = self._left_s < 0
            for pid in pids:
                _kill(pid, signal.SIGSTOP if self._is_stopped else signal.SIGCONT)

    def _tell(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            return  # its group is empty


def descendants(enough: int) -> list[int]:
    """Every process below this one, the nearest first; of more than `enough`, no more than show that there are.

    They may fork faster than anybody could look through them all.
    """
    found: list[int] = []
    unseen = [os.getpid()]
    while unseen and len(found) <= enough:
        below = _children(unseen.pop())
        found += below
        unseen += below
    return found


def _children(pid: int) -> list[int]:
    """Of every thread of a process."""
    found: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (thread / "children").read_bytes().split())
    except OSError:
        pass  # it is gone
    return found


def memory(pid: int) -> int:
    """Bytes in RAM that are a process's own or shared by it on purpose, and no file's; 0 of one that is gone."""
    try:
        lines = (_PROC / str(pid) / "status").read_bytes().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith((b"RssAnon", b"RssShmem")))


def processor_s(pid: int) -> float:
    """Seconds of processor that a process and its ended children used; 0 of one that is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return 0.0
    return sum(map(int, stat.rpartition(b")")[2].split()[11:15])) / _TICKS


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it is gone, or is not ours to tell


def keep(program: Program) -> int:
    """Watch until the program is over, or the agent is; returns why."""
    woken, waking = os.pipe()
    for end in (woken, waking):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if not program.start():
        return NOT_STARTED
    _let_go_of_the_pipes()
    poll = select.poll()
    for end in (0, woken):
        poll.register(end, select.POLLIN)
    while True:
        ready = [end for end, _ in poll.poll(_LOOK_EVERY_S * 1000)]
        if 0 in ready:  # it is closed: nothing is ever written there
            return TOLD_TO_END
        if woken in ready:
            os.read(woken, 4096)
        verdict = program.look()
        if verdict is not None:
            return verdict


def _prctl(option: int, value: int) -> None:
    import ctypes  # noqa: PLC0415 - the agent reads this file for its words alone

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _let_go_of_the_pipes() -> None:
    """Only the program writes to the agent: when it is gone, the pipes are closed."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for end in (1, 2):
        os.dup2(nothing, end)


def main() -> None:
    """Start the program that the first argument describes, and keep it."""
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    program = Program(**json.loads(sys.argv[1]))
    verdict = FAILED
    try:
        verdict = keep(program)
    finally:
        program.end(gently=verdict == TOLD_TO_END)
        os._exit(verdict)


if __name__ == "__main__":
    main()
