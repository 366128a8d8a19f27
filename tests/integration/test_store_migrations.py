"""The ledger's tables: up, down, up, and no drift between the revisions and what the program expects."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from reconciler.errors import ConfigError, OutOfReach
from reconciler.store import current_revision, downgrade, migrate, open_store
from reconciler.store.database import Database
from reconciler.store.schema import HEAD, migrations
from reconciler.store.tables import metadata
from tests.integration.store_parts import BATCH, pipelines, raw, some_of_everything


def tables(url: str) -> set[str]:
    database = Database(url)
    with database.reading() as connection:
        found = set(inspect(connection).get_table_names())
    database.engine.dispose()
    return found - {"alembic_version", "queue_sample_other"}


def _of_the_program(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or name != "queue_sample_other"  # a part of queue_sample, on PostgreSQL


def test_up_down_up_leaves_the_tables_of_the_program(database_url: str) -> None:
    assert current_revision(database_url) is None
    migrate(database_url)
    assert current_revision(database_url) == HEAD
    assert tables(database_url) == set(metadata.tables)
    downgrade(database_url, "base")
    assert tables(database_url) == set()
    migrate(database_url)
    assert tables(database_url) == set(metadata.tables)


def test_the_revisions_make_what_the_program_expects(database_url: str) -> None:
    migrate(database_url)
    database = Database(database_url)
    with database.reading() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": _of_the_program}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.engine.dispose()


def test_the_program_expects_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations()))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrating_twice_keeps_what_is_stored(database_url: str) -> None:
    migrate(database_url)
    store = open_store(database_url)
    store.record(some_of_everything(), pipelines())
    before = raw(store)
    migrate(database_url)
    assert raw(store) == before
    store.close()


def test_two_processes_that_migrate_at_once_take_turns(database_url: str) -> None:
    program = "import sys; from reconciler.store import migrate; migrate(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", program, database_url]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert current_revision(database_url) == HEAD


def test_an_embedded_ledger_is_made_when_it_is_opened(sqlite_database: str) -> None:
    store = open_store(sqlite_database)
    store.record(some_of_everything(), pipelines())
    assert store.directory(BATCH).sources == ["segment", "partner/a"]
    store.close()


@pytest.mark.postgres
def test_a_server_without_tables_is_refused_with_the_remedy(postgres_database: str) -> None:
    with pytest.raises(OutOfReach, match="has no tables yet; run `reconciler migrate`"):
        open_store(postgres_database)


def test_a_ledger_of_another_revision_is_refused(database_url: str) -> None:
    migrate(database_url)
    database = Database(database_url)
    for revision, remedy in (("0000", "reconciler migrate"), ("9999", "later than this program's")):
        with database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        with pytest.raises(OutOfReach, match=remedy):
            open_store(database_url)
    database.engine.dispose()


def test_an_unknown_target_is_refused(database_url: str) -> None:
    with pytest.raises(ConfigError, match="cannot upgrade the ledger to 7777"):
        migrate(database_url, "7777")


@pytest.mark.parametrize("url", ["mysql://root:hunter2@host/name", "hunter2", "sqlite://", "://hunter2@x", ""])
def test_a_url_that_is_no_ledger_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)


def test_a_server_that_is_not_there_is_out_of_reach_and_its_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(OutOfReach, match="cannot be reached") as refused:
        open_store(f"postgresql://somebody:hunter2@/name?host={tmp_path}")
    assert "hunter2" not in str(refused.value)


def test_a_folder_that_does_not_exist_is_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(OutOfReach, match="check that its folder exists"):
        open_store(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}")


def test_a_file_that_is_no_database_is_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database" * 100)
    with pytest.raises(OutOfReach, match="is damaged, or no ledger at all .file is not a database"):
        open_store(f"sqlite:///{tmp_path / 'ledger.db'}")
