"""When somebody is woken: thresholds in events, never in shares alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paging:
    """From when on somebody is woken; what is less is a ticket."""

    lost: int = 1000
    """Events; a loss of so many pages. A queue that deleted unread events always pages."""
    burn: int = 100
    """Events; a fast burn of the objective pages only if it has cost so many."""
