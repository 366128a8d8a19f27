"""Tells the centre what has changed, again and again: sums first, then how far they reach."""

import json
import logging
import random
from collections.abc import Callable
from threading import Event, Thread

from reconciler.agent.centre import Away, Centre
from reconciler.agent.meters import Meters
from reconciler.agent.outbox import Outbox
from reconciler.agent.spool import Spool
from reconciler.core.observations import Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.records import record_of
from reconciler.core.times import MINUTE, Micros

LONGEST_WAIT = 60.0
"""Seconds between two tries, at most."""
AGAIN: Micros = 10 * MINUTE
"""After so long what the centre refused is tried once more."""

log = logging.getLogger(__name__)


class Forwarder:
    """One thread; `every`: seconds between two rounds while all goes well; `keep`: how long buckets may still grow."""

    def __init__(
        self, spool: Spool, centre: Centre, pipelines: dict[str, Pipeline], now: Callable[[], Micros],
        *, every: float, keep: Micros, meters: Meters,
    ) -> None:  # fmt: skip
        self._outbox, self._centre = Outbox(spool, pipelines), centre
        self._now, self._every, self._keep, self._meters = now, every, keep, meters
        self._tries, self._asked, self._failure, self._tried_again = 0, 0.0, "", now()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether it works or waits."""
        return self._thread.is_alive()

    def stop(self, seconds: float) -> bool:
        """End after what is being sent; what is left stays in the spool. Whether it came about in time."""
        self._stop.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def round(self) -> bool:
        """Tell all that there is to tell; whether the centre has confirmed it. Public for tests."""
        now = self._now()
        try:
            self._tell(now)
        except Away as error:
            if not self._failure:
                log.warning("the centre was not reached, and is tried again", extra={"reason": str(error)})
            self._failure, self._tries, self._asked = str(error), self._tries + 1, error.wait
            self._meters.failed()
        else:
            if self._failure:
                log.info("the centre is reached again")
            self._failure, self._tries, self._asked = "", 0, 0.0
            self._meters.succeeded(now)
            self._outbox.forget(now - self._keep)
        self._meters.stands(self._outbox.standing())
        return not self._failure

    def _tell(self, now: Micros) -> None:
        if now - self._tried_again >= AGAIN:
            self._outbox.try_again()
            self._tried_again = now
        # Taken down first: whatever comes in meanwhile is not claimed.
        progress, latest = self._outbox.progress(now), self._outbox.latest()
        while (sums := self._outbox.sums(latest, now)).ids:
            refused = self._post([_line(seen) for seen in sums.counts])
            self._outbox.confirm(sums, set(refused))
        while lines := self._outbox.passing():
            self._post([line for _, line in lines])
            self._outbox.passed([one for one, _ in lines])
        sound = [seen for seen in progress if not self._outbox.held(seen)]
        if sound:
            refused = self._post([_line(seen) for seen in sound])
            self._outbox.confirm_progress([seen for place, seen in enumerate(sound) if place not in refused])

    def _post(self, lines: list[str]) -> dict[int, str]:
        refused = self._centre.post(lines)
        self._meters.told(len(lines) - len(refused), len(refused))
        for place in list(refused)[:1]:
            reason = {"reason": refused[place], "refused": len(refused), "line": lines[place][:500]}
            log.error("the centre refused lines; their buckets are not called whole", extra=reason)
        return refused

    def _run(self) -> None:
        while not self._stop.is_set():
            self.round()
            self._stop.wait(self._pause())

    def _pause(self) -> float:
        """Seconds until the next round: longer after each failure, and never all agents at once."""
        if not self._tries:
            return self._every
        longer = min(LONGEST_WAIT, self._every * 2 ** min(self._tries - 1, 10))
        spread: float = longer * random.uniform(0.5, 1.0)  # noqa: S311  it is no secret
        return max(self._asked, spread)

    def close(self) -> None:
        """Let go of the spool."""
        self._outbox.close()


def _line(seen: Observation) -> str:
    return json.dumps(record_of(seen), ensure_ascii=False, separators=(",", ":"))
