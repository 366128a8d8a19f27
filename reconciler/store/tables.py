"""The tables of the ledger. `migrations/` makes them; a test holds the two together.

Instants are µs since the epoch in `BigInteger`. Names may be of any length, so keys hold their SHA-256 instead;
payloads are written by `packing.py`.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the key is an INTEGER."""


def column(name: str, kind: Any, *, key: bool = False, null: bool = False) -> Column[Any]:
    """A column that the database gives no number by itself."""
    return Column(name, kind, primary_key=key, nullable=null, autoincrement=False)


ledger = Table(
    "ledger",
    metadata,
    column("id", Integer, key=True),
    column("position", BigInteger),
    comment="One row: who writes locks it. position counts the transactions that changed something",
)

pipeline = Table(
    "pipeline",
    metadata,
    column("name", Text, key=True),
    column("width", BigInteger),
    column("revision", BigInteger),
    comment="Pipelines that have counts; width of a bucket; revision counts the changes of sources that were known",
)

source = Table(
    "source",
    metadata,
    column("pipeline", Text, key=True),
    column("ordinal", BigInteger, key=True),
    column("name", Text),
    column("name_hash", LargeBinary),
    column("first_bucket", BigInteger),
    column("retired_at", BigInteger),
    UniqueConstraint("pipeline", "name_hash"),
)

series = Table(
    "series",
    metadata,
    column("pipeline", Text, key=True),
    column("number", BigInteger, key=True),
    column("stage", Text),
    column("source", BigInteger),
    column("outcome", Text),
    column("reporter", Text),
    column("replay", Text, null=True),
    column("origin", Text),
    column("key_hash", LargeBinary),
    UniqueConstraint("pipeline", "key_hash"),
)

tile = Table(
    "tile",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("pipeline", Text),
    column("kind", Text),
    column("part", Text),
    column("span", BigInteger),
    column("chunk", BigInteger),
    column("touched", BigInteger),
    column("latest_at", BigInteger),
    column("active", Integer),
    column("borders", Integer),
    column("outline", LargeBinary),  # before the payload, so that it is read without it
    column("payload", LargeBinary),
    UniqueConstraint("pipeline", "kind", "part", "span", "chunk"),
    comment="Current values. touched: position of the last change; latest_at: of its readings or judgement; active: "
    "open cells; borders: where a neighbour must be judged with it; outline: of verdicts, what they come to",
)
Index("ix_tile_touched", tile.c.pipeline, tile.c.touched)
Index("ix_tile_latest_at", tile.c.pipeline, tile.c.latest_at)
Index(
    "ix_tile_active",
    tile.c.pipeline,
    tile.c.part,
    sqlite_where=text("active > 0"),
    postgresql_where=text("active > 0"),
)

reading = Table(
    "reading",
    metadata,
    column("pipeline", Text, key=True),
    column("stage", Text, key=True),
    column("position", BigInteger, key=True),
    column("n", Integer),
    column("min_bucket", BigInteger),
    column("max_bucket", BigInteger),
    column("min_at", BigInteger),
    column("max_at", BigInteger),
    column("payload", LargeBinary),
    comment="The history of counts, append-only: one block of readings a stage and transaction",
)
Index("ix_reading_max_bucket", reading.c.pipeline, reading.c.stage, reading.c.max_bucket)
Index("ix_reading_max_at", reading.c.pipeline, reading.c.stage, reading.c.max_at)

progress = Table(
    "progress",
    metadata,
    column("pipeline", Text, key=True),
    column("stage", Text, key=True),
    column("reporter_hash", LargeBinary, key=True),
    column("at", BigInteger, key=True),
    column("reporter", Text),
    column("through", BigInteger),
    column("final", Boolean),
)

reporter = Table(
    "reporter",
    metadata,
    column("pipeline", Text, key=True),
    column("stage", Text, key=True),
    column("reporter_hash", LargeBinary, key=True),
    column("name", Text),
    column("heard_at", BigInteger),
    column("through", BigInteger),
    column("final", Boolean),
    column("advances", Text),
    comment="What the rows of progress come to, per reporter",
)

queue_sample = Table(
    "queue_sample",
    metadata,
    column("pipeline", Text, key=True),
    column("queue_hash", LargeBinary, key=True),
    column("partition", BigInteger, key=True),
    column("at", BigInteger, key=True),
    column("queue", Text),
    *(column(name, BigInteger, null=True) for name in ("start_offset", "end_offset", "committed_offset", "depth")),
    *(column(name, BigInteger, null=True) for name in ("oldest_at", "committed_at", "retention", "retention_bytes")),
    *(column(name, BigInteger, null=True) for name in ("replicas", "in_sync_replicas")),
    column("exact", Boolean),
    column("epoch", Text, null=True),
    postgresql_partition_by="RANGE (pipeline, at)",
    comment="PostgreSQL keeps them by the day: days.py",
)
Index("ix_queue_sample_at", queue_sample.c.pipeline, queue_sample.c.at)

capacity = Table(
    "capacity",
    metadata,
    column("resource_hash", LargeBinary, key=True),
    column("at", BigInteger, key=True),
    column("resource", Text),
    column("used", BigInteger),
    column("limit", BigInteger),
    column("pipelines", Text),
)

said = Table(
    "said",
    metadata,
    column("pipeline", Text, key=True),
    column("hop", Text, key=True),
    column("position", BigInteger, key=True),
    column("at", BigInteger),
    column("n", Integer),
    column("min_bucket", BigInteger),
    column("max_bucket", BigInteger),
    column("payload", LargeBinary),
    comment="What was said of cells when, append-only",
)
Index("ix_said_max_bucket", said.c.pipeline, said.c.hop, said.c.max_bucket)

incident = Table(
    "incident",
    metadata,
    column("id", Text, key=True),
    column("pipeline", Text),
    column("kind", Text),
    column("status", Text),
    column("opened_at", BigInteger),
    column("updated_at", BigInteger),
    column("state", Text),
)
Index("ix_incident_updated_at", incident.c.pipeline, incident.c.updated_at)

incident_change = Table(
    "incident_change",
    metadata,
    column("id", Text, key=True),
    column("at", BigInteger, key=True),
    column("pipeline", Text),
    column("line", Text),
)

state = Table(
    "state",
    metadata,
    column("pipeline", Text, key=True),
    column("name", Text, key=True),
    column("at", BigInteger),
    column("json", Boolean),
    column("payload", LargeBinary),
)

judged = Table(
    "judged",
    metadata,
    column("pipeline", Text, key=True),
    column("hop", Text, key=True),
    column("at", BigInteger),
    column("position", BigInteger),
    comment="Up to which tick and which position of the ledger each hop is judged",
)

connector_cursor = Table(
    "connector_cursor",
    metadata,
    column("name", Text, key=True),
    column("payload", Text),
    column("at", BigInteger),
)

lease = Table(
    "lease",
    metadata,
    column("name", Text, key=True),
    column("holder", Text),
    column("epoch", BigInteger),
    column("since", BigInteger),
    column("expires_at", BigInteger),
    comment="Who does the work. epoch grows when another takes over; times are of the database's clock",
)

run = Table(
    "run",
    metadata,
    column("duty", Text, key=True),
    column("subject", Text, key=True),
    column("at", BigInteger),
    column("took", BigInteger),
    column("failure", Text, null=True),
    column("succeeded_at", BigInteger, null=True),
    comment="How the last run of each duty of the service went; subject: a connector or a pipeline, or empty",
)

retirement = Table(
    "retirement",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("pipeline", Text),
    column("kind", Text),
    column("stage", Text),
    column("name", Text),
    column("at", BigInteger),
    column("effective", BigInteger, null=True),
    column("author", Text),
    column("reason", Text),
    comment="Who said of a source or a reporter that it has ended, and why; effective: null where it came back",
)
Index("ix_retirement_pipeline", retirement.c.pipeline, retirement.c.kind)

horizon = Table(
    "horizon",
    metadata,
    column("pipeline", Text, key=True),
    column("detail", BigInteger),
    column("verdicts", BigInteger),
    comment="Start of the first bucket whose counts and history are kept, and of the first whose verdict is",
)

token = Table(
    "token",
    metadata,
    column("id", Text, key=True),
    column("name", Text),
    column("hash", LargeBinary),
    column("reads", Boolean),
    column("writes", Boolean),
    column("operates", Boolean),
    column("pipelines", Text),
    column("created_at", BigInteger),
    column("used_at", BigInteger, null=True),
    column("revoked_at", BigInteger, null=True),
    comment="Who may use the HTTP face. hash: SHA-256 of the secret; pipelines: JSON, [] for all",
)

model = Table(
    "model",
    metadata,
    column("pipeline", Text, key=True),
    column("name", Text, key=True),
    column("version", Integer),
    column("at", BigInteger),
    column("payload", LargeBinary),
    comment="What was learned off the hot path; version: of its form. A form that is not known is learned anew",
)

session = Table(
    "session",
    metadata,
    column("hash", LargeBinary, key=True),
    column("token", Text),
    column("created_at", BigInteger),
    column("expires_at", BigInteger),
    comment="Browsers that somebody has let in with a token. hash: SHA-256 of the secret in the browser's cookie",
)

outbox = Table(
    "outbox",
    metadata,
    column("incident", Text, key=True),
    column("channel", Text, key=True),
    column("pipeline", Text),
    column("severity", Text),
    column("status", Text),
    column("notice", Text),
    column("wanted", BigInteger),
    column("sent", BigInteger),
    column("sent_at", BigInteger),
    column("told", Text),
    column("reference", Text),
    column("attempts", BigInteger),
    column("failing_since", BigInteger),
    column("next_try_at", BigInteger),
    column("claimed_until", BigInteger),
    column("doubt_since", BigInteger),
    column("digested", Text),
    column("state", Text),
    column("error", Text),
    column("updated_at", BigInteger),
    comment="What each channel is to be told of each incident: the newest notice, and the version it took",
)
Index("ix_outbox_channel", outbox.c.channel, outbox.c.status)

sending = Table(
    "sending",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("incident", Text),
    column("channel", Text),
    column("pipeline", Text),
    column("at", BigInteger),
    column("version", BigInteger),
    column("status", Text),
    column("severity", Text),
    column("what", Text),
    column("posted_at", BigInteger),
    comment="What channels took of incidents, and what was given up, append-only",
)
Index("ix_sending_incident", sending.c.incident)

act = Table(
    "act",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("at", BigInteger),
    column("author", Text),
    column("kind", Text),
    column("reason", Text),
    column("pipeline", Text),
    column("incident", Text),
    column("incident_kind", Text),
    column("sources", Text),
    column("since", BigInteger),
    column("until", BigInteger, null=True),
    column("ends", BigInteger),
    comment="What people said of incidents: mutes, planned work, who has one, that it is over. Append-only",
)
Index("ix_act_incident", act.c.incident)
