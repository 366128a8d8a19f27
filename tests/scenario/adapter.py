"""The one place where the stories meet the engine."""

from collections.abc import Callable, Iterable
from typing import Any

from reconciler.backtest import backtest
from reconciler.core.observations import parse
from reconciler.core.pipelines import Hop, Pipeline, Policy, Queue, Reporters
from reconciler.core.times import DAY, HOUR, MINUTE, Micros

_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}


def judge(
    lines: Iterable[dict[str, Any]], config: dict[str, Any], tick: Callable[[Micros], Micros]
) -> list[dict[str, Any]]:
    """The events of a backtest over these observations. An observation that is refused is an error.

    `tick`: how far it is from an instant to the next judgement.
    """
    pipelines = {name: _pipeline(name, found) for name, found in config["pipelines"].items()}
    seen = (parse(line, pipelines) for line in lines)
    return list(backtest(seen, pipelines, tick=tick))


def _pipeline(name: str, found: dict[str, Any]) -> Pipeline:
    queues = {}
    for queue, given in found["queues"].items():
        policy = Policy(_duration(given["policy"]["retention"]), given["policy"]["replicas"])
        queues[queue] = Queue(queue, Hop(given["from"], given["to"]), policy)
    reporters = {stage: Reporters(tuple(given["expect"])) for stage, given in found.get("reporters", {}).items()}
    return Pipeline(
        name=name,
        stages=tuple(found["stages"]),
        width=_duration(found["bucket"]),
        queues=queues,
        alert=found["mode"] == "alert",
        reporters=reporters,
    )


def _duration(text: str) -> Micros:
    return int(text[:-1]) * _UNITS[text[-1]]
