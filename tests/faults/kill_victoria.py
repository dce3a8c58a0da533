"""The VictoriaMetrics behind a real centre is killed under load: it has everything again, once."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.cloud_sink.support import CONFIG, SCHOOLS, running_centre
from tests.faults.campaign import Campaign, Outcome
from tests.faults.kill_centre import Row, Sender, acknowledged
from tests.support.victoria_metrics import VictoriaMetrics
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cloud_sink.support import Running

SEED: Final = 20261125
_LOAD_S: Final = 0.5
_LONGEST_S: Final = 60.0
_METRIC: Final = "carbon_dioxide_mean"


def config(store: VictoriaMetrics) -> str:
    """A centre's file with this store in it."""
    return f'{CONFIG}[victoria_metrics]\nurl = "{store.url}"\n'


def lacks_nothing(centre: Running) -> bool:
    """Whether the second store has what the first has."""
    health = centre.get("/api/v1/health")
    return not health["batches_waiting"] and health["victoria_metrics"] == {"is_up": True, "lacks": 0}


def rows(store: VictoriaMetrics) -> Counter[Row]:
    """What it has, and how often."""
    samples = store.samples(_METRIC)
    return Counter(Row(labels["school"], labels["device"], at, round(value)) for labels, at, value in samples)


def run(count: int, folder: Path, patience_s: float = 30.0) -> Outcome:
    """Kill it `count` times at random moments while two agents send; then compare it with what was acknowledged."""
    rng = random.Random(SEED)
    store = VictoriaMetrics(folder / "victoria")
    senders = [Sender(agent) for agent in SCHOOLS]
    try:
        with running_centre(folder, config=config(store)) as centre:
            for _ in range(count):
                _kill_under_load(store, senders, centre, rng)
            expected = acknowledged(senders)
            with contextlib.suppress(AssertionError):  # what is not there by then is lost
                wait_until(lambda: expected <= rows(store).keys(), patience_s)
            wait_until(lambda: lacks_nothing(centre), _LONGEST_S, "the centre says so")
        found = rows(store)
    finally:
        store.kill()
    broken = [refusal for sender in senders for refusal in sender.refused]
    broken += [f"{len(found.keys() - expected)} summaries that nobody sent"] if found.keys() - expected else []
    lost, doubled = len(expected - found.keys()), sum(found.values()) - len(found)
    return Outcome(count, lost, doubled, f"{len(expected):,} summaries acknowledged under the kills", tuple(broken))


def _kill_under_load(store: VictoriaMetrics, senders: list[Sender], centre: Running, rng: random.Random) -> None:
    """A load that it keeps up with, and its death in the middle."""
    wait_until(lambda: lacks_nothing(centre), _LONGEST_S, "VictoriaMetrics has everything")
    deadline = time.monotonic() + _LOAD_S
    threads = [threading.Thread(target=sender.send, args=(centre, deadline)) for sender in senders]
    threads.append(threading.Timer(rng.uniform(0.1, _LOAD_S), store.restart))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


CAMPAIGNS: Final = [
    Campaign(
        name="kill-victoria",
        fault="SIGKILL of the VictoriaMetrics behind the centre, under load",
        short=2,
        long=60,
        run=run,
        needs="victoria_metrics",
    )
]
