"""The very engine of the service over recorded observations, on a virtual clock: same input, same bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from reconciler.core.engine import Engine
from reconciler.core.ledger import Ledger
from reconciler.core.lines import verdict_lines
from reconciler.core.observations import Capacity, Observation
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import MINUTE, Micros


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
            yield from _judge(engines, now)
            now += step(now)
        batch.append(seen)
        end = max(end, seen.at)
    if now is None:
        return
    _apply(engines, batch)
    yield from _judge(engines, now)
    while now < end:
        now += step(now)
        yield from _judge(engines, now)


def _apply(engines: Mapping[str, tuple[Engine, Ledger]], batch: list[Observation]) -> None:
    for name, (_, ledger) in engines.items():
        own = [seen for seen in batch if name in _concerned(seen, engines)]
        if own:
            ledger.apply(own)


def _concerned(seen: Observation, engines: Mapping[str, tuple[Engine, Ledger]]) -> Iterable[str]:
    if isinstance(seen, Capacity):
        return seen.pipelines or engines.keys()
    return (seen.pipeline,)


def _judge(engines: Mapping[str, tuple[Engine, Ledger]], now: Micros) -> Iterator[dict[str, Any]]:
    incidents: list[dict[str, Any]] = []
    for name, (engine, ledger) in engines.items():
        found = engine.tick(ledger, now)
        for hop, changes in found.changes:
            yield from verdict_lines(name, hop, changes, ledger.directory, now, engine.volume)
        incidents += found.incidents
        engine.learn(ledger, partial(ledger.count_tiles, engine.volume.stage), now)
    yield from sorted(incidents, key=lambda line: str(line["id"]))
