"""amqtt as a broker for trials, with the same credentials and ACL as the listener."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from amqtt.broker import Broker
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin

from broker.credentials import Credentials
from broker.ports import bind_fault

CAVEAT: Final = (
    "amqtt is for trials: it loses messages in flight when it or a subscriber dies (at most once), and speaks "
    "MQTT 3.1.1 but not MQTT 5. A school uses the agent's own listener, or Mosquitto."
)


class CredentialsPlugin(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc]  # amqtt publishes no types
    """Asks our credentials and ACL, for both of amqtt's questions."""

    @dataclass
    class Config:
        """What amqtt hands to the plugin."""

        credentials: Credentials

    async def authenticate(self, *, session: Any) -> bool:
        """Whether user name and password belong together, and the will's topic is the client's own.

        amqtt asks nobody else where a will may go. scrypt runs off the loop.
        """
        if session.username is None or session.password is None:
            return False
        credentials: Credentials = self.config.credentials
        if session.will_flag and not credentials.acl.may_publish(session.username, session.will_topic):
            return False
        return await asyncio.to_thread(credentials.verify, session.username, session.password.encode())

    async def topic_filtering(self, *, session: Any = None, topic: str | None = None, action: Any = None) -> bool:
        """Whether the session's client may do this with the topic, or the topic filter."""
        acl = self.config.credentials.acl
        decisions: dict[Any, Callable[[str, str], bool]] = {
            Action.PUBLISH: acl.may_publish,
            Action.SUBSCRIBE: acl.may_subscribe,
            Action.RECEIVE: acl.may_receive,
        }
        if session is None or session.username is None or topic is None:
            return False
        return decisions[action](session.username, topic)


@asynccontextmanager
async def trial_broker(credentials: Credentials, host: str, port: int) -> AsyncIterator[None]:
    """Run amqtt. Raises `PortTaken` or `PortUnavailable`."""
    # amqtt logs topics, user names and tracebacks of errors that are told to the caller too.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    broker = Broker(
        BrokerConfig(
            listeners={"default": ListenerConfig(bind=f"{host}:{port}")},
            plugins={f"{__name__}.{CredentialsPlugin.__name__}": {"credentials": credentials}},
        )
    )
    try:
        await broker.start()
    except BrokerError as error:
        if isinstance(error.__cause__, OSError):
            raise bind_fault(host, port, error.__cause__) from None
        raise
    try:
        yield
    finally:
        await broker.shutdown()


async def run_trial(credentials: Credentials, host: str, port: int, ready: Callable[[], None]) -> None:
    """Run amqtt until the process is asked to end; `ready` is called once devices can connect."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with trial_broker(credentials, host, port):
        ready()
        await ended.wait()
