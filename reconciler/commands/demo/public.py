"""What the company is known to have said about the incident of 20 July 2021, and when. The detector never sees it."""

from dataclasses import dataclass

from reconciler.core.times import Micros, parse_time


@dataclass(frozen=True, slots=True)
class Known:
    """Something that the company knew or said."""

    at: Micros
    when: str
    """As people say it; the public account is not exact everywhere."""
    text: str


def _known(at: str, when: str, text: str) -> Known:
    return Known(parse_time(at), when, text)


TIMELINE = (
    _known(
        "2021-07-20T18:50:00Z",
        "20 Jul 18:50",
        "The start, as the status page shows it: data is delayed, nothing is lost.",
    ),
    _known(
        "2021-07-20T19:20:00Z",
        "20 Jul 19:20",
        "Processing is said to have stopped: a Postgres sequence has reached its maximum.",
    ),
    _known("2021-07-21T02:00:00Z", "about 02:00", "The database has recovered. Processing drains what has piled up."),
    _known("2021-07-21T09:20:00Z", "21 Jul 09:20", "Caught up, and declared over. Nobody knows of a loss."),
    _known(
        "2021-07-22T00:00:00Z",
        "the next day",
        "Customers see holes in their charts. The batch queue is found to keep 20 minutes, set by mistake.",
    ),
    _known(
        "2021-08-02T06:59:00Z",
        "until 2 Aug",
        "Senders are asked to send again: own files are read again, partners are asked, direct callers have to do it "
        "themselves by 06:59 UTC. Who cannot, has lost the data.",
    ),
)
