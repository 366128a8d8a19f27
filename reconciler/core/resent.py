"""Events that were sent again: what of them filled a hole, and what counts twice.

Where the second stage labels what it processes again, its counts alone say so. Where only the first stage knows the
label (it accepts the replay, and the processing behind it cannot tell), the hole that was there at the last judgement
says it: what has come of it since is recovered, as far as so much was sent again.
"""

import numpy as np

from reconciler.core.tiles import PARTS, Bools, Ints
from reconciler.core.totals import Totals

_PART = {name: number for number, name in enumerate(PARTS)}


def hand_on(fed: Totals) -> None:
    """At a stage behind the first, what was sent again goes on like everything else: the next stage has to have it."""
    fed.ok = fed.ok + fed.replayed
    fed.replayed = np.zeros_like(fed.replayed)


def sent_again(fed: Totals, done: Totals, old: Ints) -> tuple[Ints, Ints]:
    """Events recovered and duplicated; `old`: the parts of the cells as last said, `(len(PARTS), …)`."""
    gap = fed.ok - done.ok - done.replayed - done.legal
    recovered = np.minimum(done.replayed, np.maximum(gap + done.replayed, 0))
    duplicated = done.replayed - recovered
    told = (fed.replayed > 0) & (done.replayed == 0)
    if told.any():
        came = np.maximum(old[_PART["lost"]] + old[_PART["passed_over"]] - np.maximum(gap, 0), 0)
        filled = np.minimum(fed.replayed, old[_PART["recovered"]] + came)
        recovered = np.where(told, filled, recovered)
        duplicated = np.where(told, np.minimum(np.maximum(-gap, 0), fed.replayed - filled), duplicated)
    return recovered, duplicated


def alike(fed: Totals, done: Totals, old: Ints) -> Bools:
    """Cells whose replays are those of which `old` was said."""
    again = old[_PART["recovered"]] + old[_PART["duplicated"]]
    same: Bools = (done.replayed == again) | ((done.replayed == 0) & (fed.replayed >= again))
    return same
