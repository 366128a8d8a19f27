"""Count what a Kafka consumer has processed, by the accept time that the ingress has put into a header.

An event counts once its effect is durable and before its offset is committed: if the process dies in between, the event
is read again and counted again by the next life, which shows as a surplus. The other way round it would be lost in
silence.
"""

import os
from collections.abc import Callable
from typing import Any

from reconciler.client import Counter


def consume(consumer: Any, handle: Callable[[bytes], str], url: str, running: Callable[[], bool]) -> None:
    """Process messages until told otherwise; `handle` does the work, and returns the source of the event.

    `consumer` is a `confluent_kafka.Consumer` with `enable.auto.commit: false`, subscribed already.
    """
    counting = Counter(url, "batch", "processed", token=os.environ.get("RECONCILER_TOKEN"))
    counting.start()
    while running():
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        source = handle(message.value())
        counting.add(source, accepted=accepted_at(message))
        consumer.commit(message, asynchronous=False)
    consumer.close()
    counting.close()


def accepted_at(message: Any) -> float:
    """The accept time in seconds: of the header, or else of the broker, which is a little later."""
    headers = dict(message.headers() or [])
    if "accepted_at" in headers:
        return float(headers["accepted_at"])
    _, milliseconds = message.timestamp()
    return float(milliseconds) / 1000
