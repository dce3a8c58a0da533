"""One connection as a state machine: bytes in; publications, replies and an end out. No I/O, no clock of its own."""

from __future__ import annotations

from enum import Enum, auto
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING, Final

from broker import packets, subscribe_packets, wire
from broker.outcome import Admission, Outcome
from broker.packets import MQTT_5, PacketType, VersionRefused
from broker.publications import Publication
from broker.refusals import PacketRefused, Refusal
from broker.session_state import SessionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from broker.limits import Limits
    from broker.packets import Will

_CONNECT: Final = 0x10
_PUBLISH: Final = 0x30
_QOS_2: Final = 0x04
_KNOWN_TOPICS: Final = 4_096
_DENIED: Final = ""
_AWAITING_COMMIT: Final = b""
_LONGEST_CLIENT_ID: Final = 128
_FEW_PACKETS: Final = 1_024


class _State(Enum):
    OPENING = auto()
    LOGIN = auto()
    OPEN = auto()
    CLOSED = auto()


class Session:
    """From the first byte to the last. `now` is a monotonic time in seconds."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._state = _State.OPENING
        self._pending = bytearray()
        self._needed = 0
        self._most_at_once = max(_FEW_PACKETS, 2 * limits.max_unacknowledged)
        self._heard = now
        self._level = 0
        self._is_v5 = False
        self._keep_alive_s = inf
        self._session = ""
        self._generation = 0
        self._may_publish: Callable[[str], bool] = lambda _topic: False
        self._may_subscribe: Callable[[str], bool] = lambda _filter: False
        self._largest = inf
        self._topics: dict[bytes, str] = {}
        # By packet id, in order of arrival: the PUBACK or PUBREC once it may be sent, nothing before.
        self._unacknowledged: dict[int, bytes] = {}
        self._recording: set[int] = set()  # of these, those to be answered by PUBREC
        self._completing: set[int] = set()  # released, and owed a PUBCOMP
        self.session_expiry_s = 0
        """How long the session outlives this connection, as the client last said."""
        self.state = SessionState()
        """What outlives this connection."""
        self.has_backlog = False
        """Whether something was read that waits for `go_on`."""
        self.will: Will | None = None
        """The client's will, until it takes it back with a DISCONNECT."""

    @property
    def unacknowledged(self) -> int:
        """How many publications have no PUBACK or PUBREC yet."""
        return len(self._unacknowledged)

    @property
    def must_wait(self) -> bool:
        """Whether the client has sent as much as may wait for the commit: Receive Maximum, known to it or not.

        Publications beyond it wait unread. MQTT 5 would have such a client sent away (section 3.3.4); but paho sends
        all that it kept while it was away at once, and would be sent away for ever.
        """
        return len(self._unacknowledged) >= self._limits.max_unacknowledged

    @property
    def is_open(self) -> bool:
        """Whether the client is admitted and still there."""
        return self._state is _State.OPEN

    @property
    def deadline(self) -> float:
        """When the client's silence ends the connection: 1.5 times its keep-alive [MQTT-3.1.2-22]."""
        if self._state is _State.OPEN:
            return self._heard + 1.5 * self._keep_alive_s
        return self._heard + self._limits.connect_timeout_s

    def resume(self, now: float) -> None:
        """Reading goes on after a pause that was ours: the client was not silent, it was not listened to."""
        self._heard = now

    def receive(self, data: bytes, now: float) -> Outcome:
        """Take in what the connection brought, in pieces of any size."""
        outcome = Outcome()
        if self._state is _State.CLOSED:
            outcome.ended = True
            return outcome
        buffer = data
        if self._pending or self._state is _State.LOGIN:
            self._pending += data
            if self._state is _State.LOGIN or self.has_backlog or len(self._pending) < self._needed:
                return outcome
            buffer = bytes(self._pending)
            self._pending.clear()
        self._advance(buffer, now, outcome)
        return outcome

    def go_on(self, now: float) -> Outcome:
        """Take in what waited, as far as there is room for it."""
        outcome = Outcome()
        if self.has_backlog and self._state is not _State.CLOSED:
            self.has_backlog = False
            buffer = bytes(self._pending)
            self._pending.clear()
            self._advance(buffer, now, outcome)
        return outcome

    def admit(self, admission: Admission, now: float) -> Outcome:
        """The client may come in: CONNACK, and whatever it sent behind its CONNECT."""
        self._state = _State.OPEN
        self._heard = now
        self._session = admission.session
        self._generation = admission.generation
        self._may_publish = admission.may_publish
        self._may_subscribe = admission.may_subscribe
        self.state = admission.state
        properties = self._limits.announced(admission.assigned_client_id) if self._is_v5 else None
        outcome = Outcome()
        connack = packets.encode_connack(
            packets.SUCCESS, session_present=admission.session_present, properties=properties
        )
        buffer = bytes(self._pending)
        self._pending.clear()
        if not self._fits(connack):
            outcome.refusal, outcome.ended = Refusal.TOO_LARGE, True
            self.refuse(Refusal.TOO_LARGE)
            return outcome
        outcome.answers.append(connack)
        if buffer:
            self._advance(buffer, now, outcome)
        return outcome

    def refuse(self, refusal: Refusal) -> bytes:
        """End the connection from this side; the bytes that tell the client why, where its version has any."""
        state, self._state = self._state, _State.CLOSED
        self._pending.clear()
        if state is _State.CLOSED or not self._level:
            return b""
        if self._is_v5:
            is_open = state is _State.OPEN
            connack = packets.encode_connack(refusal.connack_code, properties={})
            words = packets.encode_disconnect(refusal.reason_code) if is_open else connack
            return words if self._fits(words) else b""
        if state is _State.OPEN or refusal.return_code is None:
            return b""
        return packets.encode_connack(refusal.return_code)

    def tell(self, topic: str, payload: bytes) -> bytes:
        """A PUBLISH for the client at QoS 0, if it has subscribed to that topic and takes a packet of its size."""
        told = packets.encode_publish(topic, payload, is_v5=self._is_v5)
        hears = self._state is _State.OPEN and self.state.subscriptions.takes_in(topic)
        return told if hears and self._fits(told) else b""

    def acknowledge(self, packet_ids: Iterable[int], steps: Iterable[int] = ()) -> tuple[int, bytes]:
        """How many of these were waiting, and the answers that may go.

        PUBACKs and PUBRECs go in order of arrival [MQTT-4.6.0-2, MQTT-4.6.0-3].
        """
        waiting, recording, found = self._unacknowledged, self._recording, 0
        for packet_id in packet_ids:
            if waiting.get(packet_id) == _AWAITING_COMMIT:
                encode = packets.encode_pubrec if packet_id in recording else packets.encode_puback
                waiting[packet_id] = encode(packet_id)
                found += 1
        recording.difference_update(steps)
        completed = [-step for step in steps if -step in self._completing]
        self._completing.difference_update(completed)
        if self._state is _State.CLOSED:
            return found, b""
        pubcomps = [packets.encode_pubcomp(one, is_known=True, is_v5=self._is_v5) for one in completed]
        return found, self._release() + b"".join(pubcomps)

    def _release(self) -> bytes:
        waiting = self._unacknowledged
        released = list(takewhile(waiting.__getitem__, waiting))
        return b"".join([waiting.pop(packet_id) for packet_id in released])

    def _advance(self, buffer: bytes, now: float, outcome: Outcome) -> None:
        try:
            if self._state is _State.OPENING:
                self._open(buffer, now, outcome)
            else:
                self._read(buffer, now, outcome)
        except PacketRefused as refused:
            outcome.refusal = refused.refusal
            outcome.ended = True
            outcome.answers.append(self._version_answer(refused) or self.refuse(refused.refusal))

    def _version_answer(self, refused: PacketRefused) -> bytes:
        """CONNACK in words that a client of another version may know [MQTT-3.1.2-2]."""
        if not isinstance(refused, VersionRefused):
            return b""
        self.refuse(refused.refusal)
        if refused.level > MQTT_5:
            return packets.encode_connack(refused.refusal.reason_code, properties={})
        return packets.encode_connack(refused.refusal.return_code or 0)

    def _open(self, buffer: bytes, now: float, outcome: Outcome) -> None:
        if buffer and buffer[0] != _CONNECT:
            raise PacketRefused(Refusal.FIRST_PACKET, "the first packet is not CONNECT [MQTT-3.1.0-1]")
        found = packets.split(buffer, self._limits.max_packet_bytes)
        if not found.packets:
            if found.fault:
                raise found.fault
            self._keep(buffer, found)
            return
        _, start, end = found.packets[0]
        self._level = packets.connect_level(buffer, start, end)
        self._is_v5 = self._level == MQTT_5
        connect = packets.decode_connect(buffer, start, end)
        if not connect.client_id and not connect.clean_start and not self._is_v5:
            raise PacketRefused(Refusal.CLIENT_ID, "no client identifier for a lasting session [MQTT-3.1.3-8]")
        if len(connect.client_id) > _LONGEST_CLIENT_ID:
            raise PacketRefused(Refusal.CLIENT_ID, "a client identifier that is too long [MQTT-3.1.3-8]")
        self._keep_alive_s = connect.keep_alive_s or inf
        self.session_expiry_s = connect.session_expiry_s
        self._largest = connect.max_packet_bytes
        self.will = connect.will
        self._heard = now
        self._state = _State.LOGIN
        self._pending += buffer[end:]
        self._needed = 0
        outcome.login = connect

    def _read(self, buffer: bytes, now: float, outcome: Outcome) -> None:
        found = packets.split(buffer, self._limits.max_packet_bytes, self._most_at_once)
        if found.packets:
            self._heard = now
        position, most = 0, self._limits.max_unacknowledged
        for first, start, end in found.packets:
            if first & 0xF0 == _PUBLISH:
                if len(self._unacknowledged) >= most:
                    self.has_backlog = True
                    self._pending += buffer[position:]
                    return
                self._publish(first, buffer, start, end, outcome)
            else:
                outcome.requests += 1
                self._control(first, buffer, start, end, outcome)
                if outcome.ended:
                    return
            position = end
        if found.fault:
            raise found.fault
        self.has_backlog = len(found.packets) == self._most_at_once
        self._keep(buffer, found)

    def _keep(self, buffer: bytes, found: packets.Split) -> None:
        self._pending += buffer[found.consumed :]
        self._needed = found.needed

    def _publish(self, first: int, buffer: bytes, start: int, end: int, outcome: Outcome) -> None:
        is_exactly_once = first & 0x06 == _QOS_2
        if is_exactly_once and self._is_v5:
            raise PacketRefused(Refusal.QOS_2, "QoS 2, above the Maximum QoS announced [MQTT-3.2.2-11]")
        raw_topic, packet_id, payload_start = packets.decode_publish(first, buffer, start, end, is_v5=self._is_v5)
        topic = self._topics.get(raw_topic)
        if topic is None:
            topic = self._learn(raw_topic)
        if packet_id:
            if is_exactly_once and packet_id in self.state.exchanges:
                self._record_again(packet_id, outcome)
                return
            if self._is_v5 or packet_id in self._unacknowledged:
                if not self._expect(packet_id, first, outcome):
                    return
            else:
                self._unacknowledged[packet_id] = _AWAITING_COMMIT
        if topic == _DENIED:
            self._deny(packet_id, outcome)
            return
        if is_exactly_once:
            self._begin_exchange(packet_id, outcome)
        outcome.publications.append(
            Publication(topic, buffer[payload_start:end], packet_id, first & 0x08 != 0, first & 0x01 != 0)
        )

    def _learn(self, raw_topic: bytes) -> str:
        """Check a topic once per connection: a device has few of them, and publishes to them all day."""
        topic = packets.decode_topic(raw_topic)
        if len(self._topics) >= _KNOWN_TOPICS:
            self._topics.clear()
        known = topic if self._may_publish(topic) else _DENIED
        self._topics[raw_topic] = known
        return known

    def _expect(self, packet_id: int, first: int, outcome: Outcome) -> bool:
        """Note that a PUBACK is owed; False when one already is. Raises `PacketRefused` if the client may not."""
        if packet_id in self._unacknowledged:
            if first & 0x08 and not self._is_v5:
                outcome.resent += 1
                return False
            raise PacketRefused(Refusal.PROTOCOL, "a packet identifier that is in use [MQTT-2.2.1-3]")
        self._unacknowledged[packet_id] = _AWAITING_COMMIT
        return True

    def _begin_exchange(self, packet_id: int, outcome: Outcome) -> None:
        if len(self.state.exchanges) >= self._limits.max_exchanges:
            raise PacketRefused(Refusal.RECEIVE_MAXIMUM, "too many publications at QoS 2 that are not released")
        self._recording.add(packet_id)
        self.state.exchanges.begin(packet_id)
        outcome.steps.append(packet_id)

    def _record_again(self, packet_id: int, outcome: Outcome) -> None:
        """It is on disk: PUBREC, in its turn, and nothing is handed on [MQTT-4.3.3-2]."""
        outcome.resent += 1
        self._unacknowledged.setdefault(packet_id, packets.encode_pubrec(packet_id))
        outcome.answers.append(self._release())

    def _finish_exchange(self, packet_id: int, outcome: Outcome) -> None:
        """PUBCOMP, once it is on disk that the packet id is free; at once where there is nothing to free."""
        if packet_id in self._recording:
            raise PacketRefused(Refusal.PROTOCOL, "a PUBREL before its PUBREC [MQTT-4.3.3-1]")
        if packet_id in self._completing:
            return
        if packet_id in self.state.exchanges:
            self._completing.add(packet_id)
            outcome.steps.append(-packet_id)
            return
        outcome.answers.append(packets.encode_pubcomp(packet_id, is_known=False, is_v5=self._is_v5))

    def _deny(self, packet_id: int, outcome: Outcome) -> None:
        outcome.denied += 1
        if not self._is_v5:  # MQTT 3.1.1 has no way to say no but to close [MQTT-3.3.5-2 in 3.1.1]
            raise PacketRefused(Refusal.NOT_AUTHORIZED, "a topic outside the client's own")
        if packet_id:
            self._unacknowledged[packet_id] = packets.encode_puback(packet_id, Refusal.NOT_AUTHORIZED.reason_code)
            outcome.answers.append(self._release())

    def _control(self, first: int, buffer: bytes, start: int, end: int, outcome: Outcome) -> None:
        kind = first >> 4
        flags = packets.RESERVED_FLAGS.get(kind)
        if flags is None or kind == PacketType.CONNECT:
            raise PacketRefused(Refusal.PROTOCOL, "a packet that a client may not send here [MQTT-3.1.0-2]")
        if first & 0x0F != flags:
            raise wire.malformed("reserved flags of a fixed header [MQTT-2.1.3-1]")
        match kind:
            case PacketType.PINGREQ:
                if start != end:
                    raise wire.malformed("a PINGREQ with a body")
                outcome.answers.append(packets.PINGRESP)
            case PacketType.PUBREL:
                self._finish_exchange(packets.decode_pubrel(buffer, start, end, is_v5=self._is_v5), outcome)
            case PacketType.SUBSCRIBE:
                packet_id, wanted = subscribe_packets.decode_subscribe(buffer, start, end, is_v5=self._is_v5)
                answer = self.state.subscriptions.subscribe(packet_id, wanted, self._may_subscribe, is_v5=self._is_v5)
                outcome.refused_filters += answer.refused
                if not self._fits(answer.suback):
                    raise PacketRefused(Refusal.TOO_LARGE, "more filters than a SUBACK the client takes can answer")
                outcome.answers += [answer.suback, *(kept for kept in answer.retained if self._fits(kept))]
            case PacketType.UNSUBSCRIBE:
                packet_id, filters = subscribe_packets.decode_unsubscribe(buffer, start, end, is_v5=self._is_v5)
                outcome.answers.append(self.state.subscriptions.unsubscribe(packet_id, filters, is_v5=self._is_v5))
            case _:
                self._disconnect(buffer, start, end, outcome)

    def _fits(self, packet: bytes) -> bool:
        """Whether the client takes a packet of this size; a larger one is never sent [MQTT-3.1.2-24]."""
        return len(packet) <= self._largest

    def _disconnect(self, buffer: bytes, start: int, end: int, outcome: Outcome) -> None:
        reason_code, expiry = packets.decode_disconnect(buffer, start, end, is_v5=self._is_v5)
        if expiry and not self.session_expiry_s:
            raise PacketRefused(Refusal.PROTOCOL, "a session that was to end is to last [section 3.14.2.2.2]")
        if expiry is not None:
            self.session_expiry_s = expiry
        if reason_code == packets.SUCCESS:  # with any other, the will stays [MQTT-3.14.4-3]
            self.will = None
        self._state = _State.CLOSED
        self._pending.clear()
        outcome.ended = True
