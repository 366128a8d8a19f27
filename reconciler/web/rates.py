"""How much each caller may send: an allowance that fills with time, and is charged after the fact.

Nobody knows how many observations a request holds before it is read. So one is let in while the caller has any
allowance left, charged for what it held, and the next waits until the debt is paid.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from reconciler.core.times import SECOND, Micros

BURST = 10
"""Seconds of the rate that may come at once."""
REMEMBERED = 10_000
"""Callers; of one that is forgotten nothing is held against it."""


@dataclass(slots=True)
class _Account:
    left: float
    at: Micros


class Rates:
    """The allowances of all callers."""

    def __init__(self, rate: int) -> None:
        self._rate, self._most = rate, rate * BURST
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._lock = Lock()

    def wait(self, key: str, now: Micros) -> int:
        """Seconds that the caller has to wait; 0: it may send."""
        with self._lock:
            left = self._account(key, now).left
        return 0 if left > 0 else int(-left / self._rate) + 1

    def charge(self, key: str, observations: int, now: Micros) -> None:
        """Note what was sent."""
        with self._lock:
            self._account(key, now).left -= observations

    def _account(self, key: str, now: Micros) -> _Account:
        account = self._accounts.setdefault(key, _Account(self._most, now))
        self._accounts.move_to_end(key)
        account.left = min(self._most, account.left + max(0, now - account.at) / SECOND * self._rate)
        account.at = max(account.at, now)
        while len(self._accounts) > REMEMBERED:
            self._accounts.popitem(last=False)
        return account
