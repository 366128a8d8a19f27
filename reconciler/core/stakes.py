"""How severe an incident is, by what is at stake: events lost, the time that is left, the objective that it burns.

Thresholds are in events, never in shares alone: half of a source that sends ten events a day wakes nobody.
"""

from dataclasses import dataclass

from reconciler.core.cases import Incident
from reconciler.core.times import Micros
from reconciler.core.verdicts import Evidence

RANK = {"": 0, "info": 1, "ticket": 2, "page": 3}


@dataclass(frozen=True, slots=True)
class Paging:
    """From when on somebody is woken; what is less is a ticket."""

    lost: int = 1000
    """Events; a loss of so many pages. A queue that deleted unread events always pages."""
    burn: int = 100
    """Events; a fast burn of the objective pages only if it has cost so many."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """What the severity of incidents of a pipeline is weighed against."""

    paging: Paging
    reaction: Micros
    """Time that people need to act; 0: not known."""
    burning: bool = False
    """The objective burns so fast that the budget of the month would be gone within two days or so."""


def severity(incident: Incident, stakes: Stakes, now: Micros) -> str:
    """`page` or `ticket`. While an incident is open it never falls: a message that climbs down looks like an end.

    Conditions (a policy, a capacity, what a volume model found) bring their own, and may fall.
    """
    if not incident.shares and not incident.unplaced and incident.severity:
        return incident.severity
    before = "" if incident.status == "resolved" else incident.severity  # what comes back is weighed anew
    return max(_weighed(incident, stakes, now), before, key=RANK.__getitem__)


def _weighed(incident: Incident, stakes: Stakes, now: Micros) -> str:
    if incident.kind == "at_risk":
        return _at_risk(incident, stakes, now)
    if incident.kind != "loss":
        return "ticket"
    if incident.mechanism == "deleted" or incident.lost >= stakes.paging.lost:
        return "page"
    return "page" if stakes.burning and incident.lost >= stakes.paging.burn else "ticket"


def _at_risk(incident: Incident, stakes: Stakes, now: Micros) -> str:
    """Unread events that are about to be deleted page. What was passed over can wait while there is time for it."""
    if Evidence.FORECAST in incident.evidence or not incident.loss_at:
        return "page"
    in_time = incident.loss_at - now > stakes.reaction
    return "ticket" if in_time and incident.events < stakes.paging.lost else "page"
