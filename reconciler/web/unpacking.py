"""Bytes of a request, packed or not, as they were before: piece by piece, and never more than is allowed."""

import zlib
from collections.abc import Iterator

from reconciler.reading.lines import GZIP

PIECE = 1 << 18
"""Bytes that are unpacked at once: a small request may unpack to anything."""


class TooMuch(Exception):  # noqa: N818  it is an answer to the sender, not a fault
    """The request holds more than one may."""


class Unpacker:
    """Unpacks what begins like gzip, and hands on the rest as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._head = b""
        self._gzip: zlib._Decompress | None = None
        self._known = False
        self.fault = ""
        """Why nothing more can be read, if so."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What this piece comes to; raises `TooMuch`."""
        if not self._known:
            chunk = self._head = self._head + chunk
            if len(chunk) < len(GZIP):
                return
            self._known, self._head = True, b""
            self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if chunk.startswith(GZIP) else None
        yield from map(self._counted, [chunk] if self._gzip is None else self._unpacked(chunk))

    def finish(self) -> Iterator[bytes]:
        """What is left at the end."""
        yield self._counted(self._head)
        if self._gzip is not None and not self._gzip.eof and not self.fault:
            self.fault = "is cut off: the gzip data ends before its end; what stood before this line was read"

    def _unpacked(self, chunk: bytes) -> Iterator[bytes]:
        while chunk and self._gzip is not None and not self.fault:
            if self._gzip.eof:
                chunk = chunk.lstrip(b"\x00")  # some pad with zeros
                if not chunk:
                    return
                self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                piece = self._gzip.decompress(chunk, PIECE)
            except zlib.error as error:
                self.fault = f"is where the gzip data is damaged ({error}); what stood before this line was read"
                return
            chunk = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            yield piece

    def _counted(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size > self._limit:
            raise TooMuch(f"a request may hold {self._limit // 1_000_000} MB, unpacked; send it in parts")
        return piece
