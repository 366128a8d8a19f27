"""What the model of volume expects of single buckets of one source, without the other sources: for charts.

It is what is learned by now, laid under any time: of the last hours it is what verdicts say as `expected` and `band`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

import numpy as np

from reconciler.core import volume_dump
from reconciler.core.times import Micros
from reconciler.core.volume import expectation
from reconciler.core.volume_bands import band
from reconciler.core.volume_clock import Clocks, Moment, moment
from reconciler.core.volume_level import outlook
from reconciler.core.volume_tails import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """Events that are usual in single buckets, `(buckets,)`."""

    expected: Floats
    low: Floats
    """From here ..."""
    high: Floats
    """... to here lie 95 % of such buckets."""


def usual(
    warm: bytes, week: Sequence[bytes], row: int, buckets: Sequence[Micros], zone: tzinfo, holidays: frozenset[date]
) -> Usual | None:  # fmt: skip
    """Of these buckets of one source; `week`: its profiles, as `volume_dump.places` finds them. `None`: untrained."""
    model = volume_dump.restore_row(warm, week, row, len(buckets))
    if model is None or not buckets or not model.trained[0]:
        return None
    clocks = Clocks.of([zone])
    moments = [moment(bucket, model.width, clocks, holidays) for bucket in buckets]
    when = Moment(*(np.concatenate([getattr(one, name) for one in moments]) for name in ("slot", "hour", "holiday",
                                                                                         "unclear")))  # fmt: skip
    seen = outlook(model.levels, expectation(model, when), when.hour)
    range_ = band(seen, model.alarms.low.row(0), model.alarms.high)
    return Usual(seen.mean, range_.low, range_.high)
