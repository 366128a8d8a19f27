"""Observations as they are sent: one JSON object a line."""

from typing import Any

COUNT: dict[str, Any] = {
    "type": "count",
    "at": "2021-07-20T18:46:10Z",
    "pipeline": "batch",
    "stage": "ingress",
    "source": "segment",
    "bucket": "2021-07-20T18:45:00Z",
    "count": 1234,
}
