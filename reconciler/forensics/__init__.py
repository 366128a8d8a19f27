"""What happened, what was known when, who is affected: of a window in the past, from the ledger.

In a notebook::

    from reconciler.forensics import look

    incident = look("reconciler.yaml", "2021-07-20T18:00:00Z", "2021-07-21T11:00:00Z")
    incident.frame("sources")     # a pandas.DataFrame; also: timeline, buckets, cells, standing, offsets, queues
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.times import Micros, parse_time
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    import pandas

    from reconciler.forensics.inquiry import Investigation

__all__ = ["Incident", "look"]


@dataclass(frozen=True, slots=True)
class Incident:
    """An investigation, for a notebook."""

    found: "Investigation"

    def frame(self, name: str) -> "pandas.DataFrame":
        """One of its tables as a data frame."""
        from reconciler.forensics.tables import TABLES

        known = {make.__name__: make for make in TABLES}
        if name not in known:
            raise ConfigError(f"there is no table {name!r}; there are {', '.join(known)}")
        return known[name](self.found).frame()


def look(config: str, start: str, end: str, *, pipeline: str | None = None, as_of: str | None = None) -> Incident:
    """What the ledger of a configuration knows of the buckets of [start, end), times as in ``2021-07-20T18:00:00Z``.

    With `as_of`, what it knew then.
    """
    from reconciler.app import opened
    from reconciler.forensics.inquiry import investigate

    first, last = (_time(text) for text in (start, end))
    with opened(config) as app:
        pipelines = list(app.pipelines(pipeline).values())
        instant = None if as_of is None else _time(as_of)
        return Incident(investigate(app.store, app.settings, pipelines, first, last, instant))


def _time(text: str) -> Micros:
    try:
        return parse_time(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None
