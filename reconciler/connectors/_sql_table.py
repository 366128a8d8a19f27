"""A table's columns -> the query that counts it, for every database that `_sql_dialects` knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reconciler.connectors._sql_dialects import Dialect
from reconciler.connectors._sql_values import Bind
from reconciler.core.times import SECOND, Micros
from reconciler.settings.schema import Section

By = Literal["time", "offset"]
Which = Literal["arrived", "written"]


def _expression(text: str) -> str:
    """SQL of the user that is to be put into a larger query as it is; nothing is bound in it."""
    if not text.strip() or ";" in text:
        raise ValueError("is no SQL expression")
    return text.strip().replace(":", "\\:")


Expression = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_expression)]


class TableSettings(Section):
    """Columns of a table to count. Each may be any SQL expression over the columns of the table."""

    name: Expression
    """The table or view, with its schema where it needs one."""
    time: Expression
    """The accept time; with `by: offset` the time of the record in the queue."""
    source: Expression | None = None
    """Who sent the event. With `by: offset` the source is `topic/partition`."""
    outcome: Expression | None = None
    """What became of the event, where it is not the usual of the stage."""
    id: Expression | None = None
    """What is different for each event. Then equal ids count once, and a digest of the set of ids is taken."""
    where: Expression | None = None
    """Which rows count."""
    topic: Expression | None = None
    """With `by: offset`: the topic; a text in quotes where there is only one."""
    partition: Expression | None = None
    """With `by: offset`: the partition."""
    offset: Expression | None = None
    """With `by: offset`: the offset of the record."""


@dataclass(frozen=True, slots=True)
class Counting:
    """One way to count a table: what stands in it, in the words of one database."""

    table: TableSettings
    dialect: Dialect
    bind: Bind
    width: Micros

    def by_time(self) -> str:
        """Counts by source and bucket, of rows, or of ids with their digest."""
        return self._ids() if self.table.id else self._rows()

    def by_offset(self, which: Which) -> str:
        """Counts by partition and bucket: of offsets that have arrived, or of all that must have been written."""
        if which == "arrived":
            bucket = self._bucket("r_at")
            return (
                f"SELECT r_source AS source, {bucket} AS bucket, COUNT(*) AS count\n"
                f"FROM ({self._offsets()}) AS arrived\nGROUP BY 1, 2"
            )
        missing = f"{self.dialect.following.format(x='r_offset', of='r_source')} - r_offset - 1"
        return (
            f"SELECT r_source AS source, {self._bucket('r_at')} AS bucket, COUNT(*) AS arrived,\n"
            f"  SUM(COALESCE(r_missing, 0)) AS missing, MAX(r_at) AS latest\n"
            f"FROM (SELECT r_source, r_at, {missing} AS r_missing FROM ({self._offsets()}) AS arrived) AS written\n"
            f"WHERE r_at >= :first AND r_at < :last\nGROUP BY 1, 2"
        )

    def holes(self) -> str:
        """Ranges of offsets that have not arrived though later ones have: the offset before each, and its length."""
        missing = f"{self.dialect.following.format(x='r_offset', of='r_source')} - r_offset - 1"
        return (
            f"SELECT r_source AS source, r_at AS r_at, r_offset AS before_hole, r_missing AS missing\n"
            f"FROM (SELECT r_source, r_at, r_offset, {missing} AS r_missing FROM ({self._offsets()}) AS arrived)"
            f" AS written\nWHERE r_missing > 0 AND r_at >= :first AND r_at < :last\nORDER BY 1, 3"
        )

    def summaries(self, slots: int, usual: str, *, handed_on: bool) -> str:
        """How many ids there are by source, bucket and slot of their hash, and a digest of them."""
        return (
            f"SELECT r_source AS source, r_bucket AS bucket, {self._slot(slots)} AS slot,\n"
            f"  SUM(CASE WHEN r_id IS NULL THEN 0 ELSE 1 END) AS ids,\n"
            f"  SUM(CASE WHEN r_id IS NOT NULL AND r_usual > 1 THEN r_usual - 1 ELSE 0 END) AS doubles,\n"
            f"  SUM(CASE WHEN r_id IS NULL THEN r_copies ELSE 0 END) AS unidentified,\n"
            f"  SUM(r_high) AS digest_high, SUM(r_low) AS digest_low\n"
            f"FROM ({self._hashed(usual, handed_on=handed_on)}) AS hashed\nGROUP BY 1, 2, 3"
        )

    def identities(self, slots: int, wanted: Sequence[int], usual: str, *, handed_on: bool) -> str:
        """The ids of some slots, and how often each is there, in order of slot."""
        some = f" AND {self._slot(slots)} IN ({', '.join(map(str, wanted))})" if slots > 1 else ""
        return (
            f"SELECT {self._slot(slots)} AS slot, r_source AS source, r_bucket AS bucket, r_id AS id,"
            f" r_usual AS copies\nFROM ({self._hashed(usual, handed_on=handed_on)}) AS hashed\n"
            f"WHERE r_id IS NOT NULL{some}\nORDER BY 1"
        )

    def _slot(self, slots: int) -> str:
        return self.dialect.remainder.format(x="r_high", by=slots) if slots > 1 else "0"

    def _hashed(self, usual: str, *, handed_on: bool) -> str:
        """Each id once by source and bucket, with its hash: how often it is there, and how often with its usual end."""
        table, dialect = self.table, self.dialect
        ends = f"SUM(CASE WHEN {table.outcome} = '{usual}' THEN 1 ELSE 0 END)" if table.outcome else "COUNT(*)"
        only = f" AND {table.outcome} = '{usual}'" if table.outcome and handed_on else ""
        ids = (
            f"SELECT {table.source} AS r_source, {self._bucket(self._instant())} AS r_bucket,"
            f" {dialect.text.format(x=table.id)} AS r_id, {ends} AS r_usual, COUNT(*) AS r_copies\n"
            f"{self._from()}{only}\nGROUP BY 1, 2, 3"
        )
        hashes = f"{dialect.high('r_id')} AS r_high, {dialect.low('r_id')} AS r_low"
        return f"SELECT r_source, r_bucket, r_id, r_usual, r_copies, {hashes}\nFROM ({ids}) AS ids"

    def _rows(self) -> str:
        table = self.table
        outcome = f", {table.outcome} AS outcome" if table.outcome else ""
        return (
            f"SELECT {table.source} AS source, {self._bucket(self._instant())} AS bucket{outcome}, COUNT(*) AS count\n"
            f"{self._from()}\nGROUP BY 1, 2{', 3' if table.outcome else ''}"
        )

    def _ids(self) -> str:
        """Equal ids count once; rows without an id count each, and then no digest can be told."""
        table, dialect = self.table, self.dialect
        outcome, outer = (f", {table.outcome} AS r_outcome", ", r_outcome AS outcome") if table.outcome else ("", "")
        identity = dialect.text.format(x=table.id)
        inner = (
            f"SELECT {table.source} AS r_source, {self._bucket(self._instant())} AS r_bucket{outcome},"
            f" {identity} AS r_id, COUNT(*) AS r_copies\n{self._from()}\nGROUP BY 1, 2, 3{', 4' if outcome else ''}"
        )
        return (
            f"SELECT r_source AS source, r_bucket AS bucket{outer},\n"
            f"  SUM(CASE WHEN r_id IS NULL THEN r_copies ELSE 1 END) AS count,\n"
            f"  SUM(CASE WHEN r_id IS NULL THEN 1 ELSE 0 END) AS unidentified,\n"
            f"  SUM({dialect.high('r_id')}) AS digest_high, SUM({dialect.low('r_id')}) AS digest_low\n"
            f"FROM ({inner}) AS ids\nGROUP BY 1, 2{', 3' if outcome else ''}"
        )

    def _offsets(self) -> str:
        """Each offset of each partition once, with the instant of its record."""
        table, text = self.table, self.dialect.text
        topic, partition = text.format(x=table.topic), text.format(x=table.partition)
        return (
            f"SELECT {topic} || '/' || {partition} AS r_source, {table.offset} AS r_offset,"
            f" MIN({self._instant()}) AS r_at\n{self._from()} AND {table.offset} IS NOT NULL\nGROUP BY 1, 2"
        )

    def _from(self) -> str:
        where = f" AND ({self.table.where})" if self.table.where else ""
        return f"FROM {self.table.name} WHERE {self.table.time} >= :start AND {self.table.time} < :end{where}"

    def _bucket(self, instant: str) -> str:
        return f"{instant} - {self.dialect.remainder.format(x=instant, by=self.width // unit_of(self.bind))}"

    def _instant(self) -> str:
        """The accept time as a number of units since 1970."""
        time = self.table.time
        if self.bind in {"epoch", "epoch_ms"}:
            return f"({time})"
        if self.bind == "iso":
            time = self.dialect.as_instant.format(x=time)
        return self.dialect.seconds.format(x=time)


def unit_of(bind: Bind) -> Micros:
    """What instants are counted in where they are numbers."""
    return SECOND // 1000 if bind == "epoch_ms" else SECOND
