"""An array of JSON as its elements, unread: where each begins and ends, in the memory of one and in linear time."""

import re
from collections.abc import Iterator

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = re.compile(rb'\s*+(\{(?:[^{}\[\]"]++|' + _STRING + rb")*+\})\s*+([,\]])", re.DOTALL)
"""An object with nothing in it that has elements of its own, as observations are; and what follows it."""
_TOKEN = re.compile(_STRING + rb'|[\[\]{},"]', re.DOTALL)
_SPACE = b" \t\r\n"


class NoArray(Exception):  # noqa: N818  it is an answer to the sender, not a fault
    """The body begins like an array of JSON and is none: nothing of it can be used."""


def elements(text: bytes) -> Iterator[bytes]:
    """The elements of the array that the text is; what they are is not looked at. Raises `NoArray`."""
    place = text.index(b"[") + 1
    if text[place:].lstrip(_SPACE)[:1] == b"]":
        place, end = text.index(b"]", place) + 1, b"]"
    else:
        end = b","
    while end == b",":
        flat = _FLAT.match(text, place)
        if flat is not None:
            element, end, place = flat[1], flat[2], flat.end()
        else:
            began = place
            place = _end(text, place)
            element, end = text[began : place - 1], text[place - 1 : place]
        if not element.strip(_SPACE):
            raise NoArray(f"there is nothing where an element should be (byte {place})")
        yield element
    if text[place:].strip(_SPACE):
        raise NoArray(f"something follows its end (byte {place + 1})")


def _end(text: bytes, place: int) -> int:
    """The place behind the comma or bracket that ends the element which begins at `place`."""
    depth = 0
    for token in _TOKEN.finditer(text, place):
        sign = token[0]
        if depth == 0 and sign in (b",", b"]"):
            return token.end()
        if sign == b'"':
            raise NoArray(f"a text is not closed (byte {token.start() + 1})")
        depth += (sign in (b"[", b"{")) - (sign in (b"]", b"}"))
        if depth < 0:
            raise NoArray(f"a bracket is closed that was not opened (byte {token.start() + 1})")
    raise NoArray("it has no end")
