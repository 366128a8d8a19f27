"""Waiting for what another process or thread does: by looking again and again, up to a deadline."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

_NEVER_SET = threading.Event()


def until(look: Callable[[], Found | None], seconds: float = 90, what: str | Callable[[], str] = "") -> Found:
    """The first true answer; fails where none comes in time."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        told = what() if callable(what) else what
        assert time.monotonic() < end, f"waited {seconds} s in vain{f' for {told}' if told else ''}"
        _NEVER_SET.wait(0.02)
