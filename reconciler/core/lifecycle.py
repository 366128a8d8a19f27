"""How an incident lives: when it is sure, when it is over, when it is back, and what people said of it.

pending, open (then updated), resolved, and re-opened (updated again). Somebody who acknowledges it or mutes it does not
change what is judged: it lives on, and says so.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from reconciler.core.acts import Act, mute_of
from reconciler.core.cases import RESOLVE_AFTER, STRAY_CELLS, STRAY_LASTS, Incident
from reconciler.core.times import HOUR, Micros, format_time
from reconciler.core.verdicts import DIRECT

AT_ONCE = frozenset({"queue_policy", "capacity", "missing_counts", "replay"})
"""Kinds that need not last: they are read, not inferred."""
LONGEST_PATIENCE: Micros = 4 * HOUR


def sure(incident: Incident, now: Micros, *, beside: bool = False) -> bool:
    """Direct evidence opens at once; the rest must hold at two ticks running and be more than a stray cell.

    `beside`: a worse incident tells of the same stoppage, so this one has to last.
    """
    if incident.kind in AT_ONCE or incident.evidence & DIRECT:
        return True
    lasting = now - incident.seen_at
    if incident.kind == "rejects":
        return lasting > 0
    return lasting >= STRAY_LASTS or (lasting > 0 and incident.bad >= STRAY_CELLS and not beside)


def patience(incident: Incident) -> Micros:
    """How long it must be well before it is over: the longer, the more often it came back. Damped, and never hidden."""
    doubled: Micros = RESOLVE_AFTER << min(incident.reopened, 8)
    return min(doubled, LONGEST_PATIENCE)


def reopen(incident: Incident) -> None:
    """It is back: who had it has to take it again."""
    incident.status = "updated"
    incident.reopened += 1
    incident.acknowledged = incident.closed = None


def hear(incident: Incident, acts: Sequence[Act], now: Micros) -> None:
    """Take the acts about it that it has not taken yet, in order, and whether it is muted now."""
    for act in acts:
        if act.incident == incident.id and act.id > incident.taken and act.at <= now:
            _take(incident, act, now)
            incident.taken = act.id
    mute = mute_of(acts, incident, now)
    incident.muted = None if mute is None else said_by(mute)


def _take(incident: Incident, act: Act, now: Micros) -> None:
    if act.kind == "acknowledge":
        incident.acknowledged = said_by(act)
    elif act.kind == "confirm":
        incident.confirmed = said_by(act)
    elif act.kind == "close":
        incident.closed, incident.closed_lost, incident.closed_at = said_by(act), incident.lost, now
    elif act.kind == "reopen" and incident.status == "resolved":
        reopen(incident)
        incident.last_bad = now


def said_by(act: Act) -> dict[str, Any]:
    """As incident lines tell it."""
    said = {"author": act.author, "at": format_time(act.at), "reason": act.reason}
    if act.until is not None:
        said |= {"until": format_time(act.until)}
    return said | ({"planned": True} if act.kind == "planned" else {})


def fingerprint(incident: Incident) -> str:
    """Of all that is told; where it is the same, nobody is told again."""
    sources = ",".join(sorted(incident.shares))
    facts = (incident.since, incident.until if incident.shares else 0, incident.lost, int(incident.evidence))
    people = [incident.acknowledged, incident.confirmed, incident.closed, incident.muted]
    said = "" if not any(people) else str(people)
    text = f"{facts}{sources}{incident.detail}{incident.severity}{said}{'unseen' if incident.unseen else ''}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
