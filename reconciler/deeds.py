"""What people may say of incidents, checked before it is written down: by the commands, over HTTP, by buttons."""

from collections.abc import Sequence
from typing import Any, get_args

from reconciler.core.acts import Act, ActKind, holding
from reconciler.core.times import DAY, Micros, format_time, time_of
from reconciler.errors import ConfigError
from reconciler.ports import Store
from reconciler.settings.people import IncidentKind

KINDS = get_args(IncidentKind)
"""Of incidents, as a mute may name them."""
LONGEST_MUTE: Micros = 90 * DAY
"""A mute that lasts longer is a setting that nobody sees."""
ENDS_BY_ITSELF = ("queue_policy", "capacity", "replay")
"""Kinds that are over when what they tell of is mended, and never because somebody says so."""
TEXT = 2_000
"""Letters of a name or a reason."""


def incident_line(store: Store, incident: str) -> dict[str, Any]:
    """What was last said of an incident; `ConfigError` where there is none."""
    changes = store.incident_changes(incident)
    if not changes:
        raise ConfigError(f"there is no incident {incident!r}; `reconciler incidents --all` lists all")
    return changes[-1]


def speak(store: Store, kind: ActKind, incident: str, author: str, reason: str, now: Micros) -> Act:
    """Acknowledge, close, confirm or re-open an incident. The next judgement takes it."""
    line = incident_line(store, incident)
    over = line["status"] == "resolved"
    if kind in ("acknowledge", "close") and over:
        raise ConfigError(f"{incident} is over since {line['at']}; nothing is left to {kind}")
    if kind == "reopen" and not over:
        raise ConfigError(f"{incident} is not over")
    if kind == "close" and line["kind"] in ENDS_BY_ITSELF:
        raise ConfigError(f"{incident} ends by itself once it is mended; until then `reconciler mute` keeps it quiet")
    who, why = _said(author, "author"), _said(reason, "reason")
    return store.acts.add(Act(now, who, kind, why, pipeline=line["pipeline"], incident=incident))


def mute(
    store: Store, author: str, reason: str, now: Micros, until: Micros, *, since: Micros | None = None,
    pipeline: str = "", kind: str = "", sources: str = "*", planned: bool = False,
) -> Act:  # fmt: skip
    """Keep the incidents that fit quiet until an end; `planned`: announced work."""
    since = now if since is None else since
    if until <= max(since, now):
        raise ConfigError(f"the mute would be over at {format_time(until)}, before it begins; give a later end")
    if until - since > LONGEST_MUTE:
        raise ConfigError("a mute lasts 90 days at most; what is never to be told belongs into the configuration")
    act = Act(
        now, _said(author, "author"), "planned" if planned else "mute", _said(reason, "reason"),
        pipeline=_plain(pipeline, "pipeline"), incident_kind=_plain(kind, "kind"), sources=_plain(sources, "pattern"),
        since=since, until=until,
    )  # fmt: skip
    return store.acts.add(act)


def unmute(store: Store, number: int, author: str, reason: str, now: Micros) -> Act:
    """End a mute before its end."""
    found = next((act for act in mutes(store, now) if act.id == number), None)
    if found is None:
        raise ConfigError(f"there is no mute {number} that still holds; `reconciler mute list` lists all")
    act = Act(now, _said(author, "author"), "unmute", _said(reason, "reason"), pipeline=found.pipeline, ends=number)
    return store.acts.add(act)


def mutes(store: Store, now: Micros) -> list[Act]:
    """The mutes and planned work that hold now or will, in order of saying."""
    return standing(store.acts.all(), now)


def standing(acts: Sequence[Act], now: Micros) -> list[Act]:
    """Of all that was said, the mutes and planned work that hold at `now` or will."""
    ended = {act.ends for act in acts if act.kind == "unmute"}
    return [act for act in acts if act.is_mute and act.id not in ended and (act.until or now + 1) > now]


def mute_record(act: Act, now: Micros) -> dict[str, Any]:
    """A mute for programs."""
    return {
        "id": act.id,
        "holds": bool(holding([act], now)),
        "planned": act.kind == "planned",
        "pipeline": act.pipeline or "*",
        "kind": act.incident_kind or "*",
        "sources": act.sources,
        "from": format_time(act.since),
        "until": time_of(act.until),
        "author": act.author,
        "reason": act.reason,
        "at": format_time(act.at),
    }


def mute_text(act: Act, now: Micros) -> str:
    """A mute for people, in one line."""
    one = mute_record(act, now)
    what = "planned work" if one["planned"] else "mute"
    which = [f"{name} {one[name]}" for name in ("pipeline", "kind", "sources") if one[name] != "*"]
    span = f"until {one['until']}" if one["holds"] else f"from {one['from']} until {one['until']}"
    return f"{what} {one['id']}: {', '.join(which) or 'everything'}, {span} ({one['author']}: {one['reason']})"


def _said(text: str, what: str) -> str:
    text = text.strip()
    if not text:
        raise ConfigError(f"the {what} is empty; say it in words")
    return _plain(text, what)


def _plain(text: str, what: str) -> str:
    """A text that can be stored and shown."""
    if len(text) > TEXT:
        raise ConfigError(f"the {what} is longer than {TEXT:,} letters")
    if not text.replace("\n", " ").replace("\t", " ").isprintable() and text:
        raise ConfigError(f"the {what} holds letters that cannot be printed")
    return text
