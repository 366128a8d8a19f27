"""Tells channels from memory, while there is no outbox. What is to be done with each message, the outbox' rules say."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from reconciler.core.notices import Notice
from reconciler.core.outbox import DEAD_WAIT, Deed, Entry, Route, deed, in_order, mood, wait
from reconciler.core.times import Micros
from reconciler.posting import Letter, Notifier, NotifyFailed
from reconciler.running.patience import Patient
from reconciler.running.spool import Spool

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
"""A look waits so long for the channels; one that hangs holds up no other, and is left to itself."""


class Direct:
    """Every channel, and what it was told directly."""

    def __init__(self, notifiers: Sequence[Notifier], routes: Sequence[Route], spool: Spool) -> None:
        self._notifiers, self._spool = notifiers, spool
        self._routes = {route.channel: route for route in routes}
        self._entries = {(one.channel, one.notice.id): one for one in spool.told()}
        self._resume_at: dict[str, Micros] = {}
        self._patient = Patient(PATIENCE_SECONDS)
        self._guard = threading.Lock()

    @property
    def idle(self) -> bool:
        """Whether nothing that was told is still to be ended."""
        return not self._entries

    def since(self, name: str) -> Micros:
        """Since when this alarm stands, by what channels were told, by another process too; 0: it does not."""
        own = [one.notice for one in self._entries.values() if one.notice.id == name]
        return min((one.opened_at for one in own if one.status != "resolved"), default=0)

    def tell(self, found: Iterable[Notice], now: Micros, over: Callable[[Notice], str] = lambda _: "") -> None:
        """These hold now. Of all else that was told `over` says why it has ended; empty: nobody can say that it has."""
        current = set()
        with self._guard:
            for notice in found:
                current.add(notice.id)
                for route in self._routes.values():
                    self._want(route, notice)
            for key, entry in list(self._entries.items()):
                alive = entry.notice.id not in current and entry.notice.status != "resolved"
                if alive and (why := over(entry.notice)):
                    title = f"{entry.notice.title}. Over: {why}"
                    ended = replace(entry.notice, status="resolved", at=now, steps=(), title=title, changed=why)
                    self._entries[key] = replace(entry, notice=ended, wanted=entry.wanted + 1)
        self._send(now)
        with self._guard:
            self._entries = {key: one for key, one in self._entries.items() if not _ended(one)}
            self._spool.keep_told(self._entries.values())

    def _want(self, route: Route, notice: Notice) -> None:
        known = self._entries.get((route.channel, notice.id))
        if known is None and route.takes(notice):
            # Another process may have told it: a channel that can look for its message does.
            known = Entry(route.channel, notice, 1, 0, doubt_since=notice.opened_at)
        elif known is not None and replace(notice, at=0, opened_at=0) != replace(known.notice, at=0, opened_at=0):
            known = replace(known, notice=notice, wanted=known.wanted + 1)
        if known is not None:
            self._entries[route.channel, notice.id] = known

    def _send(self, now: Micros) -> None:
        works = {}
        for notifier in self._notifiers:
            if now < self._resume_at.get(notifier.name, 0):
                continue
            with self._guard:
                own = [one for (channel, _), one in self._entries.items() if channel == notifier.name]
            due = [one for one in in_order(own) if deed(one, notifier.manner, 0, now) in (Deed.SEND, Deed.AGAIN)]
            if due:
                works[notifier.name] = partial(self._speak, notifier, due, now)
        for name in self._patient.do(works):
            log.error("a channel hangs", extra={"channel": name})

    def _speak(self, notifier: Notifier, due: Sequence[Entry], now: Micros) -> None:
        """Tell one channel; it ends at the first failure, for what failed is most often the channel."""
        for entry in due:
            if _ended(entry):
                continue
            again = entry.wanted == entry.sent
            letter = Letter(entry.notice, entry.wanted, now, entry.reference, entry.doubt_since, again=again)
            try:
                self._told(entry, notifier.send(letter), now)
            except NotifyFailed as failure:
                self._failed(entry, failure, now)
                return

    def _told(self, entry: Entry, reference: Mapping[str, object], now: Micros) -> None:
        with self._guard:
            key = (entry.channel, entry.notice.id)
            self._entries[key] = replace(
                self._entries[key], sent=entry.wanted, sent_at=now, told=mood(entry.notice), reference=reference,
                attempts=0, doubt_since=0,
            )  # fmt: skip

    def _failed(self, entry: Entry, failure: NotifyFailed, now: Micros) -> None:
        log.error("an alarm was not taken", extra={"channel": entry.channel, "failure": failure.message})
        with self._guard:
            key = (entry.channel, entry.notice.id)
            attempts = self._entries[key].attempts + 1
            doubt = entry.doubt_since or now
            self._entries[key] = replace(
                self._entries[key], attempts=attempts, doubt_since=doubt, reference=failure.reference or entry.reference
            )
            usual = DEAD_WAIT if failure.permanent else wait(attempts, entry.channel, failure.retry_after)
            self._resume_at[entry.channel] = now + usual


def _ended(entry: Entry) -> bool:
    """Whether it is over and the channel knows, or never heard of it."""
    return entry.notice.status == "resolved" and (entry.sent == entry.wanted or not (entry.sent or entry.attempts))
