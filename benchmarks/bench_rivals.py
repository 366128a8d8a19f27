"""A day of counts judged, beside what a user would do instead: the same question on the same data in the same run.

    python -m benchmarks.bench_rivals                          # 1,000 sources x 1,440 minutes x 2 stages
    python -m benchmarks.bench_rivals --sources 10000 --only judged --only DuckDB

It needs the extra `bench` (`make bench` installs it). Each line is measured in a process of its own, libraries imported
before the clock starts. Processor time is of that process and of the database server together, memory the most of
either. Every answer is checked: the same cells with a gap, the same number of events missing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from urllib.parse import parse_qs, urlsplit

from benchmarks.bench_store import FIRST, hours_of, laying_down
from benchmarks.rival_data import lay_down
from benchmarks.rivals import OURS, RIVALS, Data
from reconciler.core.tiles import SPAN
from tests.postgres import Postgres, running_postgres


@dataclass(frozen=True, slots=True)
class Measured:
    """What an answer took."""

    name: str
    cells: int
    late: int
    lost: int
    processor: float
    """Seconds, of the process and of the server."""
    wall: float
    """Seconds; means something on a quiet machine only."""
    memory: int
    """MB, of the process or of the server's, whichever is more."""
    server_memory: int


def main() -> None:
    """Measure what was asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=1_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--only", action="append", help="how a name begins; default: all")
    asked = parser.parse_args()
    names = [name for name in (*OURS, *RIVALS) if name.startswith(tuple(asked.only or ("",)))]
    with tempfile.TemporaryDirectory(prefix="reconciler-bench-") as folder, running_postgres() as server:
        data = prepared(folder, server, asked.sources, asked.hours)
        found = [measured(name, data) for name in names]
    check(found)
    show(found, asked.sources, asked.hours)


def prepared(folder: str, server: Postgres, sources: int, hours: int) -> Data:
    """The same counts in the form of each."""
    place, served = (urlsplit(server.url(server.create_database())) for _ in range(2))
    socket, database = parse_qs(place.query)["host"][0], place.path.removeprefix("/")
    data = Data(folder, socket, database, FIRST, hours, f"sqlite:///{folder}/ledger.db", served.geturl())
    lay_down(data, hours_of(sources, hours))
    for url in (data.embedded, data.served):
        laying_down(url, sources, hours, judged=False)
    return data


def measured(name: str, data: Data) -> Measured:
    """One of them, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rivals", name, json.dumps(asdict(data))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  our own module
    return Measured(name, **json.loads(done.stdout))


def check(found: list[Measured]) -> None:
    """All have found the same. How much of it is late by a fixed lag, the rivals alone say."""
    assert len({(one.cells, one.late + one.lost) for one in found}) == 1, found
    rivals = {(one.late, one.lost) for one in found if one.name not in (*OURS, "the limit")}
    assert len(rivals) <= 1, found


def show(found: list[Measured], sources: int, hours: int) -> None:
    """The table; ratios are to the first line."""
    cells, first = 2 * sources * hours * SPAN, found[0]
    print(f"{sources:,} sources x {hours * SPAN:,} minutes x 2 stages = {cells:,} counts; {first.cells:,} gaps\n")
    print("| | CPU, s | times the first | wall, s | memory, MB |\n|---|---:|---:|---:|---:|")
    for one in found:
        ratio = one.processor / first.processor
        print(f"| {one.name} | {one.processor:.3f} | {ratio:.2f} | {one.wall:.3f} | {one.memory:,} |")


if __name__ == "__main__":
    main()
