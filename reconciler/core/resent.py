"""Events that came after they were missed, and events that were sent again: what filled a hole, what counts twice.

The hole of a cell is all that was ever lost or passed over in it. What has come of it since has *returned*, unless it
was sent again: then it is *recovered*. Where the second stage labels what it processes again, its counts alone say so.
Where only the first stage knows the label (it accepts the replay, and the processing behind it cannot tell), what has
come is recovered as far as so much was sent again, whichever of the two was reported first.
"""

import numpy as np

from reconciler.core.tiles import SPAN, Bools, Ints, Planes, zeros
from reconciler.core.totals import Totals


def hand_on(fed: Totals) -> None:
    """At a stage behind the first, what was sent again goes on like everything else: the next stage has to have it."""
    nothing = zeros(len(fed.ok))
    if fed.replayed is not nothing:
        fed.ok, fed.replayed = fed.ok + fed.replayed, nothing


def sent_again(fed: Totals, done: Totals, old: Planes, rows: int) -> dict[str, Ints]:
    """Events recovered, duplicated and returned, where there can be any. `old`: the cells as last said."""
    nothing = zeros(rows)
    labelled = fed.replayed is not nothing or done.replayed is not nothing
    if not labelled and all(old.is_blank(part) for part in _HOLE):
        return {}
    finished = done.ok + done.replayed + done.legal
    gap = fed.ok - finished
    came = _came(np.maximum(gap, 0), finished, old, rows)
    if not labelled:
        return {"returned": came} if came.any() else {}
    recovered = np.minimum(done.replayed, np.maximum(gap + done.replayed, 0))
    duplicated = done.replayed - recovered
    told = (fed.replayed > 0) & (done.replayed == 0)
    if told.any():
        filled = np.minimum(fed.replayed, came)
        recovered = np.where(told, filled, recovered)
        duplicated = np.where(told, np.minimum(np.maximum(-gap, 0), fed.replayed - filled), duplicated)
    return {"recovered": recovered, "duplicated": duplicated, "returned": np.maximum(came - recovered, 0)}


_HOLE = ("lost", "passed_over", "recovered", "returned")
"""All that was ever missed of a cell, come since or not."""


def _came(short: Ints, finished: Ints, old: Planes, rows: int) -> Ints:
    """Of the hole, what has come so far. A count of accepted events that is corrected fills no hole."""
    lost, passed_over, recovered, returned = (old[part][:rows] for part in _HOLE)
    more = finished - old["processed"][:rows] - old["accounted"][:rows]
    filling = np.maximum(np.minimum(more, lost + passed_over - short), 0)
    came: Ints = np.maximum(recovered + returned + np.where(more > 0, filling, more), 0)
    return came


def alike(fed: Totals, done: Totals, old: Planes, rows: int) -> Bools:
    """Cells whose replays are those of which `old` was said."""
    nothing = zeros(rows)
    if fed.replayed is nothing and done.replayed is nothing and old.is_blank("recovered"):
        return np.ones((rows, SPAN), np.bool_)
    recovered, returned = old["recovered"][:rows], old["returned"][:rows]
    as_told = np.minimum(fed.replayed, recovered + returned) == recovered
    same: Bools = np.where(done.replayed == 0, as_told, done.replayed == recovered + old["duplicated"][:rows])
    return same
