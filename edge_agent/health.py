"""The local page for supervision: /healthz and Prometheus /metrics, on loopback, without device, room or quantity.

Names follow Prometheus conventions; the list with meanings stands in docs/metrics.md and is tested against it.
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from edge_agent.listener_metrics import listener_metrics
from edge_agent.local.server import Answer, PageServer
from edge_agent.store.commit_times import BOUNDS_S
from edge_agent.store.wear import bytes_written
from edge_agent.transactions import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from broker.listener import Listener
    from edge_agent.asking import Asking
    from edge_agent.counts import CountKey
    from edge_agent.local.server import Request
    from edge_agent.store import CommitTimes
    from telemetry.uplink_contract import AgentReport

_BALANCE: Final = ("received", "admitted", "duplicate", "summarised", "late", "gap", "withheld")
_SUMMARIES: Final = ("summaries", "acknowledged", "merged", "fork", "refused", "damaged")


class Health:
    """What the page is made of: handed in, so that a page never reaches into the agent."""

    def __init__(
        self,
        *,
        report: Callable[[], AgentReport],
        counts: Callable[[], Mapping[CountKey, int]],
        unavailable: Callable[[], int],
        uplink_up: Callable[[], bool],
        broker_up: Callable[[], bool] | None,
        next_retry_s: Callable[[], float],
        people: Callable[[], str | None],
        buffer: Callable[[], tuple[int, bool]],
        commit_times: CommitTimes,
        listener: Callable[[], Listener | None],
        asking: Asking,
        program_errors: Callable[[], int] = lambda: 0,
    ) -> None:
        """`people` says why people counts are not told, if they are not; `buffer` gives the bytes in use, and whether
        senders are held back; `broker_up` is None without a subscriber; `program_errors` counts what programs of
        devices said of errors."""
        self.report = report
        self.counts = counts
        self.unavailable = unavailable
        self.uplink_up = uplink_up
        self.broker_up = broker_up
        self.next_retry_s = next_retry_s
        self.people = people
        self.buffer = buffer
        self.commit_times = commit_times
        self.listener = listener
        self.asking = asking
        self.program_errors = program_errors

    def as_dict(self) -> dict[str, object]:
        """What /healthz says; `status` is `ok`, or `degraded` while the centre, the broker or a device is out of
        reach."""
        report = self.report()
        used_bytes, is_holding = self.buffer()
        links = {"uplink": self.uplink_up()} | ({"broker": self.broker_up()} if self.broker_up is not None else {})
        well = all(links.values()) and not self.unavailable() and not is_holding
        return {
            "status": "ok" if well else "degraded",
            **{name: "up" if is_up else "down" for name, is_up in links.items()},
            "devices_unavailable": self.unavailable(),
            "next_retry_s": round(self.next_retry_s()),
            "buffer_used_bytes": used_bytes,
            "buffer_is_full": is_holding,
            "people_counts": self.people() or "open",
            **report.as_dict(),
        }


class AgentCollector(Collector):
    """The agent's figures as Prometheus reads them."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """Every metric of the agent, at this moment."""
        report = self._health.report().as_dict()
        readings = CounterMetricFamily("bansui_agent_readings", "Readings by stage of the balance", labels=["stage"])
        for stage in _BALANCE:
            readings.add_metric([stage], report[stage])
        yield readings
        rejected = CounterMetricFamily(
            "bansui_agent_rejected_readings", "Readings refused, by reason", labels=["reason"]
        )
        dropped = departed = 0
        reasons: dict[str, int] = {}
        slots = CounterMetricFamily(
            "bansui_agent_p2_slots", "Slots of people counts, by what came of them", labels=["reason"]
        )
        for key, number in sorted(self._health.counts().items()):
            if key.stage == "rejected":
                reasons[key.reason] = reasons.get(key.reason, 0) + number
            elif key.stage == "slots":
                slots.add_metric([key.reason], number)
            elif key.stage == "dropped":
                dropped += number
            elif key.stage == "departed":
                departed += number
        for reason, number in sorted(reasons.items()):
            rejected.add_metric([reason], number)
        yield rejected
        yield slots
        yield CounterMetricFamily("bansui_agent_dropped_fields", "Fields no driver declares", value=dropped)
        errors = self._health.program_errors()
        yield CounterMetricFamily("bansui_agent_program_error_lines", "Lines on programs' standard error", value=errors)
        asked = self._health.asking.sent
        yield CounterMetricFamily("bansui_agent_rebirth_requests", "Requests for a rebirth sent to nodes", value=asked)
        yield CounterMetricFamily("bansui_agent_departures", "Devices that went without a goodbye", value=departed)
        summaries = CounterMetricFamily("bansui_agent_summaries", "Summaries by stage", labels=["stage"])
        for stage in _SUMMARIES:
            summaries.add_metric([stage], report[stage])
        yield summaries
        written = bytes_written()
        yield CounterMetricFamily("bansui_agent_disk_written_bytes", "Bytes written to disks", value=written)
        steps, restamped = report["clock_steps"], report["restamped"]
        yield CounterMetricFamily("bansui_agent_clock_steps", "How often the clock was set", value=steps)
        yield CounterMetricFamily("bansui_agent_restamped_rows", "Rows with a time not to be believed", value=restamped)
        yield from self._gauges(report)
        yield self._commit_seconds()
        listener = self._health.listener()
        if listener is not None:
            yield from listener_metrics(listener.counters, listener.limits)

    def _commit_seconds(self) -> Metric:
        histogram = HistogramMetricFamily(
            "bansui_agent_commit_seconds", "How long commits took, until they were on disk", labels=["kind"]
        )
        bounds = [*map(floatToGoString, BOUNDS_S), "+Inf"]
        for kind in Kind:
            counts, seconds = self._health.commit_times.of(kind)
            histogram.add_metric([kind], list(zip(bounds, accumulate(counts), strict=True)), seconds)
        return histogram

    def _gauges(self, report: Mapping[str, int]) -> Iterable[Metric]:
        for name, text, value in (
            ("bansui_agent_open_readings", "Readings in windows that are not over", report["open"]),
            ("bansui_agent_waiting_summaries", "Summaries the centre has not acknowledged", report["waiting"]),
            ("bansui_agent_buffer_stored_minutes", "Age of the oldest such summary", report["stored_minutes"]),
            ("bansui_agent_buffer_room_minutes", "How much longer the disk lasts", report["room_minutes"]),
            ("bansui_agent_buffer_used_bytes", "Of the store's file, what is in use", self._health.buffer()[0]),
            (
                "bansui_agent_buffer_full",
                "1 while senders are held back for want of room",
                int(self._health.buffer()[1]),
            ),
            ("bansui_agent_next_retry_seconds", "Until a batch is offered again", round(self._health.next_retry_s())),
            ("bansui_agent_devices_unavailable", "Devices that do not answer", self._health.unavailable()),
            ("bansui_agent_births_awaited", "Nodes whose birth is wanted", self._health.asking.awaited),
            ("bansui_agent_p2_open", "1 while people counts are told as slots end", int(self._health.people() is None)),
            ("bansui_agent_uplink_up", "1 while the centre answers", int(self._health.uplink_up())),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        if self._health.broker_up is not None:
            is_up = int(self._health.broker_up())
            yield GaugeMetricFamily("bansui_agent_broker_up", "1 while the school's broker serves us", value=is_up)


class HealthServer:
    """Serves the page on loopback, and cannot be told to serve it elsewhere."""

    def __init__(self, health: Health, port: int) -> None:
        self._health = health
        self._registry = CollectorRegistry()
        self._registry.register(AgentCollector(health))
        self._server = PageServer("health.port", "127.0.0.1", port, self._answer)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def hosts(self) -> set[str]:
        """The addresses it listens on."""
        return self._server.hosts

    async def start(self) -> None:
        """Listen. Raises `EnvironmentFault` when the port is taken."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()

    async def _answer(self, request: Request) -> Answer:
        if request.path == "/healthz":
            return Answer("200 OK", "application/json", json.dumps(self._health.as_dict()).encode())
        if request.path == "/metrics":
            return Answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", generate_latest(self._registry))
        return Answer("404 Not Found", "text/plain", b"/healthz or /metrics\n")
