"""Cursors: where a page ended, as text that is handed back as it came."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from fastapi import Query
from starlette.exceptions import HTTPException

MOST = 10_000
Limit = Annotated[int, Query(ge=1, le=MOST, description="Entries on a page.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before, with the same filters.")]
Mark = list[str | int]


def write(mark: Mark | None) -> str | None:
    """The cursor for a mark."""
    return None if mark is None else urlsafe_b64encode(json.dumps(mark).encode()).decode()


def read(cursor: str | None, *kinds: type) -> Mark | None:
    """The mark of a cursor, whose parts are of these kinds; 422 for whatever no page has given out."""
    if cursor is None:
        return None
    try:
        mark = json.loads(urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error, RecursionError):
        mark = None
    if not isinstance(mark, list) or [type(part) for part in mark] != list(kinds):
        raise HTTPException(422, "cursor: is none that a page has given out as `next`")
    if any(isinstance(part, int) and not -(2**62) <= part <= 2**62 for part in mark):
        raise HTTPException(422, "cursor: is none that a page has given out as `next`")
    return mark
