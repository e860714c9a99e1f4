"""Opening a journal: fresh, again, from the future, broken, and taken."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import history.journal
from history.journal import REVISION, JournalError, JournalInUse, JournalTooNew, open_journal
from history.reader import Reader
from history.schema import metadata


def pragma(journal, name):
    with journal.engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_the_revisions_make_exactly_the_tables_of_the_schema(journal):
    with journal.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_revision_is_the_one_that_opens_without_alembic():
    config = Config()
    folder = Path(history.journal.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_a_journal_is_written_ahead_and_waits_for_the_disk(tmp_path):
    journal = open_journal(tmp_path / "j.db")
    assert pragma(journal, "journal_mode") == "wal"
    assert pragma(journal, "synchronous") == 2
    journal.close()


def test_a_journal_in_virtual_time_does_not_wait_for_the_disk(journal):
    assert pragma(journal, "synchronous") == 0


def test_a_path_may_hold_any_letter(tmp_path):
    folder = tmp_path / "100% 站?#"
    folder.mkdir()
    open_journal(folder / "j.db").close()
    reader = Reader(folder / "j.db")
    assert reader.history_rows()["alarm_event"] == 0
    reader.close()


def test_a_journal_from_a_newer_heatd_is_refused_with_what_to_do(empty_journal, tmp_path):
    path = tmp_path / "future.db"
    shutil.copy(empty_journal, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.close()
    with pytest.raises(JournalTooNew, match=r"newer heatd \(tables 0999, this one knows") as error:
        open_journal(path)
    assert "restore the backup" in str(error.value)
    with pytest.raises(JournalTooNew, match="0999"):
        Reader(path)


def test_the_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")
    connection.close()
    with pytest.raises(JournalError, match="database of another program"):
        open_journal(path)
    with pytest.raises(JournalError, match="database of another program"):
        Reader(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "j.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 50)
    with pytest.raises(JournalError, match=r"file is not a database\. Check the disk"):
        open_journal(path)
    with pytest.raises(JournalError, match="file is not a database"):
        Reader(path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(JournalError, match=r"nowhere/j\.db\.lock: No such file"):
        open_journal(tmp_path / "nowhere" / "j.db")


def test_a_missing_journal_cannot_be_read(tmp_path):
    with pytest.raises(JournalError, match="Has the daemon run"):
        Reader(tmp_path / "j.db")


def test_a_journal_without_tables_cannot_be_read(tmp_path):
    path = tmp_path / "j.db"
    path.touch()
    with pytest.raises(JournalError, match="no tables yet"):
        Reader(path)


def test_two_writers_never_share_a_journal(journal):
    with pytest.raises(JournalInUse, match="another heatd writes this journal"):
        open_journal(journal.path)
    journal.close()
    journal.close()
    open_journal(journal.path).close()


def test_a_refused_journal_is_free_for_the_next_try(tmp_path):
    path = tmp_path / "j.db"
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(JournalError):
        open_journal(path)
    path.unlink()
    open_journal(path).close()
