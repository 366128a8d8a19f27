"""Of what nobody was told on a day, and who said so: mutes, planned work, sources and reporters that were retired."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from reconciler.core.acts import Act
from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros, format_time
from reconciler.ports import Retirement


def quiet(
    pipeline: Pipeline,
    acts: Sequence[Act],
    retired: Sequence[Retirement],
    span: tuple[Micros, Micros],
    known_at: Micros,
) -> Iterator[str]:
    """One sentence each, as was known at `known_at`; `span` is the day."""
    said = [act for act in acts if act.at <= known_at]
    ended = {act.ends: act for act in said if act.kind == "unmute"}
    for act in said:
        if act.is_mute and fnmatchcase(pipeline.name, act.pipeline or "*"):
            end = ended[act.id].at if act.id in ended else act.until
            if act.since < span[1] and (end is None or end > span[0]):
                yield _mute(act, end)
    for work in pipeline.volume.planned:
        if work.since < span[1] and work.until > span[0]:
            sources = ", ".join(work.sources)
            yield f"planned work (configuration): sources {sources}, {_stretch(work.since, work.until)}"
    for one in retired:
        if one.at <= known_at and span[0] <= one.at < span[1]:
            yield _retirement(one)


def _mute(act: Act, end: Micros | None) -> str:
    what = "planned work" if act.kind == "planned" else "mute"
    which = [f"kind {act.incident_kind}"] if act.incident_kind else []
    which += [f"sources {act.sources}"] if act.sources != "*" else []
    return (
        f"{what} {act.id}: {', '.join(which) or 'everything'}, {_stretch(act.since, end)} ({act.author}: {act.reason})"
    )


def _retirement(one: Retirement) -> str:
    whose = f" of stage {one.stage}" if one.stage else ""
    when = "is back" if one.effective is None else f"is retired from {format_time(one.effective)}"
    return f"{one.kind} {one.name}{whose} {when} ({one.author}: {one.reason})"


def _stretch(since: Micros, until: Micros | None) -> str:
    return f"{format_time(since)} to {'no end' if until is None else format_time(until)}"
