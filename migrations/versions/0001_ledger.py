"""The ledger."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "capacity",
        *_columns(sa.Text(), "resource pipelines"),
        *_columns(sa.BigInteger(), "at used limit"),
        sa.Column("resource_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("resource_hash", "at", name="pk_capacity"),
    )
    op.create_table(
        "connector_cursor",
        *_columns(sa.Text(), "name payload"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_connector_cursor"),
    )
    op.create_table(
        "incident",
        *_columns(sa.Text(), "id pipeline kind status"),
        *_columns(sa.BigInteger(), "opened_at updated_at"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    op.create_index("ix_incident_updated_at", "incident", ["pipeline", "updated_at"])
    op.create_table(
        "incident_change",
        *_columns(sa.Text(), "id pipeline line"),
        *_columns(sa.BigInteger(), "at"),
        sa.PrimaryKeyConstraint("id", "at", name="pk_incident_change"),
    )
    op.create_table(
        "judged",
        *_columns(sa.Text(), "pipeline hop"),
        *_columns(sa.BigInteger(), "at position"),
        sa.PrimaryKeyConstraint("pipeline", "hop", name="pk_judged"),
        comment="Up to which tick and which position of the ledger each hop is judged",
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
        comment="One row: who writes locks it. position counts the transactions that changed something",
    )
    op.create_table(
        "pipeline",
        sa.Column("name", sa.Text(), nullable=False),
        *_columns(sa.BigInteger(), "width revision"),
        sa.PrimaryKeyConstraint("name", name="pk_pipeline"),
        comment="Pipelines that have counts; width of a bucket; revision counts the changes of sources that were known",
    )
    op.create_table(
        "progress",
        *_columns(sa.Text(), "pipeline stage reporter"),
        *_columns(sa.BigInteger(), "at through"),
        sa.Column("reporter_hash", sa.LargeBinary(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "stage", "reporter_hash", "at", name="pk_progress"),
    )
    op.create_table(
        "queue_sample",
        *_columns(sa.Text(), "pipeline queue"),
        *_columns(sa.BigInteger(), "partition at"),
        sa.Column("queue_hash", sa.LargeBinary(), nullable=False),
        *_columns(sa.BigInteger(), "start_offset end_offset committed_offset depth oldest_at", null=True),
        *_columns(sa.BigInteger(), "committed_at retention retention_bytes replicas in_sync_replicas", null=True),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("pipeline", "queue_hash", "partition", "at", name="pk_queue_sample"),
        postgresql_partition_by="RANGE (pipeline, at)",
        comment="PostgreSQL keeps them by the day: days.py",
    )
    op.create_index("ix_queue_sample_at", "queue_sample", ["pipeline", "at"])
    _keep_days()
    op.create_table(
        "reading",
        *_columns(sa.Text(), "pipeline stage"),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        *_columns(sa.BigInteger(), "min_bucket max_bucket min_at max_at"),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "stage", "position", name="pk_reading"),
        comment="The history of counts, append-only: one block of readings a stage and transaction",
    )
    op.create_index("ix_reading_max_at", "reading", ["pipeline", "stage", "max_at"])
    op.create_index("ix_reading_max_bucket", "reading", ["pipeline", "stage", "max_bucket"])
    op.create_table(
        "reporter",
        *_columns(sa.Text(), "pipeline stage name advances"),
        *_columns(sa.BigInteger(), "heard_at through"),
        sa.Column("reporter_hash", sa.LargeBinary(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "stage", "reporter_hash", name="pk_reporter"),
        comment="What the rows of progress come to, per reporter",
    )
    op.create_table(
        "said",
        *_columns(sa.Text(), "pipeline hop"),
        *_columns(sa.BigInteger(), "position at"),
        sa.Column("n", sa.Integer(), nullable=False),
        *_columns(sa.BigInteger(), "min_bucket max_bucket"),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "hop", "position", name="pk_said"),
        comment="What was said of cells when, append-only",
    )
    op.create_index("ix_said_max_bucket", "said", ["pipeline", "hop", "max_bucket"])
    op.create_table(
        "series",
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("source", sa.BigInteger(), nullable=False),
        *_columns(sa.Text(), "outcome reporter"),
        sa.Column("replay", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "number", name="pk_series"),
        sa.UniqueConstraint("pipeline", "key_hash", name="uq_series_pipeline_key_hash"),
    )
    op.create_table(
        "source",
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_hash", sa.LargeBinary(), nullable=False),
        *_columns(sa.BigInteger(), "first_bucket retired_at"),
        sa.PrimaryKeyConstraint("pipeline", "ordinal", name="pk_source"),
        sa.UniqueConstraint("pipeline", "name_hash", name="uq_source_pipeline_name_hash"),
    )
    op.create_table(
        "state",
        *_columns(sa.Text(), "pipeline name"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("json", sa.Boolean(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "name", name="pk_state"),
    )
    op.create_table(
        "tile",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_columns(sa.Text(), "pipeline kind part"),
        *_columns(sa.BigInteger(), "span chunk touched latest_at"),
        *_columns(sa.Integer(), "active borders"),
        *_columns(sa.LargeBinary(), "outline payload"),
        sa.PrimaryKeyConstraint("id", name="pk_tile"),
        sa.UniqueConstraint("pipeline", "kind", "part", "span", "chunk", name="uq_tile_pipeline_kind_part_span_chunk"),
        comment="Current values. touched: position of the last change; latest_at: of its readings or judgement; "
        "active: open cells; borders: where a neighbour must be judged with it; outline: of verdicts, "
        "what they come to",
    )
    op.create_index(
        "ix_tile_active",
        "tile",
        ["pipeline", "part"],
        sqlite_where=sa.text("active > 0"),
        postgresql_where=sa.text("active > 0"),
    )
    op.create_index("ix_tile_latest_at", "tile", ["pipeline", "latest_at"])
    op.create_index("ix_tile_touched", "tile", ["pipeline", "touched"])
    op.create_table(
        "token",
        *_columns(sa.Text(), "id name pipelines"),
        *_columns(sa.BigInteger(), "created_at"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        *_columns(sa.Boolean(), "reads writes operates"),
        *_columns(sa.BigInteger(), "used_at revoked_at", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        comment="Who may use the HTTP face. hash: SHA-256 of the secret; pipelines: JSON, [] for all",
    )
    op.create_table(
        "model",
        *_columns(sa.Text(), "pipeline name"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "name", name="pk_model"),
        comment="What was learned off the hot path; version: of its form. A form that is not known is learned anew",
    )
    op.execute("INSERT INTO ledger (id, position) VALUES (1, 0)")
    if op.get_bind().dialect.name == "postgresql":
        for table in ("tile", "reading", "said"):
            # The payloads are compressed already.
            op.execute(f"ALTER TABLE {table} ALTER COLUMN payload SET STORAGE EXTERNAL")
    op.create_table(
        "lease",
        *_columns(sa.Text(), "name holder"),
        *_columns(sa.BigInteger(), "epoch since expires_at"),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
        comment="Who does the work. epoch grows when another takes over; times are of the database's clock",
    )
    op.create_table(
        "run",
        *_columns(sa.Text(), "duty subject"),
        *_columns(sa.BigInteger(), "at took"),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("succeeded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("duty", "subject", name="pk_run"),
        comment="How the last run of each duty of the service went; subject: a connector or a pipeline, or empty",
    )
    op.create_table(
        "retirement",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_columns(sa.Text(), "pipeline kind stage name"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("effective", sa.BigInteger(), nullable=True),
        *_columns(sa.Text(), "author reason"),
        sa.PrimaryKeyConstraint("id", name="pk_retirement"),
        comment="Who said of a source or a reporter that it has ended, and why; effective: null where it came back",
    )
    op.create_index("ix_retirement_pipeline", "retirement", ["pipeline", "kind"])
    op.create_table(
        "horizon",
        *_columns(sa.Text(), "pipeline"),
        *_columns(sa.BigInteger(), "detail verdicts"),
        sa.PrimaryKeyConstraint("pipeline", name="pk_horizon"),
        comment="Start of the first bucket whose counts and history are kept, and of the first whose verdict is",
    )
    op.create_table(
        "outbox",
        *_columns(sa.Text(), "incident channel pipeline severity status notice"),
        *_columns(sa.BigInteger(), "wanted sent sent_at"),
        *_columns(sa.Text(), "told reference"),
        *_columns(sa.BigInteger(), "attempts failing_since next_try_at claimed_until doubt_since"),
        *_columns(sa.Text(), "digested state error"),
        *_columns(sa.BigInteger(), "updated_at"),
        sa.PrimaryKeyConstraint("incident", "channel", name="pk_outbox"),
        comment="What each channel is to be told of each incident: the newest notice, and the version it took",
    )
    op.create_index("ix_outbox_channel", "outbox", ["channel", "status"])
    _create_sendings()
    _create_sessions()
    _make_replays()


def _create_sendings() -> None:
    op.create_table(
        "sending",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_columns(sa.Text(), "incident channel pipeline"),
        *_columns(sa.BigInteger(), "at version"),
        *_columns(sa.Text(), "status severity what"),
        *_columns(sa.BigInteger(), "posted_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sending"),
        comment="What channels took of incidents, and what was given up, append-only",
    )
    op.create_index("ix_sending_incident", "sending", ["incident"])


def _make_acts() -> None:
    """What people say of incidents."""
    op.create_table(
        "act",
        *_columns(sa.Text(), "author kind reason pipeline incident incident_kind sources"),
        *_columns(sa.BigInteger(), "at since ends"),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_act"),
        comment="What people said of incidents: mutes, planned work, who has one, that it is over. Append-only",
    )
    op.create_index("ix_act_incident", "act", ["incident"])


def _make_replays() -> None:
    """How far all is complete, and who sends what again."""
    _make_acts()
    op.create_table(
        "reach",
        *_columns(sa.Text(), "pipeline hop"),
        *_columns(sa.BigInteger(), "chunk"),
        *_columns(sa.Text(), "born through"),
        sa.PrimaryKeyConstraint("pipeline", "hop", "chunk", name="pk_reach"),
        comment="How far the sources of a chunk are complete: JSON arrays of µs, for the view complete_through",
    )
    op.create_table(
        "replay",
        *_columns(sa.Text(), "id pipeline status"),
        *_columns(sa.BigInteger(), "created_at counted_at"),
        sa.Column("due", sa.BigInteger(), nullable=True),
        *_columns(sa.Text(), "missing state"),
        sa.PrimaryKeyConstraint("id", name="pk_replay"),
        comment="Who sends what again. missing: JSON, by part, as counted while its deadline is near",
    )
    op.create_table(
        "replay_act",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_columns(sa.BigInteger(), "at"),
        *_columns(sa.Text(), "replay act author reason payload"),
        sa.PrimaryKeyConstraint("id", name="pk_replay_act"),
        comment="What people did with replays, append-only",
    )
    op.create_index("ix_replay_act_replay", "replay_act", ["replay"])
    _make_reports()
    for view in _views(op.get_bind().dialect.name):
        op.execute(view)


def _keep_days() -> None:
    """The days of looks at queues, where the database can keep them so."""
    if (bind := op.get_bind()).dialect.name == "postgresql":
        schema = bind.scalar(sa.text("SELECT quote_ident(current_schema())"))
        op.execute((Path(__file__).parent.parent / "days.sql").read_text().replace("<schema>", schema))


def _create_sessions() -> None:
    op.create_table(
        "session",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        *_columns(sa.BigInteger(), "created_at expires_at"),
        sa.PrimaryKeyConstraint("hash", name="pk_session"),
        comment="Browsers that somebody has let in with a token. hash: SHA-256 of the secret in the browser's cookie",
    )


NEVER = 2**62
CHUNK = 256


def _make_reports() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *_columns(sa.Text(), "day zone"),
        *_columns(sa.BigInteger(), "made_at"),
        sa.Column("as_of", sa.BigInteger(), nullable=True),
        *_columns(sa.Text(), "version settings sent_to"),
        *_columns(sa.LargeBinary(), "record html"),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        comment="Daily reports as they were sent, packed by zlib; version and settings: of the engine that made them",
    )
    op.create_index("ix_report_day", "report", ["day", "zone"])


def _views(dialect: str) -> tuple[str, str]:
    """`complete_through` and `pipeline_complete_through`, for those who read by SQL: names and columns stay."""
    if dialect == "postgresql":
        taken_apart = (
            "SELECT r.pipeline, r.chunk, CAST(e.at AS BIGINT) AS at, e.place - 1 AS place"
            " FROM reach r, jsonb_array_elements_text(CAST(r.through AS JSONB)) WITH ORDINALITY AS e(at, place)"
        )
        instant = "TIMESTAMPTZ 'epoch' + {0} * INTERVAL '1 microsecond'"
    else:
        taken_apart = (
            "SELECT r.pipeline, r.chunk, e.value AS at, e.key AS place FROM reach r, json_each(r.through) AS e"
        )
        instant = "strftime('%Y-%m-%dT%H:%M:%SZ', {0} / 1000000, 'unixepoch')"
    sources = f"""CREATE VIEW complete_through AS
        SELECT pipeline, source, CASE WHEN at < {NEVER} THEN {instant.format("at")} END AS complete_through,
            at > retired_at - width AS ended
        FROM (
            SELECT s.pipeline, s.name AS source, s.retired_at, p.width, COALESCE(MIN(e.at), s.first_bucket) AS at
            FROM source s JOIN pipeline p ON p.name = s.pipeline LEFT JOIN ({taken_apart}) AS e
            ON e.pipeline = s.pipeline AND e.chunk = s.ordinal / {CHUNK} AND e.place = s.ordinal % {CHUNK}
            GROUP BY s.pipeline, s.name, s.retired_at, p.width, s.first_bucket
        ) AS reached"""  # noqa: S608  all that is put in are constants
    whole = f"""CREATE VIEW pipeline_complete_through AS
        SELECT p.name AS pipeline, (
            SELECT MIN(c.complete_through) FROM complete_through c WHERE c.pipeline = p.name AND NOT c.ended
        ) AS complete_through, (
            SELECT {instant.format("MIN(j.at)")} FROM judged j WHERE j.pipeline = p.name
        ) AS judged_at
        FROM pipeline p"""  # noqa: S608  all that is put in are constants
    return sources, whole


def _columns(kind: sa.types.TypeEngine[Any], names: str, *, null: bool = False) -> list[sa.Column[Any]]:
    """Columns of one kind; none of them is empty unless `null`."""
    return [sa.Column(name, kind, nullable=null) for name in names.split()]


def downgrade() -> None:
    for view in ("pipeline_complete_through", "complete_through"):
        op.execute(f"DROP VIEW {view}")
    for name in _TABLES.split():
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION queue_sample_make, queue_sample_drop, queue_sample_day")


_TABLES = """report sending outbox session act replay_act replay reach model horizon retirement run lease token tile
state source series said reporter reading queue_sample progress pipeline ledger judged incident_change incident
connector_cursor capacity"""
