"""Files in a folder and in an object store: what arrived, what was loaded, and which of them are missing."""

import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from reconciler.connectors.files import FilesConnector, Options, build
from reconciler.core.observations import Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, SECOND, Micros, format_time, parse_time
from reconciler.ports import ConnectorFailed
from tests.integration.places import Disk, Objects, Place, csv, ndjson, parquet

NOW = parse_time("2021-07-20T18:30:00Z")
START, END = parse_time("2021-07-20T12:00:00Z"), parse_time("2021-07-20T19:00:00Z")
PIPELINES = {"vacuum": Pipeline("vacuum", ("delivered", "loaded"), width=HOUR)}
PATH = "{customer}/dt=%Y-%m-%d/hour=%H/*"


@pytest.fixture(params=["disk", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place of each kind."""
    if request.param == "disk":
        (tmp_path / "landing").mkdir()
        return Disk(tmp_path / "landing")
    return Objects.lent(request, monkeypatch)


def connector(place: Place, **changes: Any) -> FilesConnector:
    options = {"pipeline": "vacuum", "stage": "delivered", "path": PATH} | place.options | changes
    return build("landing", Options.model_validate(options), PIPELINES)


def ask(asked: FilesConnector, now: Micros = NOW) -> list[Observation | Refusal]:
    return list(asked.collect(START, END, now))


def counts(said: Iterable[Observation | Refusal]) -> dict[str, int]:
    return {f"{one.source} {format_time(one.bucket)[11:13]}": one.count for one in said if isinstance(one, Count)}


def refused(said: Iterable[Observation | Refusal]) -> list[str]:
    return [str(one) for one in said if isinstance(one, Refusal)]


def again(former: FilesConnector, place: Place, **changes: Any) -> FilesConnector:
    """The connector as the next reading has it: built anew, with what was remembered."""
    later = connector(place, **changes)
    later.recall(former.memory())
    return later


def test_rows_are_counted_by_footer_or_by_line_whatever_the_format(place: Place, tmp_path: Path) -> None:
    place.put("acme/dt=2021-07-20/hour=13/a.parquet", parquet(tmp_path, 5_000))
    place.put("acme/dt=2021-07-20/hour=13/b.csv", csv(7))
    place.put("acme/dt=2021-07-20/hour=14/c.ndjson", ndjson([{"id": number} for number in range(11)]))
    place.put("acme/dt=2021-07-20/hour=14/d.ndjson.gz", gzip.compress(ndjson([{"id": 1}, {"id": 2}])))
    place.put("bolt/dt=2021-07-20/hour=14/e.csv.gz", gzip.compress(csv(3)))
    place.put("bolt/dt=2021-07-20/hour=15/empty.csv", b"")
    place.put("acme/dt=2021-07-19/hour=14/yesterday.csv", csv(1))
    said = ask(connector(place))
    assert refused(said) == []
    assert counts(said) == {"acme 13": 5_007, "acme 14": 13, "bolt 14": 3, "bolt 15": 0}
    assert [format_time(one.through) for one in said if isinstance(one, Progress)] == ["2021-07-20T18:30:00Z"]


def test_a_footer_of_any_size_is_found(place: Place, tmp_path: Path) -> None:
    content = parquet(tmp_path, 20_000, wide=100)
    assert int.from_bytes(content[-8:-4], "little") > 64 * 1024, "it does not fit into what is fetched first"
    place.put("acme/dt=2021-07-20/hour=13/wide.parquet", content)
    assert counts(ask(connector(place))) == {"acme 13": 20_000}


def test_what_is_not_what_it_says_is_refused_and_then_nothing_is_whole(place: Place, tmp_path: Path) -> None:
    place.put("acme/dt=2021-07-20/hour=13/cut.parquet", parquet(tmp_path, 100)[:-50])
    place.put("acme/dt=2021-07-20/hour=13/short.parquet", b"PAR1")
    place.put("acme/dt=2021-07-20/hour=13/odd.ndjson", b'{"id": 1}\n{"id": \n')
    place.put("acme/dt=2021-07-20/hour=13/unknown.xls", b"x")
    place.put("acme/dt=2021-13-20/hour=13/never.csv", csv(1))
    place.put("acme/dt=2021-07-20/hour=13/good.csv", csv(4))
    said = ask(connector(place, columns=None))
    assert counts(said) == {"acme 13": 4}
    names = {one.split(":")[0].rpartition("/")[2] for one in refused(said)}
    assert names == {"cut.parquet", "short.parquet", "odd.ndjson", "unknown.xls", "never.csv"}
    assert not [one for one in said if isinstance(one, Progress)]


def test_columns_may_say_whose_rows_they_are_and_when_they_were_accepted(place: Place) -> None:
    rows = [{"who": "acme", "accepted": "2021-07-20T13:59:59.9Z"}, {"who": "acme", "accepted": "2021-07-20T14:00:00Z"}]
    place.put("batch-1.ndjson", ndjson([*rows, {"who": "bolt", "accepted": "2021-07-20T14:10:00Z"}]))
    columns = {"time": "CAST(accepted AS TIMESTAMPTZ)", "source": "who"}
    said = ask(connector(place, path="*.ndjson", columns=columns))
    assert counts(said) == {"acme 13": 1, "acme 14": 1, "bolt 14": 1}


def test_rows_without_a_time_are_refused_with_their_file(place: Place) -> None:
    place.put(
        "batch-1.ndjson",
        ndjson([{"who": "acme", "accepted": "2021-07-20T14:00:00Z"}, {"who": "acme", "accepted": None}]),
    )
    columns = {"time": "CAST(accepted AS TIMESTAMPTZ)", "source": "who"}
    assert refused(ask(connector(place, path="*.ndjson", columns=columns))) == [
        "batch-1.ndjson: has 1 rows without a time"
    ]


def test_a_file_that_has_not_changed_is_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(7))
    first = connector(place)
    said = ask(first)

    def never(*_: object) -> None:
        raise AssertionError("it was looked into again")

    monkeypatch.setattr(FilesConnector, "_look_into", never)
    assert ask(again(first, place)) == said


def test_what_once_arrived_stands_where_the_file_shrinks_or_vanishes_and_it_is_named(place: Place) -> None:
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(10))
    place.put("acme/dt=2021-07-20/hour=13/b.csv", csv(5))
    first = connector(place)
    ask(first)
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(7))
    place.remove("acme/dt=2021-07-20/hour=13/b.csv")
    second = again(first, place)
    assert counts(ask(second)) == {"acme 13": 15}
    assert [str(note) for note in second.notes()] == [
        "acme/dt=2021-07-20/hour=13/a.csv shrank from 10 to 7 rows",
        "acme/dt=2021-07-20/hour=13/b.csv vanished; it had 5 rows",
    ]
    third = again(second, place)
    assert counts(ask(third)) == {"acme 13": 15}
    assert third.notes() == [], "it is said once"


def test_stored_rows_that_are_there_no_more_make_the_count_smaller(place: Place) -> None:
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(10))
    first = connector(place, stage="loaded")
    ask(first)
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(7))
    second = again(first, place, stage="loaded")
    assert counts(ask(second)) == {"acme 13": 7}
    place.remove("acme/dt=2021-07-20/hour=13/a.csv")
    assert counts(ask(again(second, place, stage="loaded"))) == {"acme 13": 0}


def test_a_manifest_says_what_should_have_arrived(place: Place) -> None:
    place.put(
        "manifests/20.ndjson",
        ndjson(
            [
                {"file": "s3://far/away/acme/dt=2021-07-20/hour=13/a.csv", "rows": 10},
                {"file": "acme/dt=2021-07-20/hour=14/b.csv", "rows": 3},
                {"file": "acme/dt=2021-07-20/hour=14/b.csv", "rows": 3},
            ]
        ),
    )
    asked = connector(place, path="manifests/*.ndjson", manifest={"names": PATH})
    future = [one for one in ask(asked) if not isinstance(one, Progress)]
    assert counts(future) == {"acme 13": 10, "acme 14": 3}
    assert [str(note) for note in asked.notes()] == [
        "acme/dt=2021-07-20/hour=14/b.csv is listed twice, in manifests/20.ndjson; it counts once"
    ]
    place.put("manifests/21.ndjson", ndjson([{"file": "acme/dt=2021-07-20/hour=13/a.csv", "rows": 10}]))
    place.remove("manifests/20.ndjson")
    later = again(asked, place, path="manifests/*.ndjson", manifest={"names": PATH})
    assert counts(ask(later)) == {"acme 13": 10, "acme 14": 3}, "what a manifest said, it said"
    assert "is listed twice, in manifests/20.ndjson and manifests/21.ndjson" in str(later.notes()[0])


ODD = {
    "a name that does not fit": ({"file": "readme.txt", "rows": 1}, "names 'readme.txt', which does not fit"),
    "no number of rows": ({"file": "acme/dt=2021-07-20/hour=13/a.csv", "rows": None}, "has None rows"),
    "rows below zero": ({"file": "acme/dt=2021-07-20/hour=13/a.csv", "rows": -1}, "has -1 rows"),
}


@pytest.mark.parametrize(("row", "said"), ODD.values(), ids=ODD.keys())
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    disk = Disk(tmp_path)
    disk.put("manifests/20.ndjson", ndjson([row]))
    (found,) = refused(ask(connector(disk, path="manifests/*", manifest={"names": PATH})))
    assert said in found


def test_files_that_fit_no_pattern_are_noted_and_not_dropped_in_silence(place: Place) -> None:
    place.put("acme/dt=2021-07-20/hour=13/a.csv", csv(1))
    place.put("stray.csv", csv(1))
    asked = connector(place)
    assert counts(ask(asked)) == {"acme 13": 1}
    assert [note.text for note in asked.notes()] == ["does not fit 1 files that are there"]


def test_only_the_folders_of_the_time_that_is_asked_for_are_listed(tmp_path: Path) -> None:
    asked = connector(Disk(tmp_path), path="dt=%Y-%m-%d/%H/{customer}/*.csv")
    listing = asked._listing
    assert listing.prefixes(START, START + 2 * HOUR, by_time=True) == ["dt=2021-07-20/12/", "dt=2021-07-20/13/"]
    assert listing.prefixes(START, END, by_time=False) == ["dt="]


def test_old_files_are_not_remembered_for_ever(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.put("acme/dt=2021-07-20/hour=13/a.csv", csv(1))
    asked = connector(disk)
    ask(asked)
    assert asked.memory()["units"] != {}
    list(asked.collect(START + 9 * DAY, END + 9 * DAY, NOW + 9 * DAY))
    assert asked.memory()["units"] == {}


def test_a_file_that_was_last_changed_before_the_window_holds_nothing_of_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    for name, changed in (("old", START - SECOND), ("new", START)):
        disk.put(f"{name}.ndjson", ndjson([{"who": name, "accepted": "2021-07-20T14:00:00Z"}]))
        os.utime(tmp_path / f"{name}.ndjson", ns=(changed * 1000, changed * 1000))
    columns = {"time": "CAST(accepted AS TIMESTAMPTZ)", "source": "who"}
    assert counts(ask(connector(disk, path="*.ndjson", columns=columns))) == {"new 14": 1}


def test_a_place_that_is_not_there_is_a_failure(tmp_path: Path, object_store: Any, monkeypatch: Any) -> None:
    with pytest.raises(ConnectorFailed, match="No such file"):
        ask(connector(Disk(tmp_path / "nowhere")))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(ConnectorFailed, match="does not exist"):
        ask(connector(Objects(object_store, "no-such-bucket")))


WRONG = {
    "no time": ({"path": "{customer}/*.csv"}, "knows no accept time"),
    "no source": ({"path": "dt=%Y-%m-%d/*.csv"}, "knows no source"),
    "an unknown part of a time": ({"path": "{customer}/%Q"}, "has %Q, which is unknown"),
    "a time without a day": ({"path": "{customer}/%Y/%m/*"}, "without %Y, %m and %d"),
    "a source of nothing": ({"source": "{feed}"}, "has no {feed} to name the source by"),
    "columns and manifest": (
        {"columns": {"time": "x"}, "manifest": {"names": PATH}},
        "has columns and manifest",
    ),
    "another protocol": ({"url": "https://example.com/"}, "is neither a folder nor s3"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        connector(Disk(tmp_path), **changes)
