"""What is said of lag in simulated pipelines: false hours where nothing is lost, minutes to the word where it is."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.models.pipelines import START, Run, Story, observations, play
from reconciler.backtest import backtest
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.times import MINUTE, parse_time

RATES = (20, 300)
"""Events a minute."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A story, what is asked of it, and at which rates."""

    story: Story
    minutes: float
    """At most so many minutes after the first lost event; 0: harmless, and no false hour at all."""
    rates: tuple[int, ...] = RATES


DEMANDS = (
    Demand(Story("harmless outage of 7 h", 0, 660, stopped=(30, 450)), 0),
    Demand(Story("the same, the queue not seen", 0, 660, stopped=(30, 450), queue=False), 0),
    Demand(Story("slow consumer, 3 h", 0, 480, slow=(30, 210)), 0),
    Demand(Story("ingress clock 90 s off", 0, 720, clock=0.3), 0),
    Demand(Story("long mobile tail", 0, 720, tail=0.03), 0),
    Demand(Story("long mobile tail, the queue not seen", 0, 720, tail=0.03, queue=False), 0),
    Demand(Story("7 h outage, 20 min retention", 0, 480, stopped=(30, 450), retention=20), 10),
    Demand(Story("acknowledged, never written", 0, 120, unwritten=0.05), 5),
    Demand(Story("1 % lost", 0, 180, dropped=0.01), 15),
    Demand(Story("1 % lost, the queue not seen", 0, 180, dropped=0.01, queue=False), 15),
    Demand(Story("0.1 % lost", 0, 360, dropped=0.001), 60, (300,)),
    Demand(Story("0.1 % lost, the queue not seen", 0, 360, dropped=0.001, queue=False), 60, (300,)),
    Demand(Story("loss hidden by duplicates, digests", 0, 180, dropped=0.02, doubled=0.02, digests=True), 15),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to."""

    word: float
    """Minutes from the first lost event to the first word of loss; infinite: none."""
    false_hours: float
    """Hours in which something was called lost that was not; each minute counts that such a word stands."""
    foretold: bool


def measure(story: Story, seed: int) -> Result:
    """Play a story through the engine, minute by minute."""
    run = play(story, seed)
    queues = {"q": Queue("q", Hop("ingress", "processed"))} if story.queue else {}
    pipeline = Pipeline("p", ("ingress", "processed"), queues=queues)
    claims, word, foretold = _listen(backtest(observations(run), {"p": pipeline}), run)
    return Result(word - run.first_loss if np.isfinite(run.first_loss) else np.inf, claims / 60, foretold)


def _listen(lines: Iterable[dict[str, object]], run: Run) -> tuple[int, float, bool]:
    """Minutes in which more was called lost than was; when loss was first spoken of; whether it was foretold."""
    truth: dict[int, int] = defaultdict(int)
    for bucket in np.floor(run.accepted[run.lost]).astype(int).tolist():
        truth[bucket] += 1
    wrong: set[int] = set()
    bad_minutes, last, word, foretold = 0, 0, np.inf, False
    for line in lines:
        if line["type"] != "verdict":
            continue
        minute = (parse_time(str(line["at"])) - START) // MINUTE
        bad_minutes += (minute - last) * bool(wrong) if minute > last else 0
        last = max(last, minute)
        bucket = (parse_time(str(line["bucket"])) - START) // MINUTE
        claimed = int(str(line["lost"])) + int(str(line["passed_over"]))
        (wrong.add if claimed > truth[bucket] else wrong.discard)(bucket)
        if claimed and truth[bucket] and minute > run.first_loss:
            word = min(word, minute)
        foretold |= line["verdict"] == "at_risk" and not int(str(line["passed_over"])) and minute <= run.first_loss
    return bad_minutes, float(word), foretold


def main(seeds: int = 3) -> None:
    """Print the table of demands and what was reached."""
    print(f"{'story':40} {'a minute':>9} {'demand':>10} {'reached':>22}")
    for demand in DEMANDS:
        for rate in demand.rates:
            start = time.perf_counter()
            found = [measure(replace(demand.story, rate=rate), seed) for seed in range(seeds)]
            hours = sum(result.false_hours for result in found) / seeds
            reached = f"{hours:.1f} false h"
            if demand.minutes:
                reached = f"{statistics.median(result.word for result in found):.0f} min, {reached}"
                reached += ", foretold" if all(result.foretold for result in found) else ""
            asked = f"<= {demand.minutes:.0f} min" if demand.minutes else "0 h"
            print(
                f"{demand.story.name:40} {rate:>9} {asked:>10} {reached:>22}  ({time.perf_counter() - start:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
