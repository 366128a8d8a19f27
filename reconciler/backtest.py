"""The very engine of the service over recorded observations, on a virtual clock: same input, same bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from reconciler.core.engine import Engine, Findings
from reconciler.core.ledger import Ledger
from reconciler.core.lines import verdict_lines
from reconciler.core.observations import Capacity, Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros


@dataclass(frozen=True, slots=True)
class Judged:
    """One pipeline at one tick, and what was found."""

    now: Micros
    name: str
    engine: Engine
    ledger: Ledger
    found: Findings


def backtest(
    observations: Iterable[Observation],
    pipelines: Mapping[str, Pipeline],
    *,
    tick: Micros | Callable[[Micros], Micros] = MINUTE,
    until: Micros | None = None,
) -> Iterator[dict[str, Any]]:
    """Judge at every multiple of `tick` what had `at` ≤ then; yields the lines of contract §6 in order.

    `observations` come in order of `at`. Ticks run from the first after the first `at` to the first at or after
    `until` (default: the last `at`). Where not all ticks are alike, `tick` says of an instant how far the next is.
    """
    for judged in ticks(observations, pipelines, tick=tick, until=until):
        incidents: list[dict[str, Any]] = []
        for one in judged:
            for hop, changes in one.found.changes:
                yield from verdict_lines(one.name, hop, changes, one.ledger.directory, one.now, one.engine.volume)
            incidents += one.found.incidents
        yield from sorted(incidents, key=lambda line: str(line["id"]))


def ticks(
    observations: Iterable[Observation],
    pipelines: Mapping[str, Pipeline],
    *,
    tick: Micros | Callable[[Micros], Micros] = MINUTE,
    until: Micros | None = None,
) -> Iterator[Iterator[Judged]]:
    """The same as what is found, tick by tick; each must be gone through before the next."""
    step: Callable[[Micros], Micros] = tick if callable(tick) else lambda _: tick
    engines = {name: (Engine(pipeline), Ledger(pipeline)) for name, pipeline in sorted(pipelines.items())}
    if until is not None:
        until = -(-until // step(until)) * step(until)  # the last tick sees all that had come by then
    now: Micros | None = None
    end = until or 0
    batch: list[Observation] = []
    for seen in observations:
        if until is not None and seen.at > until:
            break
        now = (seen.at // step(seen.at) + 1) * step(seen.at) if now is None else now
        while now < seen.at:
            _apply(engines, batch)
            batch = []
            yield _judge(engines, now)
            now += step(now)
        batch.append(seen)
        end = max(end, seen.at)
    if now is None:
        return
    _apply(engines, batch)
    yield _judge(engines, now)
    while now < end:
        now += step(now)
        yield _judge(engines, now)


def _apply(engines: Mapping[str, tuple[Engine, Ledger]], batch: list[Observation]) -> None:
    own: dict[str, list[Observation]] = {name: [] for name in engines}
    for seen in batch:
        if isinstance(seen, Capacity):
            for name in seen.pipelines or engines:
                own.get(name, []).append(seen)
        else:
            own[seen.pipeline].append(seen)
    for name, (_, ledger) in engines.items():
        if own[name]:
            ledger.apply(own[name])


def _judge(engines: Mapping[str, tuple[Engine, Ledger]], now: Micros) -> Iterator[Judged]:
    for name, (engine, ledger) in engines.items():
        yield Judged(now, name, engine, ledger, engine.tick(ledger, now))
        engine.learn(ledger, partial(ledger.count_tiles, engine.volume.stage), now)
