"""What SQLite keeps of a gallery's tables, indexes and triggers: whichever facesearch made it, it is not called
damaged, and what is damaged is noticed, wherever it stands. tests/faults/test_database.py damages whole galleries."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.tables.definitions import Definition, faults_of_definitions
from facesearch.gallery.tables.schema import migrations

_MADE = Path(__file__).parents[1] / "data" / "gallery-0.1.0"


def _faults(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return list(faults_of_definitions(conn))


@pytest.mark.parametrize("count", range(1, len(migrations.names) + 1))
def test_a_gallery_of_any_facesearch_is_as_it_was_made(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is brought up to date, after that, and when SQLite has written it anew."""
    path = tmp_path / "faces.db"
    with closing(sqlite3.connect(path)) as conn, monkeypatch.context() as before:
        before.setattr(migrations, "_steps", migrations._steps[:count])
        migrations.apply(conn)
    assert _faults(path) == []
    with Database.create(path):
        pass
    assert _faults(path) == []
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("VACUUM")
    assert _faults(path) == []


def test_what_others_add_is_no_fault_but_what_acts_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "faces.db"
    with Database.create(path):
        pass
    with closing(sqlite3.connect(path)) as conn:
        for statement in (
            "ANALYZE",
            "CREATE TABLE notes (face_id INTEGER)",
            "CREATE INDEX faces_by_score ON faces (score)",
            "CREATE VIEW named AS SELECT * FROM faces WHERE person_id NOTNULL",
        ):
            conn.execute(statement)
        assert list(faults_of_definitions(conn)) == []
        conn.execute("CREATE TRIGGER sly AFTER INSERT ON faces BEGIN DELETE FROM people; END")
        assert list(faults_of_definitions(conn)) == ["the trigger sly is not one of a gallery"]


def test_the_oldest_form_of_the_list_of_migrations_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "faces.db"
    with Database.create(path):
        pass
    with closing(sqlite3.connect(path)) as conn, conn:
        for statement in (
            "CREATE TABLE old (migration_set TEXT, name TEXT, applied_at TEXT, PRIMARY KEY (migration_set, name))",
            "INSERT INTO old SELECT migration_set, name, applied_at FROM _sqlite_migrations",
            "DROP TABLE _sqlite_migrations",
            "ALTER TABLE old RENAME TO _sqlite_migrations",
        ):
            conn.execute(statement)
    assert _faults(path) == []
    with Database.create(path):
        pass
    assert _faults(path) == []


def test_a_migration_that_is_missing_in_the_list_is_a_fault(tmp_path: Path) -> None:
    """SQLite would do it a second time."""
    path = tmp_path / "faces.db"
    for name in ("counts", "questions_by_their_first_face"):  # one of many, and the newest
        path.unlink(missing_ok=True)
        with Database.create(path):
            pass
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (name,))
        assert _faults(path) == ["its list of migrations does not fit its tables"]


def test_no_bit_of_a_statement_has_two_values_but_in_spaces_and_comments(tmp_path: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        migrations.apply(conn)
        rows = conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql NOTNULL").fetchall()
    for kind, name, table, statement in rows:
        meaning = Definition(kind, name, table, statement).meaning
        in_comments = {at for found in re.finditer("--[^\n]*", statement) for at in range(*found.span())}
        for at, letter in enumerate(statement):
            for bit in range(8):
                other = statement[:at] + chr(ord(letter) ^ 1 << bit) + statement[at + 1 :]
                if Definition(kind, name, table, other).meaning == meaning:
                    assert letter.isspace() or at in in_comments, (statement, at, bit)


@pytest.mark.parametrize(
    ("old", "new"), [("REFERENCES people", "REFERENCES pfople"), ("embedding BLOB", "embfdding BLOB")]
)
def test_a_gallery_of_before_is_mended_as_it_is(home: Path, old: str, new: str) -> None:
    """Its pages are elsewhere than those of a gallery that is made today."""
    gallery = Gallery.open("old", "cpu")
    gallery.directory.mkdir(parents=True, mode=0o700)
    for file in _MADE.iterdir():
        shutil.copy(file, gallery.directory)
    with closing(sqlite3.connect(gallery.database)) as conn:
        conn.execute("VACUUM")
        with conn:
            conn.execute("PRAGMA writable_schema = ON")
            conn.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'faces'", (old, new))
    assert gallery.check().faults[0] == "the definition of the table faces is not as it was made"
    assert gallery.repair().faces == 5
    assert gallery.check().faults == ()
    assert {person.name for person in gallery.people() if person.name} == {"collins"}
