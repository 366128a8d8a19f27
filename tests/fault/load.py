"""Reporters as they are at their worst, and the memory of what they were told is kept.

What each reporter will ever say is fixed beforehand; chance decides in which order, how often and to which process. So
what must be in the ledger, and what must be said of it, is known without asking the ledger.
"""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from reconciler.app import now
from reconciler.core.times import SECOND, Micros, format_time
from tests.until import until

STAGES = ("ingress", "processed")
SOURCES, SHARES, READINGS = 48, 2, 3
WIDTH: Micros = 5 * SECOND
PATIENCE = 120
"""Seconds in which a push is answered with success, whatever has just happened."""
SETTLED = 600
"""After the last bucket each reporter says of so many more that nothing came, so that age explains no gap any more."""
WRONG = 3
"""So many events a reading that contradicts the next one is short of it."""

Line = dict[str, Any]


def fate(source: int) -> str:
    """What becomes of the events of a source: the last reading of each bucket says so."""
    return {0: "surplus", 1: "short", 2: "swapped", 5: "late"}.get(source % 8, "complete")


def events(source: int, bucket: int, share: int, stage: str) -> int:
    """So many events of a bucket one of two reporters of a stage has counted in the end."""
    amount = 100 + (source * 7 + bucket * 13 + share) % 50
    extra = {"surplus": 1, "short": -1}.get(fate(source), 0) if (stage, share) == ("processed", 0) else 0
    return amount + extra


def said(source: int, bucket: int, number: int, share: int, stage: str, first: Micros) -> Line:
    """Reading `number` of a bucket; the last one is final."""
    start = first + bucket * WIDTH
    count = events(source, bucket, share, stage) * (number + 1) // READINGS
    line = {
        "type": "count",
        "at": format_time(start + WIDTH + number * SECOND),
        "pipeline": "batch",
        "stage": stage,
        "source": f"s{source:02}",
        "bucket": format_time(start),
        "count": count,
        "reporter": f"{stage}-{share}",
    }
    if fate(source) == "swapped":  # equal counts of other events
        line["digest"] = str(count * 1_000_003 + share + (7 if stage == "processed" else 0))
    return line


@dataclass
class Sink:
    """The processes that may be told, and what was answered with success."""

    ports: list[int]
    token: str
    kept: list[Line] = field(default_factory=list)
    """Every observation that was answered with success, once for each time."""
    seen: "Counter[str]" = field(default_factory=Counter)
    """What has happened to whom, by name."""
    strange: list[str] = field(default_factory=list)
    """Answers that nobody may ever get."""
    took: list[float] = field(default_factory=list)
    """Of each push that was answered with success, in their order: seconds until the answer."""

    def push(self, lines: list[Line], chance: random.Random) -> None:
        """Send to any process, again and again, until all of it is kept."""
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        answers: Counter[str] = Counter()
        until(
            lambda: self._sent(body, chance.choice(self.ports), answers),
            PATIENCE,
            lambda: f"a push of {len(lines)} lines that is answered with success; answered was {dict(answers)}",
        )
        self.kept += lines
        self.seen["pushes answered with success"] += 1

    def _sent(self, body: bytes, port: int, answers: "Counter[str]") -> bool:
        url = f"http://127.0.0.1:{port}/v1/observations"
        headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {self.token}"}
        began = time.monotonic()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=4) as answer:
                self.took.append(time.monotonic() - began)
                return int(answer.status) == 200
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                self._noted(error.code, text)
                answers[f"{error.code} {text[:120]!r}"] += 1
        except (OSError, HTTPException) as error:
            self.seen["pushes without an answer"] += 1
            answers[f"{type(error).__name__}: {error}"] += 1
        return False

    def _noted(self, code: int, text: bytes) -> None:
        self.seen[f"pushes answered with {code}"] += 1
        if code == 422 and b"lies ahead of the service's clock" in text:
            return
        if code not in (429, 503):
            self.strange.append(f"{code}: {text[:500]!r}")


@dataclass
class Reporter:
    """One reporter of one stage. It tells each reading once at least, and never the truth in order."""

    sink: Sink
    stage: str
    share: int
    first: Micros
    enough: threading.Event
    flood: threading.Event
    """What is held back is told at once."""
    failure: BaseException | None = None
    last: int = -1
    """The last bucket that it speaks of; known once it is told to end."""

    def work(self) -> None:
        """Report until it is enough, then everything that is left, then that this was all."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  it is raised where the thread is waited for
            self.failure = error

    def _work(self) -> None:
        chance = random.Random(f"{self.stage}-{self.share}")
        earlier, held, bucket = list[Line](), list[Line](), 0
        while not self.enough.is_set():
            due = (now() - 4 * SECOND - self.first) // WIDTH
            fresh = [line for one in range(bucket, due) for line in self._bucket(one)]
            bucket = max(bucket, due)
            held += [line for line in fresh if fate(int(line["source"][1:])) == "late"]
            told = [line for line in fresh if fate(int(line["source"][1:])) != "late"]
            if self.flood.is_set() and held:
                told, held = told + held, []
                self.sink.seen["floods of late data"] += 1
            for some in self._requests(list(told), earlier, chance):
                self.sink.push(some, chance)
            self.sink.push([self._progress(bucket, final=False)], chance)
            earlier += told
            self.enough.wait(chance.uniform(0.1, 0.6))
        if held:
            self.sink.push(held, chance)
        self.last = bucket

    def finish(self, last: int) -> None:
        """Tell all that is left up to a bucket, so that each stage ends with the same."""
        rest = [line for one in range(self.last, last) for line in self._bucket(one)]
        self.sink.push([*rest, self._progress(last, final=False)], random.Random(last))

    def end(self, last: int) -> None:
        """End in order, long after the last event; no gap is explained by its age any more."""
        self.sink.push([self._progress(last + SETTLED, final=True)], random.Random(last))

    def _bucket(self, bucket: int) -> Iterator[Line]:
        for source in range(SOURCES):
            for number in range(READINGS):
                yield said(source, bucket, number, self.share, self.stage, self.first)

    def _requests(self, told: list[Line], earlier: list[Line], chance: random.Random) -> Iterator[list[Line]]:
        """The same lines out of order, some said again, some contradicted in the same breath."""
        chance.shuffle(told)
        self.sink.seen["readings out of order"] += len(told)
        while told:
            size = chance.choice([20, 100, 400])
            some, told = told[:size], told[size:]
            if chance.random() < 0.5:
                again = chance.sample(earlier, min(len(earlier), 50))
                self.sink.seen["readings said again"] += len(again)
                some = some + again
            if chance.random() < 0.5:
                yield [line for right in some for line in self._contradicted(right, chance)]
            else:
                yield some
        if chance.random() < 0.3 and earlier:
            yield [*chance.sample(earlier, min(len(earlier), 50)), self._progress(0, final=False)]

    def _contradicted(self, right: Line, chance: random.Random) -> Iterator[Line]:
        """With the same instant the later line wins, so what is wrong was never in force."""
        if chance.random() < 0.2 and right["count"] > WRONG:
            self.sink.seen["readings contradicted"] += 1
            yield right | {"count": right["count"] - WRONG}
        yield right

    def _progress(self, bucket: int, *, final: bool) -> Line:
        through = self.first + bucket * WIDTH
        at = through + (READINGS + final) * SECOND
        line = {"type": "progress", "at": format_time(at), "pipeline": "batch", "stage": self.stage}
        return line | {"reporter": f"{self.stage}-{self.share}", "through": format_time(through), "final": final}
