"""What is read from the ledger for the read API; plain values in the shapes of the contract."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import NEVER, Micros, parse_time, time_of
from reconciler.reports.completion import completion, completion_of
from reconciler.reports.tally import Tally, complete_through, scan
from reconciler.serving import ServiceStore
from reconciler.settings import Settings

Line = dict[str, Any]
Through = dict[str, Micros | None]


class Library:
    """Answers questions; remembers how far sources are complete until the next judgement."""

    def __init__(self, store: ServiceStore, settings: Settings) -> None:
        self.store, self._settings = store, settings
        self._known: dict[str, tuple[Micros | None, tuple[Through, Micros | None]]] = {}

    def incidents(self, pipelines: Mapping[str, Pipeline], as_of: Micros | None, *, everything: bool) -> list[Line]:
        """What was last said of each incident (by `as_of`), the oldest first."""
        lines = self.store.incidents(as_of=NEVER if as_of is None else as_of)
        found = [line for line in lines if everything or line["pipeline"] in pipelines]
        return sorted(found, key=lambda line: (line["opened_at"], line["id"]))

    def incident(self, number: str) -> Line | None:
        """One incident in full."""
        changes = self.store.incident_changes(number)
        state = next((state for state in self.store.incidents() if state["id"] == number), None)
        if not changes or state is None:
            return None
        lost = {source: share[1] for source, share in sorted(state["shares"].items())}
        return {"incident": changes[-1], "changes": changes, "lost_by_source": lost}

    def judged_at(self, pipeline: Pipeline, as_of: Micros | None) -> Micros | None:
        """When the pipeline was last judged, by `as_of`."""
        judged_at = self.store.judged_at(pipeline)
        return judged_at if judged_at is None or as_of is None else min(judged_at, as_of)

    def through(self, pipeline: Pipeline, as_of: Micros | None) -> tuple[Through, Micros | None]:
        """By source and over all: before which instant every bucket is settled and complete."""
        judged_at = self.judged_at(pipeline, as_of)
        known = self._known.get(pipeline.name)
        if as_of is None and known is not None and known[0] == judged_at:
            return known[1]
        found = self._through(pipeline, judged_at, as_of)
        if as_of is None:
            self._known[pipeline.name] = (judged_at, found)
        return found

    def _through(
        self, pipeline: Pipeline, judged_at: Micros | None, as_of: Micros | None
    ) -> tuple[Through, Micros | None]:
        if as_of is None:
            found = completion(self.store, pipeline)
        else:
            tallies = [scan(self.store, pipeline, hop, (0, 0), judged_at, as_of) for hop in pipeline.hops]
            found = completion_of(self.store.directory(pipeline), complete_through(_alike(tallies)), pipeline)
        return found.sources, found.least

    def sources(self, pipeline: Pipeline) -> dict[str, Line]:
        """All sources of a pipeline by name, with who answers for them."""
        directory = self.store.directory(pipeline)
        lives = zip(directory.sources, directory.first_bucket, directory.retired_at, strict=True)
        return {name: self._source(pipeline.name, name, first, end) for name, first, end in lives}

    def _source(self, pipeline: str, name: str, first: Micros, end: Micros) -> Line:
        known = self._settings.source(name)
        return {
            "pipeline": pipeline,
            "source": name,
            "first_bucket": time_of(first),
            "retired_at": time_of(end),
            "owner": known.owner,
            "replay": known.replay,
            "contact": known.contact,
        }


def library_of(request: Request) -> Library:
    """The one that all requests share."""
    library: Library = request.app.state.library
    return library


def read_time(name: str, text: str) -> Micros:
    """A parameter of this name that is an instant. Raises 422."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise HTTPException(422, f"{name}: {error}") from None


def _alike(tallies: list[Tally]) -> list[Tally]:
    """The tallies over the same sources: some may have come up between two scans."""
    size = min(len(tally.born) for tally in tallies)
    for tally in tallies:
        tally.born, tally.through = tally.born[:size], tally.through[:size]
    return tallies
