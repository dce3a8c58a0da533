"""The acknowledgement boundary: a batch's bytes and its mark, durable before anyone is told so."""

from cloud_sink.inbox.batches import (
    Batch,
    ForkedBatch,
    InboxFault,
    InboxFull,
    Kind,
    Receipt,
    StoredBatch,
    Tally,
)
from cloud_sink.inbox.inbox import KEPT_MS, MOST_WAITING, OPEN_WINDOW, Inbox

__all__ = [
    "KEPT_MS",
    "MOST_WAITING",
    "OPEN_WINDOW",
    "Batch",
    "ForkedBatch",
    "Inbox",
    "InboxFault",
    "InboxFull",
    "Kind",
    "Receipt",
    "StoredBatch",
    "Tally",
]
