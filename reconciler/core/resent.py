"""Events that were sent again: what of them filled a hole, and what counts twice.

Where the second stage labels what it processes again, its counts alone say so. Where only the first stage knows the
label (it accepts the replay, and the processing behind it cannot tell), the hole that was there at the last judgement
says it: what has come of it since is recovered, as far as so much was sent again.
"""

import numpy as np

from reconciler.core.tiles import Bools, Ints, Planes, zeros
from reconciler.core.totals import Totals


def hand_on(fed: Totals) -> None:
    """At a stage behind the first, what was sent again goes on like everything else: the next stage has to have it."""
    nothing = zeros(len(fed.ok))
    if fed.replayed is not nothing:
        fed.ok, fed.replayed = fed.ok + fed.replayed, nothing


def sent_again(fed: Totals, done: Totals, old: Planes, rows: int) -> dict[str, Ints]:
    """Events recovered and duplicated; nothing where nothing was sent again. `old`: the cells as last said."""
    nothing = zeros(rows)
    if fed.replayed is nothing and done.replayed is nothing:
        return {}
    gap = fed.ok - done.ok - done.replayed - done.legal
    recovered = np.minimum(done.replayed, np.maximum(gap + done.replayed, 0))
    duplicated = done.replayed - recovered
    told = (fed.replayed > 0) & (done.replayed == 0)
    if told.any():
        came = np.maximum(old["lost"][:rows] + old["passed_over"][:rows] - np.maximum(gap, 0), 0)
        filled = np.minimum(fed.replayed, old["recovered"][:rows] + came)
        recovered = np.where(told, filled, recovered)
        duplicated = np.where(told, np.minimum(np.maximum(-gap, 0), fed.replayed - filled), duplicated)
    return {"recovered": recovered, "duplicated": duplicated}


def alike(fed: Totals, done: Totals, old: Planes, rows: int) -> Bools:
    """Cells whose replays are those of which `old` was said."""
    again = old["recovered"][:rows] + old["duplicated"][:rows]
    same: Bools = (done.replayed == again) | ((done.replayed == 0) & (fed.replayed >= again))
    return same
