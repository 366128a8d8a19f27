"""How a story is run, beside what it says: for tests that want it rougher, smaller or shorter."""

from dataclasses import dataclass
from fractions import Fraction

from reconciler.scenarios.story import Minute


@dataclass(frozen=True)
class Options:
    until: Minute | None = None  # the last instant of the run; None: the story's own
    latency_minutes: int = 0  # nothing is read sooner after its acceptance
    sample_offset_seconds: int = 0  # queues are sampled so long after the edge of the minute, 0 to 59
    append_delay_minutes: int = 0  # between acceptance and the queue
    partitions: int | None = None  # of every queue, instead of the story's own
    scale: Fraction = Fraction(1)  # of every rate; what is not whole is carried over to the next minute
    bucket_minutes: int | None = None  # instead of the story's own
    edge: bool = False  # one more stage, before ingress: what the edge saw, refused events included
