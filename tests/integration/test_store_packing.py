"""What is packed comes back, bit for bit, whatever it is."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from reconciler.core.tiles import SPAN, CountTile, VerdictTile
from reconciler.store.packing import pack, unpack
from reconciler.store.tiles import pack_tile, unpack_tile

DTYPES = [np.int64, np.uint64, np.float64, np.uint8, np.uint32, np.bool_]


@st.composite
def any_array(draw: st.DrawFn) -> NDArray[Any]:
    """Few values many times, as counts are, or any values at all."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(arrays_of.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=70))
    elements = arrays_of.from_dtype(dtype, allow_nan=True)
    if draw(st.booleans()):
        elements = st.sampled_from(draw(st.lists(elements, min_size=1, max_size=4)))
    return draw(arrays_of.arrays(dtype, shape, elements=elements, fill=elements))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=20), any_array(), max_size=5))
def test_arrays_come_back_bit_for_bit(arrays: dict[str, NDArray[Any]]) -> None:
    found = unpack(pack(arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), any_array(), min_size=1), st.sets(st.sampled_from("abcde")))
def test_arrays_can_be_read_one_by_one(arrays: dict[str, NDArray[Any]], only: set[str]) -> None:
    found = unpack(pack(arrays), only)
    assert set(found) == set(arrays) & only
    for name, array in found.items():
        assert array.tobytes() == arrays[name].tobytes()


def grown_tile(rows: int = 256) -> CountTile:
    """An hour of one reporter: counts around a thousand, read a minute after each bucket."""
    rng = np.random.default_rng(3)
    tile = CountTile()
    tile.series = np.arange(rows) * 2
    tile.count = rng.poisson(1_000, (rows, SPAN))
    tile.peak = tile.count.copy()
    tile.at = np.broadcast_to(np.arange(SPAN) * 60_000_000 + 1_620_000_000_000_000, (rows, SPAN)).copy()
    tile.digest = np.zeros((rows, SPAN), np.uint64)
    tile.digested = np.zeros((rows, SPAN), np.bool_)
    tile.error = np.zeros((rows, SPAN))
    return tile


def test_a_tile_comes_back_and_may_be_written_to() -> None:
    tile = grown_tile()
    found = unpack_tile(pack_tile(tile), CountTile)
    for part in fields(tile):
        assert np.array_equal(getattr(found, part.name), getattr(tile, part.name)), part.name
        getattr(found, part.name)[:1] = 1


def test_a_cell_of_an_ordinary_hour_takes_less_than_two_bytes() -> None:
    tile = grown_tile()
    assert len(pack_tile(tile)) / tile.count.size < 2


@pytest.mark.parametrize("kind", [CountTile, VerdictTile])
def test_an_empty_tile_takes_few_bytes(kind: type[CountTile] | type[VerdictTile]) -> None:
    assert len(pack_tile(kind())) < 1_000


def test_an_array_that_was_not_known_then_is_blank_now() -> None:
    old = pack({"series": np.arange(3), "count": np.ones((3, SPAN), np.int64)})
    tile = unpack_tile(old, CountTile)
    assert tile.count.sum() == 3 * SPAN
    assert tile.error.shape == (3, SPAN)
    assert not tile.error.any()


def test_a_payload_of_a_later_format_is_refused() -> None:
    payload = bytearray(pack({"a": np.arange(3)}))
    payload[0] = 99
    with pytest.raises(ValueError, match="format 99"):
        unpack(bytes(payload))
