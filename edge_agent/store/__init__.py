"""The durable store: the only package that knows SQL."""

from edge_agent.store.commit_times import CommitTimes
from edge_agent.store.store import Store
from edge_agent.store.thread import StoreThread

__all__ = ["CommitTimes", "Store", "StoreThread"]
