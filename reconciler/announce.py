"""The pass that tells people: takes what is due out of the outbox, sends it, and records it after it was taken."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler import registry
from reconciler.core.notices import Notice
from reconciler.core.outbox import DEAD_WAIT, Deed, Entry, Post, Route, deed, digest, wait
from reconciler.core.times import HOUR, Micros
from reconciler.ports import Store
from reconciler.posting import Letter, Notifier, NotifyFailed
from reconciler.settings import Settings

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Letters between two looks into the outbox: something more urgent may have come."""
DOWN = 2
"""So many failures running are the channel's, not a letter's: it is left alone until its next try."""


def notifiers_of(settings: Settings) -> list[Notifier]:
    """The notifiers as configured, in the order of the file; nothing is connected to."""
    return [
        registry.adapter("notifiers", found.kind).build(name, found.options)
        for name, found in settings.notifiers.items()
    ]


def routes_of(settings: Settings) -> list[Route]:
    """Which channel is told what."""
    return [found.options.route(name) for name, found in settings.notifiers.items()]


@dataclass(slots=True)
class Announced:
    """What came of one pass over one channel."""

    channel: str
    sent: int = 0
    shared: int = 0
    """Incidents that were said in the digest."""
    failures: list[str] = field(default_factory=list)
    said: list[tuple[Notice, Mapping[str, Any]]] = field(default_factory=list)
    """What the channel took that it had not been told before, each with its reference."""
    dead: int = 0
    """Letters that were given up in this pass."""

    @property
    def something(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.sent or self.shared or self.failures)


@dataclass(slots=True)
class Channel:
    """A notifier, and what this process remembers of how it does."""

    notifier: Notifier
    public_url: str = ""
    """Where people see the pages."""
    failed: int = 0
    """Failures since the last success."""
    resume_at: Micros = 0

    def announce(self, store: Store, clock: Callable[[], Micros], stopping: Callable[[], bool] = bool) -> Announced:
        """Send what is due, the most urgent first, until nothing is or the channel is down."""
        done = Announced(self.notifier.name)
        while not stopping() and clock() >= self.resume_at:
            found = store.outbox.due(self.notifier.name, clock(), self.notifier.manner, AT_ONCE)
            if not found or not self._work(store, clock, stopping, found, done):
                break
        return done

    def _work(
        self,
        store: Store,
        clock: Callable[[], Micros],
        stopping: Callable[[], bool],
        found: Sequence[Entry],
        done: Announced,
    ) -> bool:
        """Whether it makes sense to look for more."""
        outbox, manner = store.outbox, self.notifier.manner
        crowd = outbox.crowd(self.notifier.name) if manner.digest_above else 0
        sharing: list[Entry] = []
        for entry in found:
            if stopping() or clock() < self.resume_at:
                return False
            now = clock()
            what = deed(entry, manner, crowd, now)
            if what is Deed.DIGEST:
                sharing.append(entry)
            elif what is Deed.WAIT:
                outbox.wait(entry, min(now + HOUR, entry.sent_at + manner.updates_every))
            elif what in (Deed.SEND, Deed.AGAIN):
                self._try(store, entry, clock, done)
        if sharing:
            self._share(store, sharing, clock(), done)
        return True

    def _share(self, store: Store, sharing: Sequence[Entry], now: Micros, done: Announced) -> None:
        """Note that these are in the digest, and that it has changed: it is a letter like any other."""
        channel = self.notifier.name
        shared = store.outbox.share(channel, sharing, now)
        done.shared += len(sharing)
        notice = digest(shared, store.outbox.digested(channel, shared), now, self.public_url)
        store.outbox.post([Post(channel, notice, begins=notice.status != "resolved")], now)

    def _try(self, store: Store, entry: Entry, clock: Callable[[], Micros], done: Announced) -> None:
        outbox, now = store.outbox, clock()
        if not outbox.claim(entry, now, now + self.notifier.manner.hold):
            return
        again = entry.wanted == entry.sent
        letter = Letter(entry.notice, entry.wanted, now, entry.reference, entry.doubt_since, again=again)
        try:
            reference: Mapping[str, Any] = self.notifier.send(letter)
        except NotifyFailed as failure:
            self._failed(store, entry, failure, clock(), done)
            return
        outbox.delivered(entry, reference, clock())
        done.sent += 1
        if not again:
            done.said.append((entry.notice, reference))
        if self.failed >= DOWN:
            outbox.wake(self.notifier.name, clock())
        self.failed = 0

    def _failed(self, store: Store, entry: Entry, failure: NotifyFailed, now: Micros, done: Announced) -> None:
        name, notice = self.notifier.name, entry.notice
        seed = f"{name}\0{notice.id}"
        dead = failure.permanent or now - (entry.failing_since or now) >= self.notifier.manner.give_up_after
        usual = DEAD_WAIT if dead else wait(entry.attempts + 1, seed, failure.retry_after)
        store.outbox.failed(entry, failure, now, now + max(usual, failure.retry_after or 0), dead=dead)
        self.failed += 1
        done.failures.append(failure.message)
        done.dead += dead and entry.state != "dead"
        if failure.retry_after:
            self.resume_at = now + failure.retry_after
        elif self.failed >= DOWN:
            self.resume_at = now + wait(self.failed - DOWN + 1, name)
        log.error("a notice was not taken", extra={"channel": name, "incident": notice.id, "failure": failure.message})
