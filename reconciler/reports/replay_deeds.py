"""What people do with replays: plan, start, verify, close; the same by the commands and by the pages, and kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from reconciler.core.pipelines import Pipeline
from reconciler.core.replays import Part, Proof, Replay, changed
from reconciler.core.senders import Sender
from reconciler.core.times import Micros, parse_time
from reconciler.errors import ConfigError
from reconciler.replaying import ReplayAct
from reconciler.reports.replay_text import part_record
from reconciler.reports.replays import planned, prove
from reconciler.serving import ServiceStore

KEPT = ("sent", "recovered", "already_there", "dropped", "duplicated", "under_way", "missing", "waiting", "unknown")
"""What a proof said of each source, as it is kept."""
TEXT = 2_000
"""Letters of a label or a reason."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does it, why, and when."""

    author: str
    now: Micros
    reason: str = ""


def found_replay(store: ServiceStore, name: str) -> Replay:
    """The replay of this id; `ConfigError` where there is none."""
    found = store.replays.find(name)
    if found is None:
        raise ConfigError(f"there is no replay {name!r}; `reconciler replay list --all` lists all")
    return found


def of_incident(store: ServiceStore, incident: str) -> tuple[str, Micros, Micros]:
    """Pipeline and buckets [from, to) of an incident."""
    line = next(iter(store.incident_changes(incident)[-1:]), None)
    if line is None:
        raise ConfigError(f"there is no incident {incident!r}; `reconciler incidents --all` lists all")
    return line["pipeline"], parse_time(line["from"]), parse_time(line["to"])


def plan(
    store: ServiceStore, senders: Sequence[Sender], pipeline: Pipeline, span: tuple[Micros, Micros], pattern: str,
    deed: Deed,
) -> Replay:  # fmt: skip
    """Plan and keep a replay of what is lost of the buckets in [from, to) of the sources that fit."""
    wanted = {name for name in store.directory(pipeline).sources if fnmatchcase(name, pattern)}
    made = planned(store, pipeline, senders, span, deed.now, wanted)
    if not made.parts:
        raise ConfigError(f"{pipeline.name}: nothing of that time is lost, so there is nothing to send again")
    if store.replays.find(made.id) is not None:
        raise ConfigError(f"{made.id} is planned already: `reconciler replay show {made.id}`")
    events = sum(part.events for part in made.parts)
    store.replays.save(made, ReplayAct(made.id, deed.now, "plan", deed.author, deed.reason, {"events": events}))
    return made


def start(
    store: ServiceStore, name: str, pattern: str, label: str | None, deed: Deed, *, consented: bool
) -> tuple[Replay, list[Part]]:  # fmt: skip
    """Note that the sources that fit send again from now on; returns the replay, and these parts of it."""
    found = found_replay(store, name)
    parts = _fitting(found, pattern)
    unasked = [part.source for part in parts if part.consent and not consented]
    if unasked:
        raise ConfigError(f"{', '.join(unasked)}: each customer has to agree first; say --consented once they have")
    if label is not None and (len(label) > TEXT or not label.isprintable()):
        raise ConfigError(f"a label holds {TEXT:,} letters at most, all of which can be printed")
    begun = [replace(part, state="started", label=label or part.label) for part in parts]
    found = changed(found, begun)
    _keep(store, found, "start", begun, deed)
    return found, begun


def verify(
    store: ServiceStore, pipelines: Mapping[str, Pipeline], name: str, deed: Deed
) -> tuple[Replay, list[tuple[Part, Proof]]]:  # fmt: skip
    """Prove what came of it, as last judged, and keep what was found."""
    found = found_replay(store, name)
    proofs = prove(store, pipeline_of(pipelines, found), found)
    told = (part_record(part, proof, deed.now) for part, proof in proofs)
    payload = {"sources": [{key: one[key] for key in ("source", *KEPT)} for one in told]}
    store.replays.save(found, ReplayAct(found.id, deed.now, "verify", deed.author, deed.reason, payload))
    return found, proofs


def close(
    store: ServiceStore, pipelines: Mapping[str, Pipeline], name: str, pattern: str, deed: Deed
) -> tuple[Replay, dict[str, int]]:  # fmt: skip
    """Say that nothing more is expected of the sources that fit; returns the events that are missing for good."""
    found = found_replay(store, name)
    over = [replace(part, state="closed") for part in _fitting(found, pattern) if part.state != "closed"]
    found = changed(found, over)
    proofs = prove(store, pipeline_of(pipelines, found), found)
    final = {part.source: proof.missing for part, proof in proofs if part in over}
    if over:
        _keep(store, found, "close", over, deed, final=final)
    return found, final


def pipeline_of(pipelines: Mapping[str, Pipeline], replay: Replay) -> Pipeline:
    """The pipeline of a replay, as it is configured now."""
    if replay.pipeline not in pipelines:
        raise ConfigError(f"{replay.id} is of pipeline {replay.pipeline!r}, which is not configured any more")
    return pipelines[replay.pipeline]


def as_of(replay: Replay, acts: Iterable[ReplayAct], instant: Micros) -> Replay:
    """The replay as it stood then: what was done with it later is left out."""
    states: dict[str, Literal["planned", "started", "closed"]] = {}
    for act in acts:
        if act.at <= instant and act.act in ("start", "close"):
            states |= dict.fromkeys(act.payload["sources"], "started" if act.act == "start" else "closed")
    return replace(
        replay, parts=tuple(replace(part, state=states.get(part.source, "planned")) for part in replay.parts)
    )


def _fitting(replay: Replay, pattern: str) -> list[Part]:
    parts = [part for part in replay.parts if fnmatchcase(part.source, pattern)]
    if not parts:
        raise ConfigError(f"{replay.id} has no source that fits {pattern!r}; `reconciler replay show {replay.id}`")
    return parts


def _keep(
    store: ServiceStore, replay: Replay, act: Literal["start", "close"], parts: Sequence[Part], deed: Deed,
    **more: Any,
) -> None:  # fmt: skip
    payload = {"sources": [part.source for part in parts], "labels": sorted({part.label for part in parts})} | more
    store.replays.save(replay, ReplayAct(replay.id, deed.now, act, deed.author, deed.reason, payload))
