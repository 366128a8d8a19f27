"""Arrays as few bytes: a self-describing, lossless packing of named integer arrays.

Each array is first made small (differences to the row above, to the column before, to both, or to the first array of
the same shape), then written as a constant, as its few entries that are not zero, or as byte planes under zlib. Arrays
can be read one by one. Why not a general format: counts of an hour shrink to a byte or two a cell, and both ways run at
memory speed.
"""

import struct
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconciler.core.tiles import Ints

FORMAT = 1
"""First byte of every payload; a reader of a later version knows by it what it has before it."""
LEVEL = 1
"""zlib level; higher ones cost three times the time for a few per cent."""

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
    """Read the arrays back, or `only` those of these names; each is fresh and may be written to."""
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
        if is_base or only is None or name in only:
            values = _undo(head, _read(head, payload[place : place + head.size], shape), base)
            base = values if is_base else base
            if only is None or name in only:
                found[name] = _as_dtype(values, head.dtype)
        place += head.size
    return found


def _as_ints(array: NDArray[Any]) -> Ints:
    fixed = np.ascontiguousarray(array)
    return fixed.view(np.int64) if fixed.dtype.itemsize == 8 else fixed.astype(np.int64)


def _as_dtype(values: Ints, dtype: bytes) -> NDArray[Any]:
    wanted = np.dtype(dtype.decode())
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


def _undo(head: _Head, values: Ints, base: Ints | None) -> Ints:
    if head.difference == _BASE and base is not None:
        return values + base
    if head.difference in (_COLUMNS, _BOTH):
        values = np.cumsum(values, axis=-1, dtype=np.int64)
    if head.difference in (_ROWS, _BOTH):
        values = np.cumsum(values, axis=0, dtype=np.int64)
    return values


def _choose(values: Ints, base: Ints | None) -> tuple[int, Ints]:
    """The difference that leaves least to write, judged by the first rows."""
    rows = _SAMPLE if values.ndim == 2 else _SAMPLE * 64
    sample = values[:rows]
    ways = dict(_DIFFERENCES) if values.ndim == 2 else {way: _DIFFERENCES[way] for way in (_PLAIN, _ROWS)}
    tried = {way: _cost(difference(sample)) for way, difference in ways.items()}
    if base is not None and base.shape == values.shape:
        tried[_BASE] = _cost(sample - base[:rows])
    best = min(tried, key=lambda way: (tried[way], way))
    if best == _BASE and base is not None:
        return best, values - base
    return best, _DIFFERENCES[best](values)


def _cost(sample: Ints) -> int:
    entries = int(np.count_nonzero(sample))
    return min(entries * (2 + _width(sample)), sample.size * _width(sample))


def _width(values: Ints) -> int:
    return (_reach(values).bit_length() + 7) // 8


def _reach(values: Ints) -> int:
    return int(values.max()) - int(values.min()) if values.size else 0


def _write(name: str, array: NDArray[Any], values: Ints, base: Ints | None) -> tuple[bytes, ...]:
    if not values.size or not _reach(values):
        way, coding, width, low, body = _PLAIN, _CONSTANT, 0, int(values.flat[0]) if values.size else 0, b""
    else:
        way, small = _choose(values, base)
        coding, width, low, body = _body(small.ravel())
    label = name.encode()
    head = _HEAD.pack(len(label), array.dtype.str.encode(), array.ndim, way, coding, width, low, len(body))
    return head, label, struct.pack(f"<{array.ndim}I", *array.shape), body


def _body(values: Ints) -> tuple[int, int, int, bytes]:
    if not _reach(values):
        return _CONSTANT, 0, int(values[0]), b""
    places = np.flatnonzero(values)
    if len(places) * 8 < len(values):
        entries = values[places]
        low, width = int(entries.min()), _width(entries)
        steps = np.diff(places, prepend=0).astype("<u4").tobytes()
        return _SPARSE, width, low, zlib.compress(steps + _planes(entries - low, width), LEVEL)
    low, width = int(values.min()), _width(values)
    return _DENSE, width, low, zlib.compress(_planes(values - low, width), LEVEL)


def _planes(values: Ints, width: int) -> bytes:
    """The low bytes of all values, then the next bytes, and so on: like stands by like, and zlib finds it."""
    octets = values.astype("<i8", copy=False).view(np.uint8).reshape(-1, 8)
    return octets[:, :width].T.tobytes()


def _from_planes(planes: bytes, width: int, amount: int) -> Ints:
    octets = np.zeros((amount, 8), np.uint8)
    octets[:, :width] = np.frombuffer(planes, np.uint8).reshape(width, amount).T
    return octets.view("<i8").ravel().astype(np.int64, copy=False)


def _read(head: _Head, body: bytes, shape: tuple[int, ...]) -> Ints:
    size = int(np.prod(shape))
    if head.coding == _CONSTANT:
        return np.full(shape, head.low, np.int64)
    raw = zlib.decompress(body)
    if head.coding == _DENSE:
        values = _from_planes(raw, head.width, size)
        values += head.low
        return values.reshape(shape)
    amount = len(raw) // (4 + head.width)
    places = np.cumsum(np.frombuffer(raw, "<u4", amount), dtype=np.int64)
    values = np.zeros(size, np.int64)
    values[places] = _from_planes(raw[4 * amount :], head.width, amount) + head.low
    return values.reshape(shape)
