"""The table of demands against what was reached, for the model of volume and its rivals."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.models.protocol import ENOUGH_LOST, HISTORY_DAYS, LOSSES, Loss, Run, run, thresholds
from benchmarks.models.rivals import Ets, Naive, Ours, Rival, ZScore
from benchmarks.models.series import Family, load
from reconciler.core.times import DAY, HOUR, Micros, format_duration
from reconciler.core.volume_tails import Floats

DEMANDS = {
    "log score per bucket": "least of all",
    "95 % interval covers, %": "94 to 97",
    "the same, worst family": "90 or more",
    "below the 1 % quantile, %": "",
    "below the 0.1 % quantile, %": "0.2 or less",
    "false alerts a source-month, nominal": "0.3 to 1.2",
    "the same, worst source": "5 or less",
    Loss(1.0, HOUR).name: "0.97 or more",
    Loss(0.5, HOUR).name: "0.55 or more",
    Loss(0.3, 3 * HOUR).name: "0.35 or more",
    Loss(0.0, HOUR).name: "0.02 or less",
    Loss(0.0, 6 * HOUR).name: "0.02 or less",
}


def _ets(family: Family) -> Rival:
    return Ets(family, HISTORY_DAYS * DAY // family.width)


MODELS: dict[str, Callable[[Family], Rival]] = {
    "this project": Ours, "naive seasonal": Naive, "z-score, hour of week": ZScore, "ETS (statsmodels)": _ets,
}  # fmt: skip


def figures(runs: Sequence[Run]) -> dict[str, float]:
    """What is in the table, over all series of these families; each series counts alike."""
    by_series: list[list[float]] = []
    for one in runs:
        for series in range(one.counts_of_series):
            rows = one.scored[:, series]
            if rows.any():
                tail = one.tail[rows, series]
                by_series.append(
                    [
                        float(one.score[rows, series].mean()), 100 * float(one.inside[rows, series].mean()),
                        100 * float((tail > np.log(100)).mean()), 100 * float((tail > np.log(1000)).mean()),
                    ]
                )  # fmt: skip
    score, inside, below, far = np.mean(by_series, axis=0).tolist()
    families = [np.mean([one.inside[one.scored[:, s], s].mean() for s in range(one.counts_of_series)]) for one in runs]
    alerts = [one.alerts(one.nominal()) for one in runs]
    months = [one.months for one in runs]
    per_source = np.concatenate([a / np.maximum(m, 1e-9) for a, m in zip(alerts, months, strict=True)])
    total = float(sum(a.sum() for a in alerts) / sum(m.sum() for m in months))
    found = {
        "log score per bucket": score, "95 % interval covers, %": inside,
        "the same, worst family": 100 * float(min(families)), "below the 1 % quantile, %": below,
        "below the 0.1 % quantile, %": far, "false alerts a source-month, nominal": total,
        "the same, worst source": float(per_source.max()),
    }  # fmt: skip
    limits = [thresholds(one) for one in runs]
    return found | {loss.name: recall(runs, loss, limits)[0] for loss in LOSSES}


def recall(runs: Sequence[Run], loss: Loss, limits: Sequence[Floats]) -> tuple[float, float, int]:
    """Share of losses that were found while they lasted, median minutes to the alarm, and how many there were."""
    found: list[bool] = []
    after: list[float] = []
    for one, limit in zip(runs, limits, strict=True):
        for trial in one.trials:
            if trial.loss == loss and (trial.vanished >= ENOUGH_LOST or not loss.share):
                beyond = np.flatnonzero(trial.peak > limit[trial.series])
                found.append(len(beyond) > 0)
                after += [(int(beyond[0]) + 1) * one.family.width / 60e6] if len(beyond) else []
    share = float(np.mean(found)) if found else float("nan")
    return share, float(np.median(after)) if after else float("nan"), len(found)


def measure(folder: Path, least: Micros, *, quick: bool, seed: int) -> None:
    """Run the whole protocol and print the tables."""
    families = load(folder, least)
    number = 10 if quick else 40
    models = {name: make for name, make in MODELS.items() if not (quick and make is _ets)}
    done: dict[str, list[Run]] = {}
    for name, make in models.items():
        done[name] = [run(family, make, number, seed, LOSSES) for family in families]
    days = sum(float(one.months.sum()) * 30 for one in done["this project"])
    print(
        f"{sum(len(f.series) for f in families)} series, {days:.0f} source-days after {HISTORY_DAYS} days of history,"
    )
    print(f"buckets of {', '.join(sorted({format_duration(family.width) for family in families}))}; seed {seed},")
    print(f"{number} starts; recall at one false alert a source-month, each source at a threshold of its own,")
    print(f"of losses of {ENOUGH_LOST} events or more.")
    print(f"A budget below one in {days:.0f} source-days has not been measured.\n")
    table = {name: figures(runs) for name, runs in done.items()}
    _print_table(table)
    print("\nRecall by family (this project), median minutes to the alarm, and how many losses:")
    _print_families(done["this project"])


def _print_table(table: dict[str, dict[str, float]]) -> None:
    rows = list(next(iter(table.values())))
    print(f"{'':40}" + "".join(f"{name:>24}" for name in table) + f"{'demand':>16}")
    for row in rows:
        print(f"{row:40}" + "".join(f"{table[name][row]:24.2f}" for name in table) + f"{DEMANDS.get(row, ''):>16}")


def _print_families(runs: Sequence[Run]) -> None:
    limits = [thresholds(one) for one in runs]
    for loss in LOSSES:
        cells = []
        for one, limit in zip(runs, limits, strict=True):
            share, after, number = recall([one], loss, [limit])
            cells.append(f"{one.family.name}: {share:.2f} ({after:.0f} min, {number})" if number else "")
        print(f"{loss.name:40}" + "   ".join(cell for cell in cells if cell))
