"""The demo, run once: what it says, in which order, what it never says, and what it leaves."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from reconciler.backtest import backtest
from reconciler.cli import COMMANDS
from reconciler.commands.demo.page import page
from reconciler.commands.demo.play import CONFIG, LASTS, OBSERVATIONS, Play
from reconciler.core.observations import Capacity, Count, Progress, QueueSample
from reconciler.core.times import HOUR, MINUTE, parse_time
from reconciler.reading import RefusedLine, read
from reconciler.scenarios import load
from reconciler.settings import load as load_settings

pytestmark = pytest.mark.slow

Line = dict[str, Any]
STORY = load("SC-01a")
BEGINS, ENDS = parse_time("2021-07-20T18:45:00Z"), parse_time("2021-07-21T09:21:00Z")
"""Of the batch events that are lost: 876 minutes."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "reconciler", *arguments], capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Demo:
    folder: Path
    lines: list[Line]

    @property
    def verdicts(self) -> list[Line]:
        return [line for line in self.lines if line["type"] == "verdict"]

    @property
    def cells(self) -> dict[tuple[str, str], Line]:
        """The last line of each source and bucket."""
        return {(line["source"], line["bucket"]): line for line in self.verdicts}

    def incidents(self, **only: str) -> list[Line]:
        found = [line for line in self.lines if line["type"] == "incident"]
        return [line for line in found if all(line[name] == value for name, value in only.items())]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("stage") / "demo"
    done = run("demo", "--directory", str(folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return Demo(folder, [json.loads(line) for line in done.stdout.splitlines()])


def test_every_batch_event_of_876_minutes_is_lost_and_no_other(demo: Demo) -> None:
    minutes = (ENDS - BEGINS) // MINUTE
    assert minutes == 876
    lost: Counter[str] = Counter()
    for line in demo.cells.values():
        lost[line["source"]] += line["lost"]
        inside = line["pipeline"] == "batch" and BEGINS <= parse_time(line["bucket"]) < ENDS
        assert (line["verdict"] == "lost") == inside, line
        assert line["lost"] == (line["accepted"] if inside else 0) == line["lost_proven"]
    assert lost.pop("httpapi") == 0
    assert lost == {name: minutes * source.rate for name, source in STORY.sources.items() if source.queue == "batch"}
    assert lost.total() == 26_280_000


def test_it_tells_of_every_event_that_was_accepted(demo: Demo) -> None:
    accepted: Counter[str] = Counter()
    for line in demo.cells.values():
        accepted[line["source"]] += line["accepted"]
    assert accepted == {name: (LASTS - STORY.first) * source.rate for name, source in STORY.sources.items()}


def test_before_it_begins_the_queue_and_the_sequence_have_been_named(demo: Demo) -> None:
    expected = (("queue_policy", {"batch"}, "ticket"), ("capacity", {"batch", "streaming"}, "page"))
    for kind, pipelines, severity in expected:
        known = [line for line in demo.incidents(kind=kind) if parse_time(line["at"]) < BEGINS - HOUR]
        assert {line["pipeline"] for line in known} == pipelines
        assert known[-1]["severity"] == severity


def test_it_warns_within_three_minutes_and_knows_of_the_first_deletion_when_it_happens(demo: Demo) -> None:
    warning = demo.incidents(kind="at_risk", status="open")[0]
    assert BEGINS < parse_time(warning["at"]) <= BEGINS + 3 * MINUTE
    assert (warning["pipeline"], warning["loss_at"]) == ("batch", "2021-07-20T19:05:00Z")
    (loss,) = demo.incidents(kind="loss", status="open")
    assert (loss["at"], loss["lost"], loss["evidence"]) == ("2021-07-20T19:10:00Z", 150_000, ["queue_expired"])
    assert (loss["pipeline"], len(loss["sources"]), loss["follows"]) == ("batch", 6, warning["id"])


def test_streaming_is_late_and_proven_and_in_the_end_whole(demo: Demo) -> None:
    streaming = [line for line in demo.verdicts if line["pipeline"] == "streaming"]
    late = [line for line in streaming if line["verdict"] != "complete"]
    assert {(line["verdict"], line["proven"]) for line in late} == {("delayed", True)}
    assert max(line["at"] for line in late) < "2021-07-21T09:20:00Z"
    assert sum(line["lost"] for line in streaming) == 0


def test_batch_is_never_called_delayed_and_proven(demo: Demo) -> None:
    said = [line for line in demo.verdicts if line["verdict"] == "delayed" and line["proven"]]
    assert {line["pipeline"] for line in said} == {"streaming"}


def test_the_loss_is_not_over_because_lag_is(demo: Demo) -> None:
    assert demo.incidents(kind="loss", status="resolved") == []
    assert demo.incidents(kind="loss")[-1]["lost"] == 26_280_000


def test_it_says_what_was_skipped_while_it_could_still_be_read(demo: Demo) -> None:
    skipped = [line for line in demo.verdicts if "skipped" in line["evidence"]]
    assert {line["verdict"] for line in skipped} == {"at_risk"}
    assert min(line["at"] for line in skipped) == "2021-07-21T09:21:00Z"


def test_finer_where_much_happens_comes_to_the_same_as_even_ticks(demo: Demo) -> None:
    pipelines = load_settings(demo.folder / CONFIG, {}).pipelines
    seen = [entry for entry in read(str(demo.folder / OBSERVATIONS), pipelines) if not isinstance(entry, RefusedLine)]
    assert {type(entry) for entry in seen} == {Count, Progress, QueueSample, Capacity}
    even = {
        (line["source"], line["bucket"]): (line["verdict"], line["accepted"], line["processed"], line["lost"])
        for line in backtest(seen, pipelines, tick=15 * MINUTE)
        if line["type"] == "verdict"
    }
    played = {
        cell: (line["verdict"], line["accepted"], line["processed"], line["lost"]) for cell, line in demo.cells.items()
    }
    assert {cell: said for cell, said in played.items() if even.get(cell) != said} == {}


def test_the_page_tells_it_in_order_and_fits_the_terminal(demo: Demo) -> None:
    ticks = [(parse_time(at), list(lines)) for at, lines in groupby(demo.lines, key=lambda line: str(line["at"]))]
    with Play(demo.folder) as play:
        text = "\n".join(page(play, ticks))
    places = [
        text.index(words)
        for words in (
            "keeps 20 min where the policy is 7 d",
            "the story: sequence",
            "60,000 at risk",
            "150,000 lost",
            "What the company knew",
            "data is delayed, nothing is lost",
            "is still open",
            "only the customer",
            "What it must never say",
            "Try next",
        )
    ]
    assert places == sorted(places)
    assert "BROKEN" not in text
    plain = text.partition("Try next")[0]  # what comes after names the folder, which may be long
    assert max(len(line) for line in _without_color(plain).splitlines()) <= 100


def _without_color(text: str) -> str:
    pieces = text.split("\x1b[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])


CALLS = (
    ("check-config",),
    ("report", "--day", "2021-07-20"),
    ("incidents",),
    ("incidents", "--all", "--json"),
    ("tick", "--now", "2021-07-21T11:01:00Z"),
)


@pytest.mark.parametrize("call", [call for call in CALLS if call[0] in COMMANDS], ids=" ".join)
def test_the_other_commands_work_on_what_it_leaves(demo: Demo, call: tuple[str, ...]) -> None:
    done = run(*call, "--config", str(demo.folder / CONFIG))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("pipelines: {}\n")
    done = run("demo", "--directory", str(tmp_path))
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG]
    assert (tmp_path / CONFIG).read_text() == "pipelines: {}\n"
