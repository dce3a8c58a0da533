"""Agents that leak, each in one place, as a careless change would make them: the scan must find what each leaks."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import tempfile
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
from prometheus_client.core import GaugeMetricFamily

from broker.front_desk import FrontDesk
from broker.wills import Wills
from edge_agent import admission, health, lanes
from edge_agent.intake import polling
from edge_agent.intake.serial_line import SerialIntake
from edge_agent.session_names import SessionNames
from edge_agent.store import outbox
from edge_agent.store.journal import JournalWriter
from edge_agent.transactions import QuarantineEntry
from telemetry.places import CHANNEL
from telemetry.uplink_contract import seal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Mutant = Callable[["Change"], None]


class Anything:
    """A set that has whatever is asked for."""

    def __contains__(self, _item: object) -> bool:
        return True


class Change:
    """Changes the agent's code in this process until the test is over."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.patch = patch
        self.folder = folder
        """The agent's state."""
        self.last: list[str] = ["nothing yet"]
        """Payloads that came in, each once."""
        self.last_topics: list[str] = []

    def before(self, owner: type, name: str, first: Callable[..., object]) -> None:
        """Call `first` with the arguments of a method, and then the method."""
        real = getattr(owner, name)

        def changed(*args: Any, **named: Any) -> Any:
            first(*args, **named)
            return real(*args, **named)

        self.patch.setattr(owner, name, changed)

    def listen(self, then: Callable[[str], object] = lambda _text: None) -> None:
        """Keep what comes in, and do something with each text of it."""

        def hear(_self: object, arrival: Any, *_rest: object) -> None:
            self.last_topics.append(arrival.frame.topic)
            text = arrival.frame.payload.decode(errors="replace")
            if text not in self.last:
                self.last.append(text)
                then(text)

        self.before(admission.Admission, "admit", hear)

    def write(self, name: str, data: bytes) -> None:
        """Append to a file in the agent's state folder."""
        with (self.folder / name).open("ab") as file:
            file.write(data + b"\n")


def _quarantine_keeps_the_payload(change: Change) -> None:
    def refused(device: str, driver: str, reason: str, arrival: Any) -> admission.Admitted:
        text = arrival.frame.payload.decode(errors="replace")
        return admission.Admitted(
            device, 0, rejected={reason: 1}, quarantine=QuarantineEntry(driver, f"{reason}: {text}", len(text))
        )

    change.patch.setattr(admission, "_refused", refused)


def _counter_reason_is_the_payload(change: Change) -> None:
    def refused(device: str, _driver: str, _reason: str, arrival: Any) -> admission.Admitted:
        return admission.Admitted(device, 0, rejected={arrival.frame.payload.decode(errors="replace"): 1})

    change.patch.setattr(admission, "_refused", refused)


def _driver_reasons_pass_unchecked(change: Change) -> None:
    change.patch.setattr(admission, "REASONS", Anything())


def _channels_pass_unchecked(change: Change) -> None:
    def is_channel(channel: str, _words: object) -> bool:
        return not channel or CHANNEL.fullmatch(channel) is not None

    for module in (admission, lanes):
        change.patch.setattr(module, "is_channel", is_channel)


def _sessions_are_named_by_client_id(change: Change) -> None:
    change.patch.setattr(SessionNames, "__call__", lambda _self, session: session)


def _sessions_are_named_by_a_plain_digest(change: Change) -> None:
    def name(_self: object, session: str) -> str:
        return hashlib.sha1(session.partition("/")[2].encode(), usedforsecurity=False).hexdigest()

    change.patch.setattr(SessionNames, "__call__", name)


def _log_has_the_client_id(change: Change) -> None:
    def tell(_self: object, _connection: object, connect: Any, **_granted: object) -> None:
        admission._log.info("client %s connects", connect.client_id)

    change.before(FrontDesk, "_decide", tell)


def _log_has_the_user_name(change: Change) -> None:
    def tell(_self: object, _connection: object, connect: Any, *, granted: bool) -> None:
        if not granted:
            admission._log.warning("login of %r refused", connect.username)

    change.before(FrontDesk, "_decide", tell)


def _log_has_the_topic(change: Change) -> None:
    change.listen(lambda _text: admission._log.info("heard %s", quote(change.last_topics[-1])))


def _log_has_the_will(change: Change) -> None:
    def tell(_self: object, _session: object, _client: object, will: Any, *_rest: object) -> None:
        admission._log.info("will on %s", will.topic)

    change.before(Wills, "leave", tell)


def _log_has_the_traceback(change: Change) -> None:
    log = admission._log

    def error(*words: Any) -> None:
        log.log(logging.ERROR, *words, exc_info=True)

    change.patch.setattr(log, "error", error)


def _log_has_what_a_device_answered(change: Change) -> None:
    change.patch.setattr(polling, "REASONS", Anything())


def _log_has_the_line_in_hexadecimal(change: Change) -> None:
    change.before(SerialIntake, "_take", lambda _self, data: admission._log.info("line: %s", data.hex()))


def _batch_ends_with_a_comment(change: Change) -> None:
    change.listen()
    change.patch.setattr(
        outbox, "seal", lambda text: seal(text + "".join(f"# {each}\n" for each in change.last[:200]).encode())
    )


def _request_has_a_header_more(change: Change) -> None:
    real = httpx.AsyncClient.build_request
    change.listen()

    def build(self: httpx.AsyncClient, *args: Any, **named: Any) -> httpx.Request:
        request = real(self, *args, **named)
        everything = "\n".join(change.last[:40])
        request.headers["X-Debug"] = base64.b64encode(everything.encode()).decode()
        return request

    change.patch.setattr(httpx.AsyncClient, "build_request", build)


def _metric_is_labelled_with_the_payload(change: Change) -> None:
    real = health.AgentCollector.collect
    change.listen()

    def collect(self: health.AgentCollector) -> list[Any]:
        metric = GaugeMetricFamily("bansui_agent_heard", "Heard", labels=["what"])
        for text in set(change.last):
            metric.add_metric([text], 1)
        return [*real(self), metric]

    change.patch.setattr(health.AgentCollector, "collect", collect)


def _page_shows_what_came_last(change: Change) -> None:
    real = health.Health.as_dict
    change.listen()
    change.patch.setattr(health.Health, "as_dict", lambda self: {**real(self), "last": change.last[:200]})


def _row_is_written_and_deleted(change: Change) -> None:
    def keep(self: Any, *_transaction: object) -> None:
        self._connection.pragma("secure_delete", False)
        for text in change.last[:50]:
            self._connection.execute("INSERT INTO meta VALUES ('last', ?)", (text,))
            self._connection.execute("DELETE FROM meta WHERE name = 'last'")

    change.listen()
    change.before(JournalWriter, "write", keep)


def _temporary_file_is_packed(change: Change) -> None:
    def keep(text: str) -> None:
        with tempfile.NamedTemporaryFile(dir=change.folder, prefix="debug-", delete=False) as file:
            file.write(gzip.compress(text.encode("utf-16-le")))

    change.listen(keep)


def _access_log_has_the_key(change: Change) -> None:
    change.listen(lambda text: change.write("access.log", text.encode("gb18030")))


def _file_has_keys_that_no_driver_declares(change: Change) -> None:
    change.listen(lambda text: change.write("unknown.json", json.dumps(text).encode()))


MUTANTS: Final[tuple[Mutant, ...]] = (
    _quarantine_keeps_the_payload,
    _counter_reason_is_the_payload,
    _driver_reasons_pass_unchecked,
    _channels_pass_unchecked,
    _sessions_are_named_by_client_id,
    _sessions_are_named_by_a_plain_digest,
    _log_has_the_client_id,
    _log_has_the_user_name,
    _log_has_the_topic,
    _log_has_the_will,
    _log_has_the_traceback,
    _log_has_what_a_device_answered,
    _log_has_the_line_in_hexadecimal,
    _batch_ends_with_a_comment,
    _request_has_a_header_more,
    _metric_is_labelled_with_the_payload,
    _page_shows_what_came_last,
    _row_is_written_and_deleted,
    _temporary_file_is_packed,
    _access_log_has_the_key,
    _file_has_keys_that_no_driver_declares,
)
