"""What an agent spares the service: the same reports, pushed one by one and through an agent.

    python -m benchmarks.bench_agent
    python -m benchmarks.bench_agent --senders 200 --sources 1000 --rounds 5

Senders report readings of one bucket that grow, round after round, each of a share of the sources. They are taken in by
a ledger as they are; and by the spool of an agent, whose sums are then taken in by another ledger (both SQLite, in this
process, without HTTP on either side); seconds are the processor's. Both ledgers hold the same sums at the end.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.agent.outbox import Outbox
from reconciler.agent.spool import Spool
from reconciler.core.observations import Count
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, SECOND
from reconciler.store import SqlStore, migrate, open_store

BUCKET = 27_000_000 * MINUTE
PIPELINE = Pipeline("batch", ("ingress", "processed"))
PIPELINES = {"batch": PIPELINE}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senders", type=int, default=40)
    parser.add_argument("--sources", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    reports = [
        [_report(asked.sources, sender, turn) for sender in range(asked.senders)] for turn in range(asked.rounds)
    ]
    lines = sum(len(report) for turn in reports for report in turn)
    print(f"{asked.senders:,} senders, {asked.sources:,} sources, {asked.rounds} rounds: {lines:,} readings")
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as name:
        folder = Path(name)
        direct, through = (_ledger(folder / f"{kind}.sqlite") for kind in ("direct", "through"))
        alone = _timed(lambda: [direct.record(one, PIPELINES) for turn in reports for one in turn])
        spool = Spool(folder / "agent.db", "bench", lambda: BUCKET, megabytes=10_000)
        outbox, taken, told, sums = Outbox(spool, PIPELINES), 0.0, 0.0, 0
        for turn in reports:
            taken += _timed(lambda: [spool.record(one, PIPELINES) for one in turn])  # noqa: B023  called at once
            began = time.process_time()
            while (some := outbox.sums(outbox.latest(), BUCKET)).ids:
                through.record(some.counts, PIPELINES)
                outbox.confirm(some, set())
                sums += len(some.ids)
            told += time.process_time() - began
        assert _sum(direct) == _sum(through), (_sum(direct), _sum(through))
        print(f"  without: the ledger takes {lines:,} readings in {alone:.2f} s; {_size(folder / 'direct.sqlite')}")
        print(f"  with:    the ledger takes {sums:,} readings in {told:.2f} s; {_size(folder / 'through.sqlite')}")
        print(f"  so the service has {lines / sums:.0f} times fewer readings, and {alone / told:.1f} times less to do")
        print(f"  the agent itself: {taken:.2f} s, {lines / taken:,.0f} readings/s; spool {_size(folder / 'agent.db')}")
        outbox.close()
        spool.close()


def _report(sources: int, sender: int, turn: int) -> list[Count]:
    at = BUCKET + turn * 10 * SECOND + sender
    own = range(sender % 2, sources, 2)
    return [
        Count(at, "batch", "ingress", f"source-{one}", BUCKET, 10 * (turn + 1), "accepted", f"sender-{sender}")
        for one in own
    ]


def _ledger(path: Path) -> SqlStore:
    migrate(f"sqlite:///{path}")
    return open_store(f"sqlite:///{path}")


def _sum(store: SqlStore) -> int:
    tiles = store.counts_as_of(PIPELINE, "ingress", BUCKET, BUCKET)
    return sum(int(tile.count[tile.count > 0].sum()) for _, tile in tiles)


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _size(path: Path) -> str:
    return f"{sum(one.stat().st_size for one in path.parent.glob(path.name + '*')) / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
