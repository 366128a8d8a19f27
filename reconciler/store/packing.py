"""Arrays as few bytes: a self-describing, lossless packing of named integer arrays.

Each array is first made small (differences to the row above, to the column before, to both, or to the first array of
the same shape), then written as a constant, as its few entries that are not zero, or as byte planes under zlib. Arrays
can be read one by one. Why not a general format: counts of an hour shrink to a byte or two a cell, and both ways run at
memory speed.
"""

import math
import struct
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Ints

FORMAT = 1
"""First byte of every payload; a reader of a later version knows by it what it has before it."""
LEVEL = 1
"""zlib level. With run lengths alone (`Z_RLE`) byte planes become as small as with matches, in two thirds the time."""

_PLAIN, _ROWS, _COLUMNS, _BOTH, _BASE = range(5)
_CONSTANT, _SPARSE, _DENSE = range(3)
_HEAD = struct.Struct("<B3sBBBBqI")
_SAMPLE = 32
"""Rows that the choice of a difference is made on."""


class _Head(NamedTuple):
    name_length: int
    dtype: bytes
    dimensions: int
    difference: int
    coding: int
    width: int
    """Bytes a value."""
    low: int
    """Added to every value that is written."""
    size: int
    """Bytes of the body."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write one- and two-dimensional arrays of integers, booleans or floats."""
    pieces = [struct.pack("<BB", FORMAT, len(arrays))]
    base: Ints | None = None
    for name, array in arrays.items():
        values = _as_ints(array)
        pieces.extend(_write(name, array, values, base))
        if base is None and array.ndim == 2 and array.dtype == np.int64:
            base = values
    return b"".join(pieces)


def unpack(payload: bytes, only: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read the arrays back, or `only` those of these names.

    An array of one value or of equal rows, and one that equals another, takes no memory of its own: it is a view that
    cannot be written to. `writable` makes it an array like the others.
    """
    version, amount = struct.unpack_from("<BB", payload)
    if version != FORMAT:
        raise ValueError(f"payload has format {version}, this program reads {FORMAT}")
    found: dict[str, NDArray[Any]] = {}
    base: Ints | None = None
    place = 2
    for _ in range(amount):
        head = _Head(*_HEAD.unpack_from(payload, place))
        place += _HEAD.size
        name = payload[place : place + head.name_length].decode()
        place += head.name_length
        shape = struct.unpack_from(f"<{head.dimensions}I", payload, place)
        place += 4 * head.dimensions
        is_base = base is None and head.dimensions == 2 and head.dtype == b"<i8"
        wanted = only is None or name in only
        if wanted and head.coding == _CONSTANT and head.difference == _PLAIN:
            found[name] = _constant(head.low, head.dtype, shape)
            base = found[name] if is_base else base
        elif is_base or wanted:
            values = _read(head, payload[place : place + head.size], shape, base)
            base = values if is_base else base
            if wanted:
                found[name] = _as_dtype(values, head.dtype)
        place += head.size
    return found


def writable(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy that can be written to; one of zeros takes memory only where it is written to."""
    if array.flags.writeable:
        return array
    return np.zeros(array.shape, array.dtype) if is_blank(array) else array.copy()


def is_blank(array: NDArray[Any]) -> bool:
    """Whether the array, as `unpack` gave it, is all zeros; an array that is not known to be is not."""
    return not array.size or (not any(array.strides) and not array.flat[0])


def _as_ints(array: NDArray[Any]) -> Ints:
    fixed = np.ascontiguousarray(array)
    return fixed.view(np.int64) if fixed.dtype.itemsize == 8 else fixed.astype(np.int64)


@lru_cache(maxsize=256)
def _constant(low: int, dtype: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of one value, shared by all that ask for it."""
    return np.broadcast_to(_as_dtype(np.array([low], np.int64), dtype), shape)


def _as_dtype(values: Ints, dtype: bytes) -> NDArray[Any]:
    wanted = np.dtype(dtype.decode())
    if not any(values.strides) and values.size:
        one = values.flat[:1]
        return np.broadcast_to(one.view(wanted) if wanted.itemsize == 8 else one.astype(wanted), values.shape)
    return values.view(wanted) if wanted.itemsize == 8 else values.astype(wanted)


def _above(values: Ints) -> Ints:
    out = values.copy()
    out[1:] -= values[:-1]
    return out


def _before(values: Ints) -> Ints:
    out = values.copy()
    out[..., 1:] -= values[..., :-1]
    return out


_DIFFERENCES: dict[int, Callable[[Ints], Ints]] = {
    _PLAIN: lambda values: values,
    _ROWS: _above,
    _COLUMNS: _before,
    _BOTH: lambda values: _before(_above(values)),
}


def _undo(head: _Head, values: Ints) -> Ints:
    if head.difference in (_COLUMNS, _BOTH):
        values = np.cumsum(values, axis=-1, dtype=np.int64)
    if head.difference in (_ROWS, _BOTH):
        values = np.cumsum(values, axis=0, dtype=np.int64)
    return values


def _choose(values: Ints, base: Ints | None) -> tuple[int, Ints]:
    """The difference that leaves least to write, judged by the first rows."""
    rows = _SAMPLE if values.ndim == 2 else _SAMPLE * 64
    sample = values[:rows]
    tried: dict[int, int] = {}
    if base is not None and base.shape == values.shape:
        tried[_BASE] = _cost(sample - base[:rows])
    for way in _DIFFERENCES if values.ndim == 2 else (_PLAIN, _ROWS):
        if 0 not in tried.values():
            tried[way] = _cost(_DIFFERENCES[way](sample))
    best = min(tried, key=lambda way: (tried[way], way))
    if best == _BASE and base is not None:
        return best, values - base
    return best, _DIFFERENCES[best](values)


def _cost(sample: Ints) -> int:
    entries = int(np.count_nonzero(sample))
    if not entries:
        return 0
    width = _low_and_width(sample)[1]
    return min(entries * (2 + width), sample.size * width)


def _low_and_width(values: Ints) -> tuple[int, int]:
    """The smallest value, and the bytes that the others need above it; 0 where all are equal."""
    if not values.size:
        return 0, 0
    low = int(values.min())
    return low, ((int(values.max()) - low).bit_length() + 7) // 8


def _write(name: str, array: NDArray[Any], values: Ints, base: Ints | None) -> tuple[bytes, ...]:
    way, coding, width, body = _PLAIN, _CONSTANT, 0, b""
    low, spread = _low_and_width(values)
    if spread:
        way, small = _choose(values, base)
        coding, width, low, body = _body(small.ravel())
    label = name.encode()
    head = _HEAD.pack(len(label), array.dtype.str.encode(), array.ndim, way, coding, width, low, len(body))
    return head, label, struct.pack(f"<{array.ndim}I", *array.shape), body


def _body(values: Ints) -> tuple[int, int, int, bytes]:
    low, width = _low_and_width(values)
    if not width:
        return _CONSTANT, 0, low, b""
    if np.count_nonzero(values) * 8 < len(values):
        places = np.flatnonzero(values)
        entries = values[places]
        low, width = _low_and_width(entries)
        steps = np.diff(places, prepend=0).astype("<u4").tobytes()
        return _SPARSE, width, low, _squeeze(steps + _planes(entries - low, width))
    return _DENSE, width, low, _squeeze(_planes(values - low, width))


def _squeeze(planes: bytes) -> bytes:
    squeezing = zlib.compressobj(LEVEL, strategy=zlib.Z_RLE)
    return squeezing.compress(planes) + squeezing.flush()


def _planes(values: Ints, width: int) -> bytes:
    """The low bytes of all values, then the next bytes, and so on: like stands by like, and zlib finds it."""
    octets = values.astype("<i8", copy=False).view(np.uint8).reshape(-1, 8)
    return octets[:, :width].T.tobytes()


def _from_planes(planes: bytes, width: int, amount: int) -> Ints:
    if width == 1:
        return np.frombuffer(planes, np.uint8).astype(np.int64)
    whole = 1 << (width - 1).bit_length()
    octets = np.zeros((amount, whole), np.uint8)
    octets[:, :width] = np.frombuffer(planes, np.uint8).reshape(width, amount).T
    return octets.view(f"<u{whole}").ravel().astype(np.int64)


def _read(head: _Head, body: bytes, shape: tuple[int, ...], base: Ints | None) -> Ints:
    base = base if head.difference == _BASE else None
    if head.coding == _CONSTANT:
        return _read_constant(head, shape, base)
    raw = zlib.decompress(body)
    if head.coding == _SPARSE:
        return _read_sparse(head, raw, shape, base)
    values = _from_planes(raw, head.width, math.prod(shape)).reshape(shape)
    values += head.low
    return _undo(head, values) if base is None else values + base


def _read_constant(head: _Head, shape: tuple[int, ...], base: Ints | None) -> Ints:
    if base is None:
        return _undo(head, _constant(head.low, b"<i8", shape))
    same = base.view()
    same.flags.writeable = False
    return base + head.low if head.low else same


def _read_sparse(head: _Head, raw: bytes, shape: tuple[int, ...], base: Ints | None) -> Ints:
    amount = len(raw) // (4 + head.width)
    places = np.cumsum(np.frombuffer(raw, "<u4", amount), dtype=np.int64)
    entries = _from_planes(raw[4 * amount :], head.width, amount) + head.low
    if head.difference in (_ROWS, _BOTH) and len(shape) == 2 and places[-1] < shape[1]:
        return np.broadcast_to(_filled(head, places, entries, (1, shape[1]))[0], shape)  # all rows are the first
    if base is None:
        return _filled(head, places, entries, shape)
    values = base.copy()
    values.reshape(-1)[places] += entries
    return values


def _filled(head: _Head, places: Ints, entries: Ints, shape: tuple[int, ...]) -> Ints:
    values = np.zeros(shape, np.int64)
    values.reshape(-1)[places] = entries
    return _undo(head, values)
