"""What a sender sends a second time: evenly over the time that it takes and over the minutes that it covers."""

from collections.abc import Callable, Iterator

from reconciler.scenarios.sections import StoryError
from reconciler.scenarios.story import Minute, Replay


def portions(replay: Replay, minute: Minute, stored: Callable[[str, Minute], int]) -> Iterator[tuple[Minute, int, int]]:
    """What is sent again in this minute: accept minute, events that are new, events that are known already."""
    first, last = replay.covers
    width, length = last - first, replay.end - replay.start
    low, high = (replay.accepted * step // length for step in (minute - replay.start, minute - replay.start + 1))
    for index in range(low * width // max(1, replay.accepted), width):
        begin, end = replay.accepted * index // width, replay.accepted * (index + 1) // width
        if begin >= high:
            break
        events = min(high, end) - max(low, begin)
        if events > 0:
            known = events if replay.deduplicated and _is_known(replay, first + index, end - begin, stored) else 0
            yield first + index, events - known, known


def _is_known(replay: Replay, bucket: Minute, sent: int, stored: Callable[[str, Minute], int]) -> bool:
    """Whether the minute was stored the first time. Stored in part would need the ids of its events."""
    before = stored(replay.source, bucket)
    if before and before != sent:
        raise StoryError(f"{replay.source} sends minute {bucket} again, of which a part was stored: not told apart")
    return before > 0
