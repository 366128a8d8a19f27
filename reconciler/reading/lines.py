"""Bytes -> numbered lines, in constant memory whatever the file holds: compressed or not, whole or cut off."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from reconciler.errors import ConfigError

STDIN = "-"
LONGEST_LINE = 1_000_000
"""Bytes; no observation needs as much, and a file of one endless line must not fill the memory."""
TOO_LONG = f"is longer than {LONGEST_LINE} bytes"

_CHUNK = 1 << 18
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its end."""

    number: int
    """From 1."""
    text: bytes
    fault: str = ""
    """Why the line cannot be used, if so; its text is then left out."""


@contextmanager
def opened(path: str, on_bytes: Callable[[int], None] | None = None) -> Iterator[IO[bytes]]:
    """The file, or standard input for ``-``, unpacked if it begins like gzip; `on_bytes` hears what was read of it."""
    try:
        # What lies under the buffer of standard input hands on what there is, and does not wait for more.
        piped = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        raw = piped if path == STDIN else Path(path).open("rb", buffering=0)  # noqa: SIM115  closed below
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        stream: IO[bytes] = io.BufferedReader(_Counted(raw, on_bytes), _CHUNK)
        yield cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if _begins(stream, GZIP) else stream
    finally:
        if path != STDIN:
            raw.close()


class Block(NamedTuple):
    """Lines that stand one after the other, without their ends."""

    first: int
    """Number of the first, from 1."""
    texts: list[bytes]
    faults: dict[int, str]
    """By position in `texts`: why that line cannot be used; its text is left out."""

    def lines(self) -> Iterator[Line]:
        """One by one."""
        for position, text in enumerate(self.texts):
            yield Line(self.first + position, text, self.faults.get(position, ""))


def blocks(stream: IO[bytes]) -> Iterator[Block]:
    """All lines, blank ones too. One too long is named and passed over; so is the place where a file breaks off."""
    splitter = Splitter()
    for chunk, fault in _chunks(stream):
        if fault:
            yield splitter.broken(fault)
            return
        yield splitter.feed(chunk)
    yield splitter.finish()


class Splitter:
    """Cuts bytes that come piece by piece into lines; holds no more than a line of them."""

    def __init__(self) -> None:
        self._number, self._rest, self._skipping = 1, b"", False

    def feed(self, chunk: bytes) -> Block:
        """The lines that end in this piece."""
        texts = (self._rest + chunk).split(b"\n")
        self._rest = texts.pop()
        faults: dict[int, str] = {}
        if texts and (self._skipping or max(map(len, texts)) > LONGEST_LINE):
            long = [place for place, text in enumerate(texts) if len(text) > LONGEST_LINE]
            for place in {*long, 0} if self._skipping else long:
                faults[place], texts[place] = TOO_LONG, b""
            self._skipping = False
        if len(self._rest) > LONGEST_LINE or self._skipping:
            self._rest, self._skipping = b"", True
        return self._block(texts, faults)

    def finish(self) -> Block:
        """The last line, where it has no end."""
        return self._block([b""], {0: TOO_LONG}) if self._skipping else self._block([self._rest], {})

    def broken(self, fault: str) -> Block:
        """The place where the bytes break off."""
        return self._block([b""], {0: fault})

    def _block(self, texts: list[bytes], faults: dict[int, str]) -> Block:
        block = Block(self._number, texts, faults)
        self._number += len(texts)
        return block


def _chunks(stream: IO[bytes]) -> Iterator[tuple[bytes, str]]:
    """The bytes without a byte order mark; then, where the file breaks off, why."""
    mark = BOM
    while True:
        try:
            chunk = stream.read1(_CHUNK)  # type: ignore[attr-defined]  # both kinds of stream have it
        except EOFError:
            yield b"", "is cut off: the gzip file ends before its end; what stood before this line was read"
            return
        except (gzip.BadGzipFile, zlib.error) as error:
            yield b"", f"is where the gzip file is damaged ({error}); what stood before this line was read"
            return
        except OSError as error:
            yield b"", f"cannot be read: {error.strerror or error}; what stood before this line was read"
            return
        if not chunk:
            return
        yield chunk.removeprefix(mark), ""
        mark = b""


def _begins(stream: IO[bytes], magic: bytes) -> bool:
    """Whether the stream begins so; nothing is consumed."""
    begins: bool = stream.peek(len(magic)).startswith(magic)  # type: ignore[attr-defined]  # it is buffered
    return begins


class _Counted(io.RawIOBase):
    """Passes reads on and says how much was read."""

    def __init__(self, raw: IO[bytes] | io.RawIOBase, on_bytes: Callable[[int], None] | None) -> None:
        self._raw, self._on_bytes = raw, on_bytes

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from what is wrapped."""
        got: int = self._raw.readinto(buffer) or 0  # type: ignore[union-attr]  # raw streams have it
        if self._on_bytes is not None:
            self._on_bytes(got)
        return got
