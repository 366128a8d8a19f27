"""Runs revisions over the connection that the program hands in; it has begun the transaction and ends it."""

from alembic import context

from reconciler.store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `reconciler migrate`; it knows the ledger's address and takes the lock")
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=True)
context.run_migrations()
