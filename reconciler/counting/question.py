"""The questions, in SQL: what a row means, what is wrong with it, and the sums.

Where engines have different words for the same thing, `Words` says which. No backslash stands in any text: not all read
it alike. What a user wrote is put in as it is: it is their own SQL.
"""

from collections.abc import Sequence
from typing import Literal

from reconciler.core.observations import OUTCOMES
from reconciler.core.times import SECOND
from reconciler.counting.definition import UNITS, Definition, flat
from reconciler.counting.words import Words

Kind = Literal["instant", "number", "text"]
"""What the accept time is, as its column is typed."""
EARLIEST = 100_000_000
"""Seconds until 1973; whatever lies before is in another unit."""
LATEST = 253_402_300_799
"""Seconds until the end of the year 9999; whatever lies beyond is in another unit."""
_ZONE = "Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?"
_CLOCK = f"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{{1,9}})?)?({_ZONE})?"
ISO = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_CLOCK})?$"
NUMBER = "^[0-9]{9,16}([.][0-9]{1,9})?$"

FAULTS = {
    "line": ("(line)", "is not an object of JSON"),
    "twice": ("(line)", "names a key twice: which of the two is meant is not known"),
    "row": ("(line)", "is no row: it has more or fewer columns than the first line, or a quote too many"),
    "no time": ("time", "is missing"),
    "time": ("time", "is {value!r}, not a time"),
    "no source": ("source", "is missing"),
    "source": ("source", "holds a NUL, which no database can keep"),
    "outcome": ("outcome", "is {value!r}, not one of " + ", ".join(OUTCOMES)),
    "ahead": ("time", "is {value!r}, which lies ahead of the reading (--at) by more than the clock allowance"),
}
"""Field and reason of each fault."""
NOTHING = "CAST(NULL AS VARCHAR(20))"
OUTSIDE = "outside"
"""No fault: a row beyond --from and --until."""


def kind_of(type_name: str) -> Kind:
    """What a type of the engine holds."""
    name = type_name.lower()
    if name.startswith(("timestamp", "date")):
        return "instant"
    numbers = ("tinyint", "smallint", "int", "bigint", "hugeint", "uint", "ubigint", "float", "double", "decimal")
    return "number" if name.startswith((*numbers, "usmallint", "utinyint", "long", "short", "byte")) else "text"


def objects(names: Sequence[str], words: Words, lines: str, also: str = "") -> str:
    """Lines of NDJSON as a relation with a column for each name, and what is wrong with a line as `r_fault`."""
    more = f", {also}" if also else ""
    paths = {name: name.split(".") for name in names}
    above = sorted({tuple(path[:depth]) for path in paths.values() for depth in range(len(path))})
    members = "".join(f', {_member(path, words)} AS "{flat(name)}"' for name, path in paths.items())
    lists = [words.keys.format(path=_path(path, words)) for path in above or [()]]
    twice = " OR ".join(words.repeated.format(x=keys) for keys in lists)
    sound = f"(SELECT CASE WHEN {words.whole} THEN line END AS r_json{more} FROM {lines} WHERE TRIM(line) <> '')"
    broken = f"CASE WHEN r_json IS NULL THEN 'line' WHEN {twice} THEN 'twice' END AS r_fault"
    return f"(SELECT {broken}{members}{more} FROM {sound} AS r_lines) AS r_objects"


def _path(path: Sequence[str], words: Words) -> str:
    return "$" + "".join(words.step.format(part=part) for part in path)


def _member(path: Sequence[str], words: Words) -> str:
    struct = "STRING"
    for part in reversed(path):
        struct = f"STRUCT<`{part}`: {struct}>"
    return words.member.format(path=_path(path, words), struct=struct, dotted=".".join(f"`{part}`" for part in path))


def judged(asked: Definition, words: Words, rows: str, kind: Kind, *, broken: str = NOTHING, also: str = "") -> str:
    """Each row of the relation `rows`: its cell, its id, and its fault (NULL: none).

    `broken`: the fault that the row is known to have; `also`: more columns to keep.
    """
    text = words.dialect.text
    more = f", {also}" if also else ""
    read = (
        f"SELECT {text.format(x=f'({asked.source})')} AS r_source, {text.format(x=f'({asked.time})')} AS r_time,\n"
        f"  {text.format(x=f'({asked.outcome})') if asked.outcome else NOTHING} AS r_outcome,\n"
        f"  {text.format(x=f'({asked.id})') if asked.id else NOTHING} AS r_id,\n"
        f"  {_seconds(asked, words, kind)} AS r_seconds, {broken} AS r_broken{more}\nFROM {rows}"
    )
    outcome = f"COALESCE(NULLIF(r_outcome, ''), '{asked.usual}')"
    placed = (
        f"SELECT r_source, r_time, {outcome} AS r_outcome, NULLIF(r_id, '') AS r_id, r_broken, r_seconds,\n"
        f"  r_seconds - MOD(r_seconds, {asked.width}) AS r_bucket{more}\nFROM ({read}) AS read_rows"
    )
    return (
        f"SELECT {_fault(asked)} AS fault, r_source AS source, r_bucket AS bucket, r_outcome AS outcome, r_id AS id,\n"
        f"  r_time AS written{more}\nFROM ({placed}) AS placed_rows"
    )


def gathered(judged_rows: str, more: str = "") -> str:
    """Sums by cell and id, and by fault; what is at fault has no cell."""
    cell = ", ".join(f"CASE WHEN fault IS NULL THEN {name} END AS {name}" for name in _CELL)
    keys = ", ".join(str(place) for place in range(1, 6 + (1 if more else 0)))
    return f"SELECT fault, {cell}{more}, COUNT(*) AS copies\nFROM ({judged_rows}) AS judged_rows\nGROUP BY {keys}"


def summed(gathered_rows: str, words: Words, *, ids: bool) -> str:
    """Source, bucket, outcome, count, rows, rows without an id, and the halves of the digest, in order."""
    place = "source, bucket, outcome"
    if not ids:
        return (
            f"SELECT {place}, SUM(copies) AS number, SUM(copies) AS counted, 1 AS unidentified, 0 AS high, 0 AS low\n"
            f"FROM {gathered_rows} WHERE fault IS NULL GROUP BY {place} ORDER BY bucket, source, outcome"
        )
    distinct = (
        f"SELECT {place}, id, SUM(copies) AS copies FROM {gathered_rows} WHERE fault IS NULL GROUP BY {place}, id"
    )
    return (
        f"SELECT {place}, SUM(CASE WHEN id IS NULL THEN copies ELSE 1 END) AS number, SUM(copies) AS counted,\n"
        f"  SUM(CASE WHEN id IS NULL THEN 1 ELSE 0 END) AS unidentified,\n"
        f"  SUM({words.dialect.high('id')}) AS high, SUM({words.dialect.low('id')}) AS low\n"
        f"FROM ({distinct}) AS distinct_ids GROUP BY {place} ORDER BY bucket, source, outcome"
    )


_CELL = ("source", "bucket", "outcome", "id")


def _seconds(asked: Definition, words: Words, kind: Kind) -> str:
    """The accept time as whole seconds; NULL where it is none."""
    time = f"({asked.time})"
    if kind == "instant":
        return words.dialect.seconds.format(x=time)
    number = f"CAST(FLOOR(TRY_CAST({time} AS DECIMAL(30, 6)) / {UNITS[asked.unit]}) AS BIGINT)"
    if kind == "number":
        return number
    text = words.dialect.text.format(x=time)
    iso = words.dialect.seconds.format(x=words.instant.format(x=text))
    return (
        f"CASE WHEN {words.matches.format(x=text, regex=NUMBER)} THEN {number}"
        f" WHEN {words.matches.format(x=text, regex=ISO)} THEN {iso} END"
    )


def _fault(asked: Definition) -> str:
    known = ", ".join(f"'{outcome}'" for outcome in OUTCOMES)
    latest = (asked.at + asked.pipeline.clock_allowance) // SECOND
    cases = [
        ("r_time IS NULL OR r_time = ''", "no time"),
        (f"r_seconds IS NULL OR r_seconds < {EARLIEST} OR r_seconds > {LATEST}", "time"),
        ("r_source IS NULL OR r_source = ''", "no source"),
        ("INSTR(r_source, CHR(0)) > 0", "source"),
        (f"r_outcome NOT IN ({known})", "outcome"),
    ]
    if asked.start is not None:
        cases.append((f"r_bucket < {asked.start // SECOND}", OUTSIDE))
    if asked.end is not None:
        cases.append((f"r_bucket >= {asked.end // SECOND}", OUTSIDE))
    cases.append((f"r_bucket > {latest}", "ahead"))
    whens = "\n".join(f"  WHEN {condition} THEN '{fault}'" for condition, fault in cases)
    return f"CASE\n  WHEN r_broken IS NOT NULL THEN r_broken\n{whens}\n  END"
