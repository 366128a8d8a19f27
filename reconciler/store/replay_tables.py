"""More tables of the ledger: how far sources are complete, and who sends what again; see `tables`."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from reconciler.store.tables import Id, column, metadata

reach = Table(
    "reach",
    metadata,
    column("pipeline", Text, key=True),
    column("hop", Text, key=True),
    column("chunk", BigInteger, key=True),
    column("born", Text),
    column("through", Text),
    comment="How far the sources of a chunk are complete: JSON arrays of µs, for the view complete_through",
)

replay = Table(
    "replay",
    metadata,
    column("id", Text, key=True),
    column("pipeline", Text),
    column("status", Text),
    column("created_at", BigInteger),
    column("due", BigInteger, null=True),
    column("missing", Text),
    column("counted_at", BigInteger),
    column("state", Text),
    comment="Who sends what again. missing: JSON, by part, as counted while its deadline is near",
)

replay_act = Table(
    "replay_act",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    column("replay", Text),
    column("at", BigInteger),
    column("act", Text),
    column("author", Text),
    column("reason", Text),
    column("payload", Text),
    comment="What people did with replays, append-only",
)
Index("ix_replay_act_replay", replay_act.c.replay)
