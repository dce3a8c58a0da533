"""The listener's part of /metrics: what came, what was refused or slowed down and why, and the limits in force."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from broker.counters import CounterSnapshot
    from broker.limits import Limits


def listener_metrics(counters: CounterSnapshot, limits: Limits) -> Iterable[Metric]:
    """Every metric of a listener with these counters and limits. They begin with the process."""
    for name, text, value in (
        ("connections", "Devices connected", counters["connections"]),
        ("half_open", "Connections that are not admitted yet", counters["half_open"]),
        ("unacknowledged", "Publications that wait for their commit", counters["unacknowledged"]),
    ):
        yield GaugeMetricFamily(f"bansui_agent_listener_{name}", text, value=value)
    for name, text, value in (
        ("connects", "Clients admitted", counters["connects"]),
        ("publications", "Publications taken in", counters["publications"]),
        ("resent", "Publications sent again before their commit", counters["resent"]),
        ("stale", "Commits whose connection had gone", counters["stale"]),
        ("received_bytes", "Bytes received", counters["bytes"]),
    ):
        yield CounterMetricFamily(f"bansui_agent_listener_{name}", text, value=value)
    yield _by("reason", CounterMetricFamily, "refused", "Refusals, by reason", counters["refused"])
    yield _by("reason", CounterMetricFamily, "pauses", "Pauses in reading a connection", counters["pauses"])
    yield _by("limit", GaugeMetricFamily, "limit", "The limits in force", asdict(limits))


def _by(
    label: str,
    family: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    values: Mapping[str, float],
) -> Metric:
    metric = family(f"bansui_agent_listener_{name}", text, labels=[label])
    for value, number in sorted(values.items()):
        metric.add_metric([value], number)
    return metric
