"""How each database says what the counting queries need: instants as seconds, text, hashes, and how it is held back.

SQL is text here on purpose: it can be read, copied and run by hand. What stands for a user's own column is put in as it
is written, for the configuration is the user's own SQL.
"""

from dataclasses import dataclass
from typing import Any

from reconciler.core.times import SECOND, Micros


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one database understands. `{x}` stands for an expression."""

    name: str
    """As SQLAlchemy names it."""
    extra: str | None
    """What to install: `reconciler[extra]`; `None`: it works as it is."""
    seconds: str
    """An instant as whole seconds since 1970."""
    text: str
    """Anything as text, at full length."""
    half: str
    """Four bytes of SHA-256 of the text `{x}` as a whole number; `{hex}` and `{byte}`: where they begin, from 1."""
    remainder: str = "MOD({x}, {by})"
    as_instant: str = "CAST({x} AS TIMESTAMP)"
    """Text as an instant."""
    following: str = "LEAD({x}) OVER (PARTITION BY {of} ORDER BY {x})"
    """The next greater value of the same group; NULL after the last."""
    settings: tuple[str, ...] = ()
    """Said to a session before it is asked anything; `{ms}` and `{s}`: its patience."""
    query: tuple[tuple[str, str], ...] = ()
    """Put into the URL where it does not say otherwise: `(key, value)`."""
    notes: str = ""
    """What the one who connects it should know."""

    def session(self, patience: Micros) -> list[str]:
        """Statements that hold a session back."""
        return [setting.format(**_patience(patience)) for setting in self.settings]

    def url_query(self, patience: Micros) -> dict[str, str]:
        """What the URL should say."""
        return {key: value.format(**_patience(patience)) for key, value in self.query}

    def high(self, text: str) -> str:
        """The first four bytes of the hash, as a number."""
        return self.half.format(x=text, hex=1, byte=1)

    def low(self, text: str) -> str:
        """The second four bytes."""
        return self.half.format(x=text, hex=9, byte=5)


def _patience(span: Micros) -> dict[str, Any]:
    return {"ms": span // (SECOND // 1000), "s": max(1, span // SECOND)}


_ALL = (
    Dialect(
        "postgresql",
        None,
        seconds="CAST(FLOOR(EXTRACT(EPOCH FROM {x})) AS BIGINT)",
        text="CAST({x} AS TEXT)",
        half="CAST(CAST('x' || SUBSTR(ENCODE(SHA256(CONVERT_TO({x}, 'UTF8')), 'hex'), {hex}, 8) AS BIT(32)) AS BIGINT)",
        as_instant="CAST({x} AS TIMESTAMPTZ)",
        settings=("SELECT set_config('statement_timeout', '{ms}', true)",),
        notes="The session is read-only and sees one state of the database. Version 11 or later for digests.",
    ),
    Dialect(
        "sqlite",
        None,
        seconds="CAST(STRFTIME('%s', {x}) AS INTEGER)",
        text="CAST({x} AS TEXT)",
        half="reconciler_hash({x}, {byte})",
        remainder="(({x}) % {by})",
        as_instant="{x}",
        settings=("PRAGMA query_only = ON",),
        notes="The session is read-only. SHA-256 is a function that the connector brings.",
    ),
    Dialect(
        "duckdb",
        "duckdb",
        seconds="CAST(FLOOR(EPOCH({x})) AS BIGINT)",
        text="CAST({x} AS VARCHAR)",
        half="CAST(('0x' || SUBSTR(SHA256({x}), {hex}, 8)) AS BIGINT)",
        notes="The file is opened read-only, which needs that nobody has it open to write.",
    ),
    Dialect(
        "bigquery",
        "bigquery",
        seconds="UNIX_SECONDS(TIMESTAMP({x}))",
        text="CAST({x} AS STRING)",
        half="CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256({x})), {hex}, 8)) AS INT64)",
        notes="Grant roles/bigquery.dataViewer and roles/bigquery.jobUser, no more. Partition the table by its accept "
        "time and bound what a query may cost with ?maximum_bytes_billed= in the URL; a job times out by the project's "
        "own setting, not by this connector.",
    ),
    Dialect(
        "snowflake",
        "snowflake",
        seconds="DATE_PART(EPOCH_SECOND, {x})",
        text="CAST({x} AS VARCHAR)",
        half="TO_NUMBER(SUBSTR(SHA2({x}, 256), {hex}, 8), 'XXXXXXXX')",
        as_instant="CAST({x} AS TIMESTAMP_TZ)",
        settings=("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = {s}", "ALTER SESSION SET TIMEZONE = 'UTC'"),
        notes="Name a role with SELECT only, and a small warehouse that suspends itself, in the URL. TIMESTAMP_NTZ "
        "columns need `bind: naive`.",
    ),
    Dialect(
        "redshift",
        "redshift",
        seconds="CAST(FLOOR(EXTRACT(EPOCH FROM {x})) AS BIGINT)",
        text="CAST({x} AS VARCHAR(65535))",
        half="STRTOL(SUBSTRING(SHA2({x}, 256), {hex}, 8), 16)",
        as_instant="CAST({x} AS TIMESTAMPTZ)",
        settings=("SET statement_timeout TO {ms}", "SET timezone TO 'UTC'"),
        notes="Grant SELECT only. Use redshift+redshift_connector:// in the URL. Sort the table by its accept time.",
    ),
    Dialect(
        "clickhousedb",
        "clickhouse",
        seconds="toUnixTimestamp({x})",
        text="toString({x})",
        half="reinterpretAsUInt32(reverse(substring(SHA256({x}), {byte}, 4)))",
        as_instant="parseDateTimeBestEffort({x}, 'UTC')",
        following="anyOrNull({x}) OVER (PARTITION BY {of} ORDER BY {x} ROWS BETWEEN 1 FOLLOWING AND 1 FOLLOWING)",
        query=(("max_execution_time", "{s}"), ("readonly", "2")),
        notes="The session is read-only (readonly=2). A ReplacingMergeTree shows replaced rows until it has merged: "
        "give `id`, or say FINAL in a query of your own.",
    ),
    Dialect(
        "trino",
        "trino",
        seconds="CAST(FLOOR(TO_UNIXTIME({x})) AS BIGINT)",
        text="CAST({x} AS VARCHAR)",
        half="FROM_BASE(SUBSTR(TO_HEX(SHA256(TO_UTF8({x}))), {hex}, 8), 16)",
        as_instant="CAST({x} AS TIMESTAMP WITH TIME ZONE)",
        settings=("SET SESSION query_max_run_time = '{s}s'",),
        notes="Read-only is a matter of the catalogue's access control. TIMESTAMP columns without zone need "
        "`bind: naive`.",
    ),
    Dialect(
        "databricks",
        "databricks",
        seconds="UNIX_SECONDS(CAST({x} AS TIMESTAMP))",
        text="CAST({x} AS STRING)",
        half="CAST(CONV(SUBSTR(SHA2({x}, 256), {hex}, 8), 16, 10) AS BIGINT)",
        settings=("SET STATEMENT_TIMEOUT = {s}", "SET TIME ZONE 'UTC'"),
        notes="Grant USE CATALOG, USE SCHEMA and SELECT, no more; ask a SQL warehouse that stops itself.",
    ),
)
DIALECTS = {dialect.name: dialect for dialect in _ALL}


def extra_for(drivername: str) -> str | None:
    """Which extra brings a driver; `None` where none of ours does."""
    known = DIALECTS.get(drivername.partition("+")[0])
    return known.extra if known else None
