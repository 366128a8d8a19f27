"""Counts from a counter that Prometheus has scraped, computed here from its raw samples.

`increase()` would not do: it extrapolates to the edges of its range, drops what a counter had counted at its first
sample, and says nothing of how far off it is.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from math import isfinite
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request

import numpy as np
from pydantic import AfterValidator, Field

from reconciler.connectors import _shapes
from reconciler.connectors._counters import Series, by_bucket, series_of, total_of
from reconciler.core.observations import Count, Observation, Progress, Refusal
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import DAY, HOUR, MINUTE, SECOND, Micros, floor_to, format_time, parse_time
from reconciler.outgoing import ask
from reconciler.ports import ConnectorFailed
from reconciler.settings.schema import ConnectorOptions, Duration, Name, PipelineSettings

Identity = frozenset[tuple[str, str]]
"""The labels of a series."""
AT_ONCE: Micros = HOUR
"""One question is for the raw samples of so much time."""
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][\w:]*)?\s*(\{.*\})?\s*", re.DOTALL)


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is no address such as http://prometheus.example.com:9090")
    if parts.username is not None:
        raise ValueError("bears a user; give it as a header: Authorization: Basic ...")
    return url.rstrip("/")


def _selector(text: str) -> str:
    if not text.strip() or _SELECTOR.fullmatch(text) is None:
        raise ValueError("is no plain selector such as events_total{job='ingest'}; functions and ranges are added here")
    return text.strip()


Selector = Annotated[str, AfterValidator(_selector)]


class Options(ConnectorOptions):
    """A counter of events, with the source as a label."""

    url: Annotated[str, AfterValidator(_url)]
    """Prometheus, or whatever has its query API."""
    counter: Selector
    """Selects the counter: `events_accepted_total{job="ingest"}`. All series of a source are added up."""
    source_label: Name = "source"
    """The label that names the source."""
    bucket_label: Name | None = None
    """The label that names the bucket of acceptance (its start, RFC 3339 or seconds since 1970). Without it, events are
    counted when they were counted, which is only right at the first stage."""
    targets: Selector | None = None
    """Selects the health of what is scraped: `up{job="ingest"}`. While a target is there and cannot be scraped, nothing
    is said to be whole; without this setting, it is taken to have ended after `patience`."""
    patience: Duration = 5 * MINUTE
    """A series without samples for so long has ended, or, if others go on, is not waited for."""
    window: Duration = HOUR
    """How far back each reading counts again. Prometheus must keep its samples for longer."""
    headers: dict[Name, str] = Field(default_factory=dict, repr=False)
    """Sent with every question, such as `Authorization`."""
    timeout: Duration = 30 * SECOND
    """How long an answer may take."""

    def contradictions(self, pipeline: PipelineSettings) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """A counter knows when it counted, and only where events are accepted is that when they were accepted."""
        if self.bucket_label is None and self.stage in pipeline.stages[1:]:
            reason = f"{self.stage} is not the first stage: what counts here has to bear the bucket of acceptance"
            yield ("stage",), f"{reason} as a label; name it in bucket_label"


def build(name: str, options: Options, pipelines: Mapping[str, Pipeline]) -> "PrometheusConnector":
    """The connector as configured; it connects when it is asked to collect."""
    return PrometheusConnector(name, options, pipelines[options.pipeline])


@dataclass(frozen=True, slots=True)
class Sampled:
    """The raw samples of one series."""

    labels: dict[str, str]
    times: list[Micros]
    values: list[float]


@dataclass(frozen=True, slots=True)
class PrometheusConnector(_shapes.Counting):
    """Reads one counter for one stage."""

    name: str
    options: Options
    target: Pipeline

    @property
    def withdraws(self) -> bool:
        """Prometheus forgets: what it no longer has was counted all the same."""
        return False

    def permissions(self) -> list[str]:
        """Prometheus has no rights of its own; whatever guards it has to let this pass."""
        return [f"GET {self.options.url}/api/v1/query"]

    def collect(self, start: Micros, end: Micros, now: Micros) -> Iterator[Observation | Refusal]:
        """What the counter counted in [start, end), then how far its samples reach; see `ports.Connector`."""
        options = self.options
        found = self._samples(options.counter, start, end, now)
        if not found:
            what = f"no series is selected by {options.counter} since {format_time(start - options.patience)}"
            raise self._failure(what, "Check the selector; a counter that is not there has not counted zero.")
        counting = Counting(self, start, end, now)
        yield from counting.counts(found)
        yield from counting.refused
        through = self._through(found, start, end, now)
        if through > start and not counting.refused:
            yield Progress(now, self.pipeline, self.stage, min(through, end, now), self.name)

    def earlier(self, before: Micros) -> dict[Identity, float]:
        """What each series had counted at an instant, by its last sample of the day before."""
        query = f"last_over_time({self.options.counter}[{DAY // SECOND}s])"
        return {_identity(one["metric"]): float(one["value"][1]) for one in self._ask(query, before)}

    def _through(self, found: Sequence[Sampled], start: Micros, end: Micros, now: Micros) -> Micros:
        """How far the samples reach of all that is still scraped."""
        latest = max(series.times[-1] for series in found)
        through = min(series.times[-1] for series in found if series.times[-1] >= latest - self.options.patience)
        if self.options.targets is None:
            return through
        health = self._samples(self.options.targets, start, end, now)
        for target in health:
            if not target.values[-1]:
                well = [time for time, value in zip(target.times, target.values, strict=True) if value]
                through = min(through, max(well, default=start))
        return through

    def _samples(self, selector: str, start: Micros, end: Micros, now: Micros) -> list[Sampled]:
        """The raw samples of every series that is selected, `patience` before and after included."""
        start, end = start - self.options.patience, min(end + self.options.patience, now)
        found: dict[Identity, Sampled] = {}
        while start < end:
            step = min(AT_ONCE, end - start)
            for one in self._ask(f"{selector}[{-(-step // SECOND)}s]", start + step):
                series = found.setdefault(_identity(one["metric"]), Sampled(one["metric"], [], []))
                for seconds, value in one["values"]:
                    time = round(seconds * SECOND)
                    if isfinite(float(value)) and (not series.times or time > series.times[-1]):
                        series.times.append(time)
                        series.values.append(float(value))
            start += step
        return [series for series in found.values() if series.times]

    def _ask(self, query: str, at: Micros) -> list[dict[str, Any]]:
        """One question; the result as Prometheus gives it."""
        asked = urlencode({"query": query, "time": f"{at / SECOND:.3f}"})
        request = Request(f"{self.options.url}/api/v1/query?{asked}", headers=self.options.headers)  # noqa: S310  http or https, as `_url` saw to
        try:
            with ask(request, self.options.timeout) as answer:
                told = json.load(answer)
            return list(told["data"]["result"])
        except HTTPError as error:
            raise self._failure(_reason(error), _remedy(error.code)) from None
        except (URLError, OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            raise self._failure(reason, "Check that Prometheus runs and can be reached from here.") from None
        except (ValueError, KeyError, TypeError):
            raise self._failure("the answer is none of Prometheus", "Check the address.") from None

    def _failure(self, reason: str, remedy: str) -> ConnectorFailed:
        for secret in self.options.headers.values():
            reason = reason.replace(secret, "***") if secret else reason
        where = self.options.url
        return ConnectorFailed(
            f"connector {self.name} ({self.pipeline}, {self.stage}): {reason}\n  at {where}\n  {remedy}"
        )


class Counting:
    """One answer, from raw samples to counts."""

    def __init__(self, connector: PrometheusConnector, start: Micros, end: Micros, now: Micros) -> None:
        self.connector, self.start, self.end, self.now = connector, start, end, now
        self.options, self.width = connector.options, connector.target.width
        self.refused: list[Refusal] = []

    def counts(self, found: Sequence[Sampled]) -> Iterator[Count]:
        """All cells that have events, or may have."""
        by_source: dict[str, list[Sampled]] = defaultdict(list)
        for series in found:
            source = series.labels.get(self.options.source_label)
            if source:
                by_source[source].append(series)
            else:
                self._refuse(self.options.source_label, series, "is missing")
        if self.options.bucket_label is None:
            yield from self._by_time(by_source, min(series.times[0] for series in found))
        else:
            yield from self._by_label(by_source, self.options.bucket_label)

    def _by_time(self, by_source: Mapping[str, list[Sampled]], first: Micros) -> Iterator[Count]:
        """Counts of what was counted between the edges of the buckets."""
        edges = np.arange(self.start, self.end + 1, self.width, dtype=np.int64)
        before = self.start - self.options.patience
        earlier = self.connector.earlier(before)
        # Of what was before the first sample of all, nothing is known.
        seen = edges[:-1] >= (self.start if earlier else first)
        for source, sampled in by_source.items():
            counters = [self._series(one, earlier.get(_identity(one.labels)), before, first) for one in sampled]
            count, error = by_bucket(counters, edges)
            for place in np.flatnonzero(seen & ((count > 0) | (error > 0))):
                yield self._count(source, int(edges[place]), int(count[place]), float(error[place]))

    def _series(self, sampled: Sampled, earlier: float | None, before: Micros, first: Micros) -> Series:
        """A series that goes on, or one that appears while others are scraped: it has begun at zero since."""
        times, values = sampled.times, sampled.values
        if earlier is not None and before < times[0]:
            return series_of([before, *times], [earlier, *values], None)
        if earlier is None and times[0] - first > self.options.patience:
            gaps = np.diff(times)
            return series_of(times, values, times[0] - int(np.median(gaps)) if len(gaps) else first)
        return series_of(times, values, None)

    def _by_label(self, by_source: Mapping[str, list[Sampled]], label: str) -> Iterator[Count]:
        """Counts of what bears its bucket: all that such a counter has ever counted."""
        for source, sampled in by_source.items():
            cells: dict[Micros, list[tuple[float, float]]] = defaultdict(list)
            for series in sampled:
                bucket = _bucket(series.labels.get(label, ""))
                if bucket is None or floor_to(bucket, self.width) != bucket:
                    self._refuse(label, series, "is not the start of a bucket")
                elif self.start <= bucket < self.end:
                    cells[bucket].append(total_of(series.times, series.values))
            for bucket, totals in cells.items():
                yield self._count(source, bucket, round(sum(t for t, _ in totals)), sum(e for _, e in totals))

    def _count(self, source: str, bucket: Micros, count: int, error: float) -> Count:
        connector = self.connector
        outcome = connector.target.usual_outcome(connector.stage)
        return Count(
            self.now, connector.pipeline, connector.stage, source, bucket, count, outcome, connector.name, error=error
        )

    def _refuse(self, label: str, series: Sampled, reason: str) -> None:
        shown = ", ".join(f"{key}={value}" for key, value in sorted(series.labels.items()))
        self.refused.append(Refusal(label, f"of the series {shown} {reason}"))


def _identity(labels: Mapping[str, str]) -> Identity:
    """Functions drop the name of the metric."""
    return frozenset((key, value) for key, value in labels.items() if key != "__name__")


def _bucket(text: str) -> Micros | None:
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return int(text) * SECOND
    try:
        return parse_time(text)
    except ValueError:
        return None


def _reason(error: HTTPError) -> str:
    """What Prometheus says of a question that it does not answer, or else the status."""
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code} {error.reason}"


def _remedy(code: int) -> str:
    if code in {401, 403}:
        return "It wants a login: check the headers of this connector."
    return "Check the address and the selectors of this connector."
