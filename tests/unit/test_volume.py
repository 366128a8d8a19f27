"""The model of volume: what it knows, what it does not say, and what it never learns from."""

import copy
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, date, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from reconciler.core import volume, volume_dump
from reconciler.core.times import DAY, HOUR, Micros
from reconciler.core.volume import Model, Sight, Word
from reconciler.core.volume_alarms import DROP, TINY
from reconciler.core.volume_clock import Clocks, changing, moment
from reconciler.core.volume_fleet import discoveries
from reconciler.core.volume_profile import WEEKS
from reconciler.core.volume_tails import Flags, Floats
from tests.unit.traffic import MONDAY, WIDTH, Change, counts, usual

SOURCES = 6
A_WEEK = 7 * DAY // WIDTH
EVERYBODY = np.ones(SOURCES, np.bool_)


def taught(days: float, change: Change | None = None) -> Model:
    """A model that has gone through so many days, with profiles made each midnight."""
    model = Model.fresh(SOURCES, WIDTH)
    seen: list[Floats] = []
    for bucket, drawn in counts(SOURCES, days, change=change):
        if bucket % DAY == 0 and len(seen) >= A_WEEK:
            volume.learn(model, weeks(seen), EVERYBODY)
        step(model, bucket, drawn)
        seen.append(drawn)
    return model


def weeks(seen: list[Floats], where: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """The last six weeks as the model wants them; `where`: (bucket, source) that may not be learned from."""
    grid = np.full((SOURCES, WEEKS * A_WEEK), np.nan, np.float32)
    behind = np.array(seen[-WEEKS * A_WEEK :], np.float32).T.copy()
    for bucket, source in where:
        behind[source, bucket] = np.nan
    grid[:, WEEKS * A_WEEK - behind.shape[1] :] = behind
    return np.roll(grid, len(seen) % A_WEEK, axis=1).reshape(SOURCES, WEEKS, A_WEEK)


def step(model: Model, bucket: Micros, drawn: Floats, known: Flags = EVERYBODY, **more: Flags) -> Sight:
    when = moment(bucket, WIDTH, Clocks.of([UTC] * SOURCES), frozenset())
    return volume.step(model, bucket, when, drawn, known, more.get("excluded"))


def words(model: Model, bucket: Micros, drawn: Floats, known: Flags = EVERYBODY) -> list[str]:
    sight = step(model, bucket, drawn, known)
    return [Word(int(word)).word for word in volume.words(sight, drawn, 1.0, WIDTH)]


@pytest.fixture(scope="module")
def trained() -> Model:
    """Three weeks old; tests work on copies."""
    return taught(21)


def after(days: float, hours: float = 0) -> Micros:
    return MONDAY + round(days * DAY + hours * HOUR)


def test_before_seven_days_nothing_is_said() -> None:
    model = taught(6)
    assert words(model, after(6, 12), np.zeros(SOURCES)) == ["untrained"] * SOURCES


def test_a_full_stop_at_noon_is_silent_at_once_and_usual_counts_are_normal(trained: Model) -> None:
    model = copy.deepcopy(trained)
    drawn = usual(SOURCES, 21 * DAY + 12 * HOUR).round()
    drawn[0] = 0
    assert words(model, after(21, 12), drawn) == ["silent", *["normal"] * (SOURCES - 1)]


def test_four_times_the_usual_is_high(trained: Model) -> None:
    drawn = usual(SOURCES, 21 * DAY + 12 * HOUR).round()
    drawn[2] *= 4
    assert words(copy.deepcopy(trained), after(21, 12), drawn)[2] == "high"


def test_expectation_and_band_hold_what_comes(trained: Model) -> None:
    model = copy.deepcopy(trained)
    inside = []
    for bucket, drawn in counts(SOURCES, 28, seed=9):
        if bucket >= after(21):
            sight = step(model, bucket, drawn)
            band = volume.bands(model, sight)
            inside.append((drawn >= band.low) & (drawn <= band.high))
    assert 0.93 <= float(np.mean(inside)) <= 0.985


def test_what_is_said_of_a_bucket_does_not_depend_on_its_count(trained: Model) -> None:
    sights = []
    for factor in (0.0, 1.0, 50.0):
        model = copy.deepcopy(trained)
        sight = step(model, after(21, 12), (usual(SOURCES, 12 * HOUR) * factor).round())
        sights.append((sight, volume.expectation(model, moment(0, WIDTH, Clocks.of([UTC] * SOURCES), frozenset()))))
    for sight, base in sights[1:]:
        np.testing.assert_array_equal(sight.expected, sights[0][0].expected)
        np.testing.assert_array_equal(sight.outlook.dispersion, sights[0][0].outlook.dispersion)
        np.testing.assert_array_equal(base, sights[0][1])


def test_nothing_is_learned_from_a_bucket_in_a_confirmed_incident(trained: Model) -> None:
    outage, peace = copy.deepcopy(trained), copy.deepcopy(trained)
    for number in range(24):
        bucket = after(21, number / 2)
        step(outage, bucket, np.zeros(SOURCES), excluded=EVERYBODY)
        step(peace, bucket, usual(SOURCES, 21 * DAY + number * WIDTH).round(), excluded=EVERYBODY)
    for part in fields(outage.levels):
        one, other = getattr(outage.levels, part.name), getattr(peace.levels, part.name)
        np.testing.assert_array_equal(one, other, err_msg=part.name)
    for part in fields(outage.alarms.low):
        np.testing.assert_array_equal(getattr(outage.alarms.low, part.name), getattr(peace.alarms.low, part.name))


def test_nothing_is_learned_into_the_week_from_what_is_cut_out() -> None:
    def outage(passed: Micros, drawn: Floats) -> Floats:
        return np.where(15 * DAY <= passed < 15 * DAY + 6 * HOUR, 0.0, drawn)

    clean = [drawn for _, drawn in counts(SOURCES, 21)]
    hurt = [drawn for _, drawn in counts(SOURCES, 21, change=outage)]
    first = 15 * DAY // WIDTH
    cut = [(first + number, source) for number in range(6 * HOUR // WIDTH) for source in range(SOURCES)]
    one, other = Model.fresh(SOURCES, WIDTH), Model.fresh(SOURCES, WIDTH)
    volume.learn(one, weeks(clean, cut), EVERYBODY)
    volume.learn(other, weeks(hurt, cut), EVERYBODY)
    np.testing.assert_array_equal(one.profiles.by_slot, other.profiles.by_slot)
    np.testing.assert_array_equal(one.profiles.by_class, other.profiles.by_class)


def test_a_missing_count_is_neither_judged_nor_taken_for_zero(trained: Model) -> None:
    model = copy.deepcopy(trained)
    before = model.levels.events.copy(), model.due.copy()
    assert words(model, after(21, 12), np.zeros(SOURCES), ~EVERYBODY) == ["untrained"] * SOURCES
    later = words(model, after(21, 12.5), usual(SOURCES, 12 * HOUR).round())
    assert later == ["normal"] * SOURCES
    assert (model.levels.events >= before[0] * 0.5).all()


def test_the_levels_are_held_while_a_drop_is_suspected(trained: Model) -> None:
    model = copy.deepcopy(trained)
    for number in range(8):
        sight = step(model, after(21, 12 + number / 2), np.zeros(SOURCES))
    fraction = sight.expected / usual(SOURCES, 21 * DAY + 31 * HOUR // 2)
    assert sight.held.all()
    assert (fraction > 0.8).all()


def test_what_a_busy_day_lacked_is_no_slow_drop_of_the_quiet_night_after_it(trained: Model) -> None:
    model, quietest = copy.deepcopy(trained), slice(0, 1)  # it has few events at night, and many by day
    for number in range(48):
        drawn = usual(SOURCES, number * WIDTH).round() * (0.6 if 12 <= number < 46 else 1.0)
        sight = step(model, after(21, number / 2), drawn.round())
    for number in range(2):
        sight = step(model, after(22, number / 2), usual(SOURCES, number * WIDTH).round())
    assert sight.expected[quietest] < TINY
    assert sight.layers[DROP, quietest] < 1.0


def test_an_hour_without_events_means_nothing_where_few_are_due() -> None:
    model = Model.fresh(1, WIDTH)
    model.profiles.by_slot[:] = model.profiles.by_class[:] = 1.0  # two an hour
    model.trained[:] = True
    model.levels.age[:] = 1e4
    said = []
    for number in range(2 * 48):
        when = moment(after(0, number / 2), WIDTH, Clocks.of([UTC]), frozenset())
        sight = volume.step(model, after(0, number / 2), when, np.zeros(1), np.ones(1, np.bool_))
        said.append(int(volume.words(sight, np.zeros(1), 1.0, WIDTH)[0]))
    first = said.index(Word.SILENT) / 2
    assert 3 <= first <= 24
    assert set(said[: said.index(Word.SILENT)]) == {Word.NORMAL}


def test_after_the_end_of_an_outage_the_alarm_is_over_within_the_hour(trained: Model) -> None:
    model = copy.deepcopy(trained)
    random = np.random.default_rng(3)
    said = []
    for number in range(24):
        passed = 21 * DAY + 8 * HOUR + number * WIDTH
        drawn = np.zeros(SOURCES) if number < 12 else random.poisson(usual(SOURCES, passed)).astype(float)
        said.append(words(model, MONDAY + passed, drawn))
    assert all(word == "silent" for word in said[11])
    assert all(word in {"normal", "high"} for row in said[15:] for word in row)


def test_a_holiday_that_looks_like_a_sunday_is_normal(trained: Model) -> None:
    model, workday = copy.deepcopy(trained), copy.deepcopy(trained)
    off = frozenset({date(2024, 3, 25)})
    clocks = Clocks.of([UTC] * SOURCES)
    said, without = set(), set()
    for number in range(18, 36):
        bucket = after(21) + number * WIDTH
        drawn = (usual(SOURCES, 20 * DAY + number * WIDTH)).round()
        sight = volume.step(model, bucket, moment(bucket, WIDTH, clocks, off), drawn, EVERYBODY)
        said |= set(volume.words(sight, drawn, 1.0, WIDTH).tolist())
        without |= set(words(workday, bucket, drawn))
    assert said == {Word.NORMAL}
    assert "low" in without


@pytest.mark.parametrize(
    ("zone", "local"),
    [(ZoneInfo("Europe/Berlin"), 1), (ZoneInfo("Asia/Tokyo"), 9), (UTC, 0)],
    ids=["Berlin in winter", "Tokyo", "UTC"],
)
def test_slots_follow_the_local_clock(zone: tzinfo, local: int) -> None:
    when = moment(MONDAY, WIDTH, Clocks.of([zone]), frozenset())
    assert when.slot.tolist() == [local * 2]
    assert when.hour.tolist() == [local]


def test_the_hours_of_a_clock_change_are_not_judged() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    change = MONDAY + 27 * DAY + HOUR  # 31 March 2024, 01:00 UTC
    near = [changing(berlin, change + round(hours * HOUR), WIDTH) for hours in (-1, -0.5, 0, 0.5, 1, 12)]
    assert near == [False, True, True, True, False, False]


def test_one_odd_source_of_many_must_be_odder_than_one_of_a_crowd() -> None:
    alone, crowd = np.zeros(1000), np.zeros(1000)
    alone[0] = crowd[:200] = 12.0
    share = 1.0 * WIDTH / (30 * DAY)
    assert not discoveries(alone, share, 1000).any()
    assert discoveries(crowd, share, 1000).sum() == 200
    alone[0] = 16.0
    assert discoveries(alone, share, 1000).tolist() == [True] + [False] * 999


def test_alarms_within_a_tick_are_those_of_the_library_that_statisticians_use() -> None:
    from statsmodels.stats.multitest import multipletests  # here, not in the service: it takes a second to import

    random = np.random.default_rng(4)
    for share in (0.02, 0.2):
        p = np.concatenate([random.uniform(size=80), random.uniform(0, 0.002, 20)])
        assert 0 < discoveries(-np.log(p), share, len(p)).sum() < 80
        np.testing.assert_array_equal(discoveries(-np.log(p), share, len(p)), multipletests(p, share, "fdr_bh")[0])


def test_a_model_at_rest_goes_on_as_if_it_had_never_slept(trained: Model) -> None:
    model = copy.deepcopy(trained)
    woken = volume_dump.restore(volume_dump.dump_warm(model), volume_dump.dump_week(model))
    assert woken is not None
    for number in range(8):
        drawn = usual(SOURCES, 12 * HOUR).round()
        one, other = (step(which, after(21, number / 2), drawn) for which in (model, woken))
        np.testing.assert_array_equal(one.low, other.low)
        np.testing.assert_array_equal(one.expected, other.expected)
    assert len(volume_dump.dump_warm(model) + volume_dump.dump_week(model)) / SOURCES < 40 * 1024


def test_a_model_of_another_version_is_learned_anew(trained: Model) -> None:
    warm = volume_dump.dump_warm(trained).replace(b'"version":2', b'"version":1')
    assert volume_dump.restore(warm, volume_dump.dump_week(trained)) is None


def test_a_source_on_a_schedule_has_a_narrow_band() -> None:
    model = Model.fresh(1, WIDTH)
    model.trained[:] = True
    model.profiles.by_slot[:] = model.profiles.by_class[:] = 100.0
    random = np.random.default_rng(5)
    for number in range(14 * 48):
        when = moment(after(0, number / 2), WIDTH, Clocks.of([UTC]), frozenset())
        drawn = np.array([100.0 + random.integers(-1, 2)])
        sight = volume.step(model, after(0, number / 2), when, drawn, np.ones(1, np.bool_))
    band = volume.bands(model, sight)
    assert band.low[0] >= 90, "chance alone would make it 81"
    assert band.high[0] <= 110
