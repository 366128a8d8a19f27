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


def _column(name: str, kind: Any, *, key: bool = False, null: bool = False) -> Column[Any]:
    return Column(name, kind, primary_key=key, nullable=null, autoincrement=False)


ledger = Table(
    "ledger",
    metadata,
    _column("id", Integer, key=True),
    _column("position", BigInteger),
    comment="One row: who writes locks it. position counts the transactions that changed something",
)

pipeline = Table(
    "pipeline",
    metadata,
    _column("name", Text, key=True),
    _column("width", BigInteger),
    _column("revision", BigInteger),
    comment="Pipelines that have counts; width of a bucket; revision counts the changes of sources that were known",
)

source = Table(
    "source",
    metadata,
    _column("pipeline", Text, key=True),
    _column("ordinal", BigInteger, key=True),
    _column("name", Text),
    _column("name_hash", LargeBinary),
    _column("first_bucket", BigInteger),
    _column("retired_at", BigInteger),
    UniqueConstraint("pipeline", "name_hash"),
)

series = Table(
    "series",
    metadata,
    _column("pipeline", Text, key=True),
    _column("number", BigInteger, key=True),
    _column("stage", Text),
    _column("source", BigInteger),
    _column("outcome", Text),
    _column("reporter", Text),
    _column("replay", Text, null=True),
    _column("origin", Text),
    _column("key_hash", LargeBinary),
    UniqueConstraint("pipeline", "key_hash"),
)

tile = Table(
    "tile",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _column("pipeline", Text),
    _column("kind", Text),
    _column("part", Text),
    _column("span", BigInteger),
    _column("chunk", BigInteger),
    _column("touched", BigInteger),
    _column("latest_at", BigInteger),
    _column("active", Integer),
    _column("borders", Integer),
    _column("outline", LargeBinary),
    _column("payload", LargeBinary),
    UniqueConstraint("pipeline", "kind", "part", "span", "chunk"),
    comment="Current values. touched: position of the last change; latest_at: of its readings; active: open cells; "
    "borders: where a neighbour must be judged with it; outline: of verdicts, what they come to; "
    "it stands before the payload, so that it is read without it",
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
    _column("pipeline", Text, key=True),
    _column("stage", Text, key=True),
    _column("position", BigInteger, key=True),
    _column("n", Integer),
    _column("min_bucket", BigInteger),
    _column("max_bucket", BigInteger),
    _column("min_at", BigInteger),
    _column("max_at", BigInteger),
    _column("payload", LargeBinary),
    comment="The history of counts, append-only: one block of readings a stage and transaction",
)
Index("ix_reading_max_bucket", reading.c.pipeline, reading.c.stage, reading.c.max_bucket)
Index("ix_reading_max_at", reading.c.pipeline, reading.c.stage, reading.c.max_at)

progress = Table(
    "progress",
    metadata,
    _column("pipeline", Text, key=True),
    _column("stage", Text, key=True),
    _column("reporter_hash", LargeBinary, key=True),
    _column("at", BigInteger, key=True),
    _column("reporter", Text),
    _column("through", BigInteger),
    _column("final", Boolean),
)

reporter = Table(
    "reporter",
    metadata,
    _column("pipeline", Text, key=True),
    _column("stage", Text, key=True),
    _column("reporter_hash", LargeBinary, key=True),
    _column("name", Text),
    _column("heard_at", BigInteger),
    _column("through", BigInteger),
    _column("final", Boolean),
    _column("advances", Text),
    comment="What the rows of progress come to, per reporter",
)

queue_sample = Table(
    "queue_sample",
    metadata,
    _column("pipeline", Text, key=True),
    _column("queue_hash", LargeBinary, key=True),
    _column("partition", BigInteger, key=True),
    _column("at", BigInteger, key=True),
    _column("queue", Text),
    _column("start_offset", BigInteger, null=True),
    _column("end_offset", BigInteger, null=True),
    _column("committed_offset", BigInteger, null=True),
    _column("depth", BigInteger, null=True),
    _column("oldest_at", BigInteger, null=True),
    _column("committed_at", BigInteger, null=True),
    _column("retention", BigInteger, null=True),
    _column("retention_bytes", BigInteger, null=True),
    _column("replicas", BigInteger, null=True),
    _column("in_sync_replicas", BigInteger, null=True),
    _column("exact", Boolean),
    _column("epoch", Text, null=True),
)
Index("ix_queue_sample_at", queue_sample.c.pipeline, queue_sample.c.at)

capacity = Table(
    "capacity",
    metadata,
    _column("resource_hash", LargeBinary, key=True),
    _column("at", BigInteger, key=True),
    _column("resource", Text),
    _column("used", BigInteger),
    _column("limit", BigInteger),
    _column("pipelines", Text),
)

said = Table(
    "said",
    metadata,
    _column("pipeline", Text, key=True),
    _column("hop", Text, key=True),
    _column("position", BigInteger, key=True),
    _column("at", BigInteger),
    _column("n", Integer),
    _column("min_bucket", BigInteger),
    _column("max_bucket", BigInteger),
    _column("payload", LargeBinary),
    comment="What was said of cells when, append-only",
)
Index("ix_said_max_bucket", said.c.pipeline, said.c.hop, said.c.max_bucket)

incident = Table(
    "incident",
    metadata,
    _column("id", Text, key=True),
    _column("pipeline", Text),
    _column("kind", Text),
    _column("status", Text),
    _column("opened_at", BigInteger),
    _column("updated_at", BigInteger),
    _column("state", Text),
)
Index("ix_incident_updated_at", incident.c.pipeline, incident.c.updated_at)

incident_change = Table(
    "incident_change",
    metadata,
    _column("id", Text, key=True),
    _column("at", BigInteger, key=True),
    _column("pipeline", Text),
    _column("line", Text),
)

state = Table(
    "state",
    metadata,
    _column("pipeline", Text, key=True),
    _column("name", Text, key=True),
    _column("at", BigInteger),
    _column("json", Boolean),
    _column("payload", LargeBinary),
)

judged = Table(
    "judged",
    metadata,
    _column("pipeline", Text, key=True),
    _column("hop", Text, key=True),
    _column("at", BigInteger),
    _column("position", BigInteger),
    comment="Up to which tick and which position of the ledger each hop is judged",
)

connector_cursor = Table(
    "connector_cursor",
    metadata,
    _column("name", Text, key=True),
    _column("payload", Text),
    _column("at", BigInteger),
)

lease = Table(
    "lease",
    metadata,
    _column("name", Text, key=True),
    _column("holder", Text),
    _column("epoch", BigInteger),
    _column("since", BigInteger),
    _column("expires_at", BigInteger),
    comment="Who does the work. epoch grows when another takes over; times are of the database's clock",
)

run = Table(
    "run",
    metadata,
    _column("duty", Text, key=True),
    _column("subject", Text, key=True),
    _column("at", BigInteger),
    _column("took", BigInteger),
    _column("failure", Text, null=True),
    _column("succeeded_at", BigInteger, null=True),
    comment="How the last run of each duty of the service went; subject: a connector or a pipeline, or empty",
)

retirement = Table(
    "retirement",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _column("pipeline", Text),
    _column("kind", Text),
    _column("stage", Text),
    _column("name", Text),
    _column("at", BigInteger),
    _column("effective", BigInteger, null=True),
    _column("author", Text),
    _column("reason", Text),
    comment="Who said of a source or a reporter that it has ended, and why; effective: null where it came back",
)
Index("ix_retirement_pipeline", retirement.c.pipeline, retirement.c.kind)

horizon = Table(
    "horizon",
    metadata,
    _column("pipeline", Text, key=True),
    _column("detail", BigInteger),
    _column("verdicts", BigInteger),
    comment="Start of the first bucket whose counts and history are kept, and of the first whose verdict is",
)

token = Table(
    "token",
    metadata,
    _column("id", Text, key=True),
    _column("name", Text),
    _column("hash", LargeBinary),
    _column("reads", Boolean),
    _column("writes", Boolean),
    _column("operates", Boolean),
    _column("pipelines", Text),
    _column("created_at", BigInteger),
    _column("used_at", BigInteger, null=True),
    _column("revoked_at", BigInteger, null=True),
    comment="Who may use the HTTP face. hash: SHA-256 of the secret; pipelines: JSON, [] for all",
)

model = Table(
    "model",
    metadata,
    _column("pipeline", Text, key=True),
    _column("name", Text, key=True),
    _column("version", Integer),
    _column("at", BigInteger),
    _column("payload", LargeBinary),
    comment="What was learned off the hot path; version: of its form. A form that is not known is learned anew",
)

session = Table(
    "session",
    metadata,
    _column("hash", LargeBinary, key=True),
    _column("token", Text),
    _column("created_at", BigInteger),
    _column("expires_at", BigInteger),
    comment="Browsers that somebody has let in with a token. hash: SHA-256 of the secret in the browser's cookie",
)

outbox = Table(
    "outbox",
    metadata,
    _column("incident", Text, key=True),
    _column("channel", Text, key=True),
    _column("pipeline", Text),
    _column("severity", Text),
    _column("status", Text),
    _column("notice", Text),
    _column("wanted", BigInteger),
    _column("sent", BigInteger),
    _column("sent_at", BigInteger),
    _column("told", Text),
    _column("reference", Text),
    _column("attempts", BigInteger),
    _column("failing_since", BigInteger),
    _column("next_try_at", BigInteger),
    _column("claimed_until", BigInteger),
    _column("doubt_since", BigInteger),
    _column("digested", Text),
    _column("state", Text),
    _column("error", Text),
    _column("updated_at", BigInteger),
    comment="What each channel is to be told of each incident: the newest notice, and the version it took",
)
Index("ix_outbox_channel", outbox.c.channel, outbox.c.status)

sending = Table(
    "sending",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _column("incident", Text),
    _column("channel", Text),
    _column("pipeline", Text),
    _column("at", BigInteger),
    _column("version", BigInteger),
    _column("status", Text),
    _column("severity", Text),
    _column("what", Text),
    _column("posted_at", BigInteger),
    comment="What channels took of incidents, and what was given up, append-only",
)
Index("ix_sending_incident", sending.c.incident)

reach = Table(
    "reach",
    metadata,
    _column("pipeline", Text, key=True),
    _column("hop", Text, key=True),
    _column("chunk", BigInteger, key=True),
    _column("born", Text),
    _column("through", Text),
    comment="How far the sources of a chunk are complete: JSON arrays of µs, for the view complete_through",
)
