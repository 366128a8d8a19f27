"""Count events inside a service, and push the counts to `reconciler`. Needs nothing but Python.

    from reconciler.client import Counter

    counter = Counter("https://reconciler.example.com", "batch", "ingress", token="rcl_…")
    counter.add("partner/segment")            # wherever an event is accepted: never raises, never waits
    counter.close()                           # when the service ends; otherwise this reporter is waited for

Counts are absolute: of each source and bucket, what this process has seen so far. A background thread pushes what has
changed, then says until when everything is told (`through`). Both are sent again until they are answered, so `through`
never runs ahead of the counts. What cannot be told, because the memory is full or the service refuses it, holds
`through` back for good: then the buckets are unknown, and never wrongly complete.

This file may be copied into a service as it is. The protocol is on one page in docs/push.md.
"""

import atexit
import gzip
import hashlib
import http.client
import json
import logging
import os
import random
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Counter", "State"]

BATCH = 5_000
"""Counts in a request."""
LONGEST_WAIT = 60.0
"""Seconds between two tries, at most."""
PACK_FROM = 1_000
"""Bytes from which a request is packed."""

log = logging.getLogger("reconciler.client")

When = float | datetime | str | None
"""Seconds since the epoch, a time with a zone, RFC 3339 text, or now."""
_Key = tuple[str, int, str | None]
"""Source, bucket as seconds since the epoch, outcome."""


@dataclass(slots=True)
class _Cell:
    reporter: str
    count: int = 0
    told: int = -1
    """The count that the service has confirmed."""
    digest: int | None = 0
    """Sum over the ids of the events; None once one came without."""
    touched: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """How a counter is doing, for a metric or a log line."""

    reporter: str
    cells: int
    """Sources and buckets in memory."""
    waiting: int
    """Those of which the service does not know the latest count."""
    dropped: int
    """Events that could not be counted. Not 0: buckets from the first of them on stay unknown."""
    through: float
    """Until when everything is told, in seconds since the epoch; 0 before the first time."""
    failure: str
    """Why the last push did not succeed; empty if it did."""


class _Failed(Exception):  # noqa: N818  it says that a try has failed, and carries how long to wait
    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Counter:
    """Counts one stage of one pipeline in this process.

    `reporter` names the service or host; each life of a process adds its own id to it. `every`: seconds between two
    pushes; None: only `push` pushes. `settle`: seconds that may pass between the acceptance of an event and its being
    counted here. `keep`: seconds that a bucket is kept in memory after its last event. `most`: cells in memory.
    """

    def __init__(
        self,
        url: str,
        pipeline: str,
        stage: str,
        *,
        token: str | None = None,
        reporter: str | None = None,
        bucket: int = 60,
        every: float | None = 10.0,
        settle: float = 2.0,
        keep: float = 7_200.0,
        most: int = 100_000,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url, self._token, self._timeout = f"{url.rstrip('/')}/v1/observations", token, timeout
        self._place = {"pipeline": pipeline, "stage": stage}
        self._name = reporter or socket.gethostname()
        self._bucket, self._every, self._settle, self._keep, self._most = bucket, every, settle, keep, most
        self._clock = clock
        self._begin()
        # A process that was forked is another life: what its parent has counted is its parent's to tell.
        again = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: _call(again))
        atexit.register(_call, weakref.WeakMethod(self.close))

    def _begin(self) -> None:
        """Begin a life."""
        self._reporter = f"{self._name}-{secrets.token_hex(4)}"
        self._cells: dict[_Key, _Cell] = {}
        self._lock, self._pushing = threading.RLock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closed = False
        self._dropped, self._held = 0, float("inf")
        self._sealed, self._lives, self._sealed_at = 0.0, 0, self._clock()
        self._through, self._at = 0.0, 0.0
        self._failure, self._tries, self._asked = "", 0, 0.0

    def add(
        self, source: str, count: int = 1, *, accepted: When = None, outcome: str | None = None, id: str | None = None
    ) -> None:  # fmt: skip
        """Count events of a source. `accepted`: when the first stage accepted them; default now.

        `outcome`: what became of them, where it is not the usual (`rejected`, `filtered`, …). `id`: of the one event,
        so that sets can be compared and not only sums; give it for all events of a stage or for none. Never raises.
        """
        now = 0.0
        try:
            now = self._clock()
            start = _seconds(accepted, now) // self._bucket * self._bucket
            self._count((str(source), int(start), outcome), count, id, now)
        except Exception as error:  # noqa: BLE001  counting must never break what is counted; what is lost is held against us
            self._drop(now, count, f"{type(error).__name__}: {error}")

    def _count(self, key: _Key, count: int, event: str | None, now: float) -> None:
        if type(count) is not int or count < 0 or not key[0]:
            raise ValueError(f"cannot count {count!r} events of source {key[0]!r}")
        with self._lock:
            cell = self._cells.get(key)
            if self._closed or (cell is None and len(self._cells) >= self._most):
                why = "the counter is closed" if self._closed else f"{self._most} cells are in memory"
                self._drop(float(key[1]), count, why)
                return
            if cell is None:
                cell = self._cells[key] = _Cell(self._reporter if key[1] >= self._sealed else self._life())
            cell.count += count
            cell.touched = now
            cell.digest = _added(cell.digest, event, count)
        if self._thread is None:
            self.start()

    def _life(self) -> str:
        """The reporter of cells that come up again after they were forgotten: their counts begin anew, and add."""
        return f"{self._reporter}+{self._lives}"

    def _drop(self, start: float, count: object, why: str) -> None:
        """Note that events are lost to counting: from their bucket on nothing can be said to be whole."""
        with self._lock:
            if not self._dropped:
                log.error("events could not be counted (%s); buckets from %s on stay unknown", why, _text(start))
            self._dropped += count if isinstance(count, int) and count > 0 else 1
            self._held = min(self._held, start // self._bucket * self._bucket)

    def push(self) -> bool:
        """Push what has changed, then how far everything is told; whether all of it was confirmed. Never raises."""
        with self._pushing:
            return self._tried(final=False)

    def close(self, timeout: float = 5.0) -> bool:
        """Push what is left and say that this reporter has ended; whether that was confirmed. Never raises."""
        with self._lock:
            if self._closed:
                return not self._failure
            self._closed = True
        self._wake.set()
        deadline = time.monotonic() + timeout
        if not self._pushing.acquire(timeout=timeout):
            return False
        try:
            while not self._tried(final=True):
                wait = min(1.0, self._pause())
                if time.monotonic() + wait > deadline:
                    return False
                time.sleep(wait)
            return True
        finally:
            self._pushing.release()

    def state(self) -> State:
        """How it is doing."""
        with self._lock:
            waiting = sum(cell.told != cell.count for cell in self._cells.values())
            return State(self._reporter, len(self._cells), waiting, self._dropped, self._through, self._failure)

    def _tried(self, *, final: bool) -> bool:
        try:
            self._push(final=final)
        except Exception as error:  # noqa: BLE001  a thread that dies would be silence, and a service that ends must end
            if not self._failure:
                log.warning("a push failed and is made again: %s", error)
            self._failure, self._tries = str(error) or type(error).__name__, self._tries + 1
            self._asked = error.wait if isinstance(error, _Failed) else 0.0
        else:
            self._failure, self._tries, self._asked = "", 0, 0.0
        self._forget()
        return not self._failure

    def _push(self, *, final: bool) -> None:
        clock = self._clock()
        now = self._at = max(clock, self._at + 1e-6)  # later readings must be later, whatever the clock does
        with self._lock:
            changed = [
                (key, cell, cell.count, cell.digest) for key, cell in self._cells.items() if cell.told != cell.count
            ]
        refused: list[str] = []
        for some in _batches(changed):
            lines = [self._line(key, cell.reporter, count, digest, now) for key, cell, count, digest in some]
            bad = self._send(lines)
            refused += [f"{lines[index]['source']}: {reason}" for index, reason in bad.items()]
            for index, (_, cell, count, _) in enumerate(some):
                cell.told = cell.told if index in bad else count
        if refused:
            raise _Failed(f"{len(refused)} counts were refused, first {refused[0]}")
        through = min(clock if final else clock - self._settle, self._held)
        # One that has dropped events has not ended in order: whoever waits for it is right to.
        ended = final and not self._dropped
        if through > self._through or ended:
            progress = self._place | {"type": "progress", "at": _text(now), "reporter": self._reporter}
            bad = self._send([progress | {"through": _text(through)} | ({"final": True} if ended else {})])
            if bad:
                raise _Failed(f"progress was refused: {bad[0]}")
            self._through = through

    def _line(self, key: _Key, reporter: str, count: int, digest: int | None, now: float) -> dict[str, object]:
        source, bucket, outcome = key
        line: dict[str, object] = {"type": "count", "at": _text(now), **self._place, "source": source}
        line |= {"bucket": _text(bucket), "count": count, "reporter": reporter}
        if outcome is not None:
            line["outcome"] = outcome
        if digest is not None and count:
            line["digest"] = str(digest)
        return line

    def _send(self, lines: list[dict[str, object]]) -> dict[int, str]:
        """Send lines; returns those that were refused, by position. Raises `_Failed` where nothing is known."""
        body = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if len(body) >= PACK_FROM:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  the URL is the caller's own
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310  the same
                if json.loads(answer.read(10_000_000)).get("kept") != len(lines):
                    raise _Failed("the answer is none of reconciler's; is the address right?")
                return {}
        except urllib.error.HTTPError as error:
            said = error.read(10_000_000)
            if error.code == 422:
                return {one["index"]: f"{one['field']} {one['reason']}" for one in json.loads(said)["refusals"]}
            raise _Failed(f"{error.code}: {said[:500].decode(errors='replace')}", _wait(error)) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _Failed(str(error) or type(error).__name__) from None

    def _pause(self) -> float:
        """Seconds until the next push: longer after each failure, and never all senders at once."""
        usual = self._every or 1.0
        if not self._tries:
            return usual
        longer = min(LONGEST_WAIT, usual * 2 ** min(self._tries - 1, 10))
        spread: float = longer * random.uniform(0.5, 1.0)  # noqa: S311  it is no secret
        return max(self._asked, spread)

    def _forget(self) -> None:
        """Forget the cells that were told long ago. What comes for their buckets later is counted as another life."""
        now = self._clock()
        before = now - self._keep
        with self._lock:
            old = [
                key
                for key, cell in self._cells.items()
                if key[1] + self._bucket <= before and cell.touched <= before and cell.told == cell.count
            ]
            crowded = len(self._cells) >= self._most * 0.9
            if old and (crowded or now - self._sealed_at >= self._keep / 2):
                self._sealed, self._lives, self._sealed_at = max(self._sealed, before), self._lives + 1, now
                for key in old:
                    del self._cells[key]

    def start(self) -> None:
        """Report from now on, even while nothing is counted: then the counts are known to be zero."""
        with self._lock:
            if self._thread is None and self._every is not None and not self._closed:
                self._thread = threading.Thread(target=_run, args=(weakref.ref(self),), name="reconciler", daemon=True)
                self._thread.start()


def _run(counter: "weakref.ref[Counter]") -> None:
    """Push again and again, for as long as somebody has the counter."""
    while (one := counter()) is not None and not one._closed:
        one.push()  # at once: who was never heard is not waited for
        wake, pause = one._wake, one._pause()
        del one
        if wake.wait(pause):
            return


def _batches(entries: list[tuple[_Key, _Cell, int, int | None]]) -> Iterator[list[tuple[_Key, _Cell, int, int | None]]]:
    for start in range(0, len(entries), BATCH):
        yield entries[start : start + BATCH]


def _added(digest: int | None, event: str | None, count: int) -> int | None:
    """The digest with one more event in it."""
    if digest is None or event is None or count != 1:
        return digest if not count else None
    return (digest + int.from_bytes(hashlib.sha256(event.encode()).digest()[:8], "big")) % 2**64


def _seconds(moment: When, now: float) -> float:
    if moment is None:
        return now
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.upper().replace("Z", "+00:00"))
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise ValueError(f"{moment} has no time zone")
        return moment.timestamp()
    return float(moment)


def _text(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace(".000000", "").replace("+00:00", "Z")


def _wait(error: urllib.error.HTTPError) -> float:
    said = error.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else 0.0


def _call(method: "weakref.WeakMethod[Any]") -> None:
    """Call it, unless nobody has its counter any more."""
    known = method()
    if known is not None:
        known()
