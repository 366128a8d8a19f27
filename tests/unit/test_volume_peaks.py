"""False alarms come to what was asked for: how high the rarest layer rises by itself is learned, and shared."""

import numpy as np

from reconciler.core.times import DAY, HOUR, MINUTE, Micros
from reconciler.core.volume_peaks import BLOCK, Peaks, ideal_level

WIDTH: Micros = 30 * MINUTE
EVERYBODY = np.ones(80, np.bool_)


def taught(scale: float, days: int = 28, sources: int = 80) -> Peaks:
    """Peaks of sources whose layers rise `scale` times as far as they should, and look at each bucket twice."""
    random = np.random.default_rng(8)
    peaks = Peaks.fresh(sources, WIDTH)
    for bucket in range(0, days * DAY, WIDTH):
        peaks.learn(scale * random.exponential(size=(2, sources)).max(axis=0), EVERYBODY[:sources], bucket, WIDTH)
    return peaks


def alarms_a_month(peaks: Peaks, scale: float) -> float:
    random = np.random.default_rng(9)
    buckets = 60 * DAY // WIDTH
    rises = scale * random.exponential(size=(2, buckets, len(peaks.seen))).max(axis=0)
    needed = np.log(30 * DAY / WIDTH)
    found = sum(int((peaks.apply(rise, WIDTH) > needed).sum()) for rise in rises)
    return found / len(peaks.seen) / 2


def test_the_rate_of_alarms_is_what_was_asked_for_whether_the_laws_claim_too_much_or_too_little() -> None:
    told = {scale: alarms_a_month(taught(scale), scale) for scale in (0.6, 1.0, 2.0)}
    assert all(0.3 <= alarms <= 1.2 for alarms in told.values()), told
    untaught = [alarms_a_month(taught(1.0), scale) for scale in (0.6, 2.0)]
    assert untaught[0] < 0.1
    assert untaught[1] > 10.0


def test_a_source_of_which_little_is_known_takes_after_the_others() -> None:
    old, young = taught(2.0), Peaks.fresh(80, WIDTH)
    young.usual_level[:], young.usual_excess[:] = old.usual_level, old.usual_excess
    assert alarms_a_month(young, 2.0) < 2.0
    assert alarms_a_month(Peaks.fresh(80, WIDTH), 2.0) > 10.0


def test_one_outage_does_not_make_the_next_one_usual() -> None:
    calm, hurt = taught(1.0, sources=1), taught(1.0, sources=1)
    one = np.ones(1, np.bool_)
    for peaks, height in ((calm, 1.0), (hurt, 60.0)):
        for bucket in range(0, BLOCK, WIDTH):
            peaks.learn(np.full(1, height), one, bucket, WIDTH)
    before, after = (peaks.apply(np.full(1, 9.0), WIDTH)[0] for peaks in (calm, hurt))
    assert before * 0.8 < after < before


def test_of_what_was_not_learned_from_nothing_is_left() -> None:
    peaks = taught(1.0, sources=3)
    level, excess = peaks.level.copy(), peaks.excess.copy()
    for bucket in range(0, 2 * BLOCK, WIDTH):
        peaks.learn(np.full(3, 30.0), np.zeros(3, np.bool_), bucket, WIDTH)
    np.testing.assert_array_equal(peaks.level, level)
    np.testing.assert_array_equal(peaks.excess, excess)


def test_rarer_is_never_less_rare() -> None:
    peaks = taught(1.4, sources=2)
    rises = np.linspace(-1, 40, 200)
    said = np.array([peaks.apply(np.full(2, rise), WIDTH) for rise in rises])
    assert (np.diff(said, axis=0) >= 0).all()
    assert ideal_level(5 * MINUTE) > ideal_level(WIDTH) > ideal_level(HOUR)
