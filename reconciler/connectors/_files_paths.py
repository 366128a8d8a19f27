"""What the path of a file says: whose it is, and when its events were accepted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.core.times import HOUR, MINUTE, Micros, floor_to, from_datetime, to_datetime

_CODES = {"Y": r"\d{4}", "m": r"\d\d", "d": r"\d\d", "H": r"\d\d", "M": r"\d\d", "s": r"\d{9,11}"}
"""Parts of a time as `strftime` names them, and %s for seconds since 1970."""
_PART = re.compile(r"%(?P<code>.)|\{(?P<name>\w*)\}|(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)")
_WILD = re.compile(r"[{*?]")


@dataclass(frozen=True, slots=True)
class Place:
    """What a path says of its file."""

    key: str
    """The part of the path that the pattern describes: the same wherever the file is named."""
    source: str
    time: Micros | None
    """Start of the time that it names; `None`: it names none."""


class PathPattern:
    """A pattern such as ``{customer}/dt=%Y-%m-%d/hour=%H/*.parquet``; `ValueError` says what is wrong with it."""

    def __init__(self, pattern: str, source: str, *, anywhere: bool = False) -> None:
        self.pattern, self.source = pattern, source
        self.codes: list[str] = []
        self.names: list[str] = []
        before = "(?:.*/)?" if anywhere else ""
        self._regex = re.compile(f"{before}(?P<key>{self._translate(pattern)})")
        known = [match["name"] for match in _PART.finditer(source) if match["name"]]
        if unknown := [name for name in known if name not in self.names]:
            raise ValueError(f"has no {{{unknown[0]}}} to name the source by")
        if self.codes and not ({"s"} <= set(self.codes) or {"Y", "m", "d"} <= set(self.codes)):
            raise ValueError("names a time without %Y, %m and %d")

    def _translate(self, pattern: str) -> str:
        done, regex = 0, ""
        for match in _PART.finditer(pattern):
            regex += re.escape(pattern[done : match.start()]) + self._part(match)
            done = match.end()
        return regex + re.escape(pattern[done:])

    def _part(self, match: re.Match[str]) -> str:
        if code := match["code"]:
            if code not in _CODES or code in self.codes:
                raise ValueError(f"has %{code}, which is unknown or there already; known: %{', %'.join(_CODES)}")
            self.codes.append(code)
            return f"(?P<T{code}>{_CODES[code]})"
        if match["deep"]:
            return "(?:.*/)?" if match["deep"].endswith("/") else ".*"
        if match["star"] or match["one"]:
            return "[^/]*" if match["star"] else "[^/]"
        name = match["name"]
        if not name.isidentifier() or name in self.names:
            raise ValueError(f"has {{{name}}}, which is no name or there already")
        self.names.append(name)
        return f"(?P<{name}>[^/]+)"

    def read(self, path: str) -> Place | None:
        """What the path says; `None` where it does not fit. `ValueError`: its time is none of the calendar."""
        match = self._regex.fullmatch(path)
        if match is None:
            return None
        named = {name: match[name] for name in self.names}
        return Place(
            match["key"], self.source.format(**named) if self.source else "/".join(named.values()), _time(match)
        )

    def prefixes(self, start: Micros, end: Micros, *, by_time: bool) -> list[str]:
        """How paths can begin, as far as the pattern lets it be known; `by_time` only those of [start, end)."""
        wild = _WILD.search(self.pattern)
        head = self.pattern[: wild.start()] if wild else self.pattern
        if "%s" in head or not by_time:
            head = head[: head.index("%")] if "%" in head else head
        if "%" not in head:
            return [head]
        step = MINUTE if "%M" in head else HOUR
        return list(dict.fromkeys(to_datetime(instant).strftime(head) for instant in _steps(start, end, step)))


def _time(match: re.Match[str]) -> Micros | None:
    found = {name[1:]: int(text) for name, text in match.groupdict().items() if name.startswith("T") and len(name) == 2}
    if "s" in found:
        return from_datetime(datetime.fromtimestamp(found["s"], UTC))
    if not found:
        return None
    moment = datetime(found["Y"], found["m"], found["d"], found.get("H", 0), found.get("M", 0), tzinfo=UTC)
    return from_datetime(moment)


def _steps(start: Micros, end: Micros, step: Micros) -> Iterator[Micros]:
    instant = floor_to(start, step)
    while instant < end:
        yield instant
        instant += step
