"""Which tiles must be judged together: an event that was counted next door may lie beyond the rim of a tile."""

from collections.abc import Callable, Mapping, Set

from reconciler.core.tiles import VerdictTile

TilePlace = tuple[int, int]
"""Chunk and span of a tile."""
LEFT, RIGHT = 1, 2
"""A cell near this rim is lost, in surplus or misplaced: a cell beyond the rim may be netted with it."""
LEFT_NETTED, RIGHT_NETTED = 4, 8
"""A cell near this rim is misplaced."""
_SIDES = ((-1, RIGHT, LEFT_NETTED, RIGHT_NETTED), (1, LEFT, RIGHT_NETTED, LEFT_NETTED))
_STEPS = 3
"""So many tiles further are taken: what was netted beyond stays as it is, see `netting`."""
_ODD = ("lost", "surplus", "misplaced")


def borders(tile: VerdictTile, reach: int) -> int:
    """The flags of a tile whose events may be misplaced over `reach` buckets."""
    flags = 0
    for columns, odd, netted in ((slice(0, reach), LEFT, LEFT_NETTED), (slice(-reach, None), RIGHT, RIGHT_NETTED)):
        seen = [not tile.parts.is_blank(part) and bool(tile.parts[part][:, columns].any()) for part in _ODD]
        flags |= odd * any(seen) | netted * seen[-1]
    return flags


def with_neighbours(places: Set[TilePlace], flags_of: Callable[[set[int]], Mapping[TilePlace, int]]) -> set[TilePlace]:
    """These places, and the neighbours that their cells may be netted with or are.

    `flags_of` gives the flags of the tiles of some spans. A neighbour's own neighbour is taken only where both are
    netted at the rim between them, and not for ever: a clock that stays off nets every bucket with the next.
    """
    found, fresh = set(places), set(places)
    for _ in range(_STEPS):
        flags = flags_of({span + step for _, span in fresh for step in (-1, 0, 1)})
        beyond = set()
        for chunk, span in fresh:
            for step, facing, own_netted, its_netted in _SIDES:
                near, at = flags.get((chunk, span + step), 0), (chunk, span + step)
                both = flags.get((chunk, span), 0) & own_netted and near & its_netted
                if at not in found and near & facing and ((chunk, span) in places or both):
                    beyond.add(at)
        found |= beyond
        fresh = beyond
    return found
