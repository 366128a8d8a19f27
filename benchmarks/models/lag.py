"""What is said of lag in simulated pipelines: false hours where nothing is lost, minutes to the word where it is."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.models.pipelines import BEFORE, START, Run, Story, observations, play
from reconciler.backtest import backtest
from reconciler.core.pipelines import Hop, Pipeline, Queue
from reconciler.core.times import MINUTE, parse_time

RATES = (20, 300)
"""Events a minute."""
LOOK = 15
"""Minutes after its close at which a bucket is judged once and for all, for the last row of the table."""
PLAIN, PLAIN_SHARE = 5, 0.02
"""Events, and share of its bucket, from which a loss is plain in the bucket alone. A smaller one is plain only in the
sum of many buckets: the rows of the small losses say after how long."""
LAWS = ("an hourly batch", "a heavy tail", "slow nights", "retries")
GRACES = (15, 60)
"""Minutes that everybody else waits before what is not processed is called lost."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A story, what is asked of it, and at which rates."""

    story: Story
    minutes: float
    """At most so many minutes after the first lost event; 0: harmless, and no false hour at all."""
    rates: tuple[int, ...] = RATES


DEMANDS: tuple[Demand, ...] = (
    Demand(Story("harmless outage of 7 h", 0, 660, stopped=(30, 450)), 0),
    Demand(Story("the same, the queue not seen", 0, 660, stopped=(30, 450), queue=False), 0),
    Demand(Story("slow consumer, 3 h", 0, 480, slow=(30, 210)), 0),
    Demand(Story("ingress clock 90 s behind", 0, 360, stamp=-1.5), 0),
    Demand(Story("ingress clock 90 s ahead", 0, 360, stamp=1.5), 0),
    Demand(Story("a third of downstream stamps 90 s off", 0, 360, clock=0.3), 0),
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

DEMANDS += tuple(Demand(Story(f"{law}, nothing lost", 0, 24 * 60, law=law, queue=False), 0, (20,)) for law in LAWS)
DEMANDS += tuple(
    Demand(Story(f"{law}, 5 % lost", 0, 480, law=law, dropped=0.05, queue=False), 240, (20,)) for law in LAWS
)
"""Other laws of delay; nobody has said how soon a loss must be found among them, four hours are a sensible time."""

WIDE = "buckets of 5 min"
DEMANDS += tuple(
    Demand(Story(f"{share} stamped 90 s {way}, {WIDE}", 0, 240, clock=clock, off=off, width=5), 0)
    for share, clock in (("a third", 0.3), ("all", 1.0))
    for way, off in (("ahead", 1.5), ("behind", -1.5))
)
DEMANDS += (Demand(Story(f"1 % lost, {WIDE}", 0, 180, dropped=0.01, width=5), 30),)
"""Nobody has said how soon a loss must be found in these; six buckets are a sensible time."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to."""

    word: float
    """Minutes from the first lost event to the first word of loss; infinite: none."""
    false_hours: float
    """Hours in which something was called lost that was not; each minute counts that such a word stands."""
    foretold: bool
    lossy: int = 0
    """Buckets that had plainly lost something `LOOK` minutes after their close, which lies before the end."""
    found: int = 0
    """Of these: called lossy then."""
    clean: int = 0
    accused: int = 0
    """Buckets that never lost anything and were called lossy then."""


def measure(story: Story, seed: int) -> Result:
    """Play a story through the engine, minute by minute."""
    run = play(story, seed)
    queues = {"q": Queue("q", Hop("ingress", "processed"))} if story.queue else {}
    pipeline = Pipeline("p", ("ingress", "processed"), story.width * MINUTE, queues=queues)
    return _listen(backtest(observations(run), {"p": pipeline}), run)


def _listen(lines: Iterable[dict[str, object]], run: Run) -> Result:
    """Minutes in which more was called lost than was; when loss was first spoken of; whether it was foretold."""
    truth = _truth(run)
    wrong: set[int] = set()
    called: dict[int, bool] = {}
    bad_minutes, last, word, foretold = 0, 0, np.inf, False
    for line in lines:
        if line["type"] != "verdict":
            continue
        minute = (parse_time(str(line["at"])) - START) // MINUTE
        bad_minutes += (minute - last) * bool(wrong) if minute > last else 0
        last = max(last, minute)
        bucket = (parse_time(str(line["bucket"])) - START) // (run.story.width * MINUTE)
        claimed = int(str(line["lost"])) + int(str(line["passed_over"]))
        (wrong.add if claimed > truth[bucket] else wrong.discard)(bucket)
        if minute <= (bucket + 1) * run.story.width + LOOK:
            called[bucket] = claimed > 0
        if claimed and truth[bucket] and minute > run.first_loss:
            word = min(word, minute)
        foretold |= line["verdict"] == "at_risk" and not int(str(line["passed_over"])) and minute <= run.first_loss
    judged = range(BEFORE // run.story.width, (BEFORE + run.story.lasts - LOOK) // run.story.width - 1)
    lossy, clean = _plain(run, judged), [bucket for bucket in judged if not truth[bucket]]
    accused = sum(called.get(bucket, False) for bucket in clean)
    found = sum(called.get(bucket, False) for bucket in lossy)
    after = float(word) - run.first_loss if np.isfinite(run.first_loss) else np.inf
    return Result(after, bad_minutes / 60, foretold, len(lossy), found, len(clean), accused)


def _plain(run: Run, judged: Iterable[int]) -> list[int]:
    """Buckets that had plainly lost something by the time at which they are looked at."""
    bucket = run.story.bucket(run.accepted + run.story.stamp * (run.accepted >= BEFORE))
    gone = np.where(np.isfinite(run.deleted), run.deleted, run.accepted)
    then = run.lost & (gone <= (bucket + 1) * run.story.width + LOOK)
    size = int(bucket.max()) + 1
    lost, fed = np.bincount(bucket[then], minlength=size), np.bincount(bucket, minlength=size)
    return [one for one in judged if lost[one] >= max(PLAIN, PLAIN_SHARE * fed[one])]


def _truth(run: Run) -> dict[int, int]:
    """By bucket: events that were lost."""
    truth: dict[int, int] = defaultdict(int)
    stamped = run.accepted + run.story.stamp * (run.accepted >= BEFORE)
    for bucket in run.story.bucket(stamped[run.lost]).tolist():
        truth[bucket] += 1
    return truth


def graced(run: Run, grace: int) -> Result:
    """What a fixed grace period makes of it: so long after its close, what is not processed of a bucket is lost."""
    due = np.floor(run.accepted) + 1 + grace
    end = BEFORE + run.story.lasts
    wrong = np.zeros(end + 1)
    late = ~run.lost & (run.processed > due) & (due < end)
    np.add.at(wrong, due[late].astype(int), 1)
    np.add.at(wrong, np.minimum(run.processed[late], end).astype(int), -1)
    word = np.ceil(due[run.lost]).min(initial=np.inf)
    return Result(float(word) - run.first_loss if run.lost.any() else np.inf, (np.cumsum(wrong) > 0).sum() / 60, False)


def _said(demand: Demand, found: Sequence[Result]) -> str:
    hours = sum(result.false_hours for result in found) / len(found)
    reached = f"{hours:.1f} h false"
    if demand.minutes:
        reached = f"{statistics.median(result.word for result in found):.0f} min, {reached}"
        reached += ", foretold" if all(result.foretold for result in found) else ""
    return reached


def _of(found: Sequence[Result], part: str, whole: str) -> str:
    return f"{sum(getattr(one, part) for one in found)}/{sum(getattr(one, whole) for one in found)}"


def main(seeds: int = 3, only: str = "") -> None:
    """Print the table of demands, what was reached, and what fixed grace periods come to."""
    others = "".join(f"{f'{grace} min grace':>22}" for grace in GRACES)
    print(f"{'story':40} {'a minute':>9} {'demand':>10} {'reached':>30}{others}")
    everything: list[Result] = []
    for demand in DEMANDS:
        for rate in demand.rates if only in demand.story.name else ():
            start = time.perf_counter()
            stories = [replace(demand.story, rate=rate)] * seeds
            found = [measure(story, seed) for seed, story in enumerate(stories)]
            everything += found
            asked = f"<= {demand.minutes:.0f} min" if demand.minutes else "0 h"
            rivals = [[graced(play(story, seed), grace) for seed, story in enumerate(stories)] for grace in GRACES]
            shown = "".join("" if demand.story.clock else f"{_said(demand, rival):>22}" for rival in rivals)
            told = f"{_of(found, 'found', 'lossy')} found, {_of(found, 'accused', 'clean')} accused"
            print(
                f"{demand.story.name:40} {rate:>9} {asked:>10} {_said(demand, found):>30}{shown}  {told}"
                f"  ({time.perf_counter() - start:.0f} s)",
                flush=True,
            )
    lossy, found_of = sum(one.lossy for one in everything), sum(one.found for one in everything)
    clean, accused = sum(one.clean for one in everything), sum(one.accused for one in everything)
    print(
        f"\nJudged {LOOK} minutes after close: {found_of / max(lossy, 1):.1%} of {lossy} buckets found that had lost "
        f"{PLAIN} events and {PLAIN_SHARE:.0%} by then (demand: 98 %), {accused / max(clean, 1):.3%} of {clean} that "
        f"never lost any called lossy (demand: 0.01 %)."
    )


if __name__ == "__main__":
    main()
