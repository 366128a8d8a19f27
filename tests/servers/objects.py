"""An object store that answers as Amazon's does, in a thread of this process, on a port of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running store; each test takes a bucket of its own."""

    endpoint: str
    client: Any
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def bucket(self) -> str:
        """A fresh, empty bucket."""
        name = f"bucket-{next(self.numbers)}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name


@contextmanager
def running_store() -> Iterator[ObjectStore]:
    """Start it and stop it at the end."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  any will do
        )
        yield ObjectStore(endpoint, client)
    finally:
        server.stop()
