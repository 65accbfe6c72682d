"""The tables of a gallery's database, as migrations: what was applied is never edited."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from facesearch.gallery.tables.migrations import Migrations
from facesearch.gallery.tables.sqlite import FACE_TABLES, add_checksum, columns, triggers
from facesearch.people import names

if TYPE_CHECKING:
    import sqlite_utils

migrations = Migrations("facesearch")


@migrations()
def photos_faces_people(db: sqlite_utils.Database) -> None:
    """The first schema."""
    statuses = "'ok', 'no_face', 'unreadable', 'unsupported', 'too_large', 'crashed', 'missing'"
    for statement in (
        # path is a BLOB where its bytes are not UTF-8; digest is NULL where the file could not be opened.
        f"""CREATE TABLE photos (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
            digest BLOB, status TEXT NOT NULL CHECK (status IN ({statuses})), reason TEXT,
            width INTEGER, height INTEGER)""",
        "CREATE INDEX photos_by_digest ON photos (digest)",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        # AUTOINCREMENT: the id of a deleted face is never given to another one, so an old index cannot lie.
        """CREATE TABLE faces (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
            person_id INTEGER REFERENCES people (id),
            box_left REAL NOT NULL, box_top REAL NOT NULL, box_right REAL NOT NULL, box_bottom REAL NOT NULL,
            score REAL NOT NULL, landmarks BLOB NOT NULL, embedding BLOB NOT NULL)""",
        "CREATE INDEX faces_by_photo ON faces (photo_id)",
        "CREATE INDEX faces_by_person ON faces (person_id)",
        "CREATE TABLE roots (path TEXT PRIMARY KEY)",
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
            photos INTEGER, faces INTEGER)""",
        """CREATE TABLE settings (
            only INTEGER PRIMARY KEY CHECK (only = 1), model TEXT NOT NULL, detector TEXT NOT NULL,
            dim INTEGER NOT NULL, min_face_px REAL NOT NULL)""",
        """CREATE TABLE index_stamp (
            only INTEGER PRIMARY KEY CHECK (only = 1), recipe TEXT NOT NULL, model TEXT NOT NULL,
            count INTEGER NOT NULL, newest_id INTEGER NOT NULL, size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, recall REAL)""",
    ):
        db.execute(statement)


@migrations()
def learned_threshold(db: sqlite_utils.Database) -> None:
    """What `calibrate` learned; empty before."""
    db.execute(
        """CREATE TABLE calibration (
            only INTEGER PRIMARY KEY CHECK (only = 1), similarity REAL NOT NULL, far REAL NOT NULL,
            strangers INTEGER NOT NULL, learned_at TEXT NOT NULL)"""
    )


@migrations()
def longest_side(db: sqlite_utils.Database) -> None:
    """In which size photos are looked at; before, always in their own."""
    db.execute("ALTER TABLE settings ADD COLUMN max_side INTEGER NOT NULL DEFAULT 0")


@migrations()
def any_status_and_face_count(db: sqlite_utils.Database) -> None:
    """A photo's status may be one that came later: which there are is for `records.Status` alone to say. And a photo
    knows how many faces it has, so that one that is lost is missed. SQLite cannot drop a condition, so the table is
    made again (with foreign keys off, or its faces would go with the old one)."""
    for statement in (
        """CREATE TABLE photos_anew (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
            digest BLOB, status TEXT NOT NULL, reason TEXT, width INTEGER, height INTEGER,
            face_count INTEGER NOT NULL)""",
        "INSERT INTO photos_anew SELECT id, path, size, mtime_ns, digest, status, reason, width, height, "
        "(SELECT count(*) FROM faces WHERE photo_id = photos.id) FROM photos",
        "DROP TABLE photos",
        "ALTER TABLE photos_anew RENAME TO photos",
        "CREATE INDEX photos_by_digest ON photos (digest)",
    ):
        db.execute(statement)


@migrations()
def checksums(db: sqlite_utils.Database) -> None:
    """Each face with what tells whether it is still as it was stored."""
    add_checksum(db.conn)
    db.execute("ALTER TABLE faces ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE faces SET checksum = "
        "face_checksum(box_left, box_top, box_right, box_bottom, score, landmarks, embedding)"
    )


@migrations()
def causes_of_failures(db: sqlite_utils.Database) -> None:
    """Why a photo could not be read: where the cause lies, what would help, and when the file changed last. Of the
    failures of before no cause is known, so they are tried once more; ctime_ns is 0 where it is not known."""
    for column in ("cause TEXT", "needs TEXT", "ctime_ns INTEGER NOT NULL DEFAULT 0"):
        db.execute(f"ALTER TABLE photos ADD COLUMN {column}")


@migrations()
def identity_of_the_models(db: sqlite_utils.Database) -> None:
    """Which networks made the embeddings; in a gallery of before the next run notes it."""
    db.execute("ALTER TABLE settings ADD COLUMN identity TEXT NOT NULL DEFAULT ''")


@migrations()
def unfinished_forgetting(db: sqlite_utils.Database) -> None:
    """Since when bytes of deleted faces may still lie in the files; empty when none do."""
    db.execute("CREATE TABLE unfinished (only INTEGER PRIMARY KEY CHECK (only = 1), since TEXT NOT NULL)")


@migrations()
def one_spelling_a_name(db: sqlite_utils.Database) -> None:
    """People whose names differ in Unicode's form alone become one."""
    merge_spellings(db.conn)


@migrations()
def own_thresholds(db: sqlite_utils.Database) -> None:
    """The cohort of distinct people, and of each face how much higher its own threshold lies than the model's. Both
    are computed from embeddings, and may be deleted. A threshold learned before is one of similarities."""
    for statement in (
        "CREATE TABLE cohort (face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE)",
        """CREATE TABLE cohort_stamp (
            only INTEGER PRIMARY KEY CHECK (only = 1), size INTEGER NOT NULL, named INTEGER NOT NULL,
            faces INTEGER NOT NULL, least_shift REAL NOT NULL)""",
        """CREATE TABLE own_thresholds (
            face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE, shift REAL NOT NULL)""",
        "ALTER TABLE calibration ADD COLUMN judged INTEGER NOT NULL DEFAULT 0",
    ):
        db.execute(statement)


@migrations()
def change_of_model(db: sqlite_utils.Database) -> None:
    """Faces without an embedding of the gallery's model, because their photo could not be read when it was changed;
    and, while it is being changed, to which one, and the embeddings that are there already."""
    for statement in (
        # The checksum is that of a face whose embedding is empty; a photo's face_count counts these faces too.
        """CREATE TABLE set_aside (
            id INTEGER PRIMARY KEY, photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
            person_id INTEGER REFERENCES people (id),
            box_left REAL NOT NULL, box_top REAL NOT NULL, box_right REAL NOT NULL, box_bottom REAL NOT NULL,
            score REAL NOT NULL, landmarks BLOB NOT NULL, checksum INTEGER NOT NULL, reason TEXT NOT NULL)""",
        "CREATE INDEX set_aside_by_photo ON set_aside (photo_id)",
        "CREATE INDEX set_aside_by_person ON set_aside (person_id)",
        """CREATE TABLE migration (
            only INTEGER PRIMARY KEY CHECK (only = 1), model TEXT NOT NULL, identity TEXT NOT NULL)""",
        # A face that is deleted, for whatever reason, takes its new embedding with it.
        """CREATE TABLE migrated (
            face_id INTEGER PRIMARY KEY REFERENCES faces (id) ON DELETE CASCADE, embedding BLOB NOT NULL)""",
    ):
        db.execute(statement)


@migrations()
def quality_of_faces(db: sqlite_utils.Database) -> None:
    """How good a face is to recognise somebody by; of faces of before it is not known."""
    for table in ("faces", "set_aside"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN quality REAL")


@migrations()
def dates_of_photos(db: sqlite_utils.Database) -> None:
    """When photos were taken; empty where the file does not say, NULL where nobody has looked: photos of before are
    looked at when a date is asked for, or by the next run."""
    db.execute("ALTER TABLE photos ADD COLUMN taken TEXT")


@migrations()
def exclusions_and_rates(db: sqlite_utils.Database) -> None:
    """What is left out of the folders, patterns as a list in JSON; and of each run how many photos it worked on, and
    for how many seconds without the time that its networks took to load, for estimates."""
    for statement in (
        """CREATE TABLE exclusions (
            only INTEGER PRIMARY KEY CHECK (only = 1), patterns TEXT NOT NULL, defaults INTEGER NOT NULL)""",
        "ALTER TABLE runs ADD COLUMN worked_on INTEGER",
        "ALTER TABLE runs ADD COLUMN seconds REAL",
    ):
        db.execute(statement)


@migrations()
def other_files(db: sqlite_utils.Database) -> None:
    """How many files under each root are no photos, by kind."""
    db.execute(
        """CREATE TABLE other_files (
            root TEXT NOT NULL REFERENCES roots (path) ON DELETE CASCADE, kind TEXT NOT NULL,
            files INTEGER NOT NULL, PRIMARY KEY (root, kind))"""
    )


@migrations()
def engines_of_runs(db: sqlite_utils.Database) -> None:
    """What embedded in a run, and in which numbers it computed; of runs of before it is not known."""
    for column in ("engine", "precision"):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column} TEXT")


_PEOPLE_AND_DECISIONS = (
    """CREATE TABLE people_anew (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT,
        kind TEXT NOT NULL DEFAULT 'person',  -- or 'stranger': kept and matched, and never asked about
        hidden INTEGER NOT NULL DEFAULT 0, cover_face INTEGER,
        made_by TEXT NOT NULL DEFAULT 'user',  -- or 'folder', 'xmp', 'auto'
        joined_into INTEGER)""",  # an old id still answers
    "INSERT INTO people_anew (id, name, made_by) SELECT id, name, 'folder' FROM people",
    "DROP TABLE people",
    "ALTER TABLE people_anew RENAME TO people",
    "CREATE INDEX people_by_name ON people (name)",
    # "This face is not this person's."
    """CREATE TABLE apart (
        face_id INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, PRIMARY KEY (face_id, person_id))""",
    "CREATE INDEX apart_by_person ON apart (person_id)",
    # "These two people are not the same." Each has a face that the user said is theirs, so that it stays.
    """CREATE TABLE strangers (
        a INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        b INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, PRIMARY KEY (a, b), CHECK (a < b))""",
    "CREATE INDEX strangers_by_b ON strangers (b)",
    # Collages and mirrors: one person may be there twice.
    "CREATE TABLE repeats (photo_id INTEGER PRIMARY KEY REFERENCES photos (id) ON DELETE CASCADE)",
    # Somebody in a photo of whom there is no face that can be used.
    """CREATE TABLE marks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
        box_left REAL NOT NULL, box_top REAL NOT NULL, box_right REAL NOT NULL, box_bottom REAL NOT NULL,
        person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE)""",
    "CREATE INDEX marks_by_photo ON marks (photo_id)",
    "CREATE INDEX marks_by_person ON marks (person_id)",
    """CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, verb TEXT NOT NULL, words TEXT NOT NULL,
        undone_at TEXT, made_by TEXT NOT NULL DEFAULT 'user')""",
    """CREATE TABLE changed (
        id INTEGER PRIMARY KEY, change_id INTEGER NOT NULL REFERENCES changes (id) ON DELETE CASCADE,
        table_name TEXT NOT NULL, row_id INTEGER NOT NULL, before BLOB, after BLOB)""",
    "CREATE INDEX changed_by_change ON changed (change_id)",
    "CREATE INDEX changed_by_row ON changed (table_name, row_id)",
    # Questions that wait, each about two faces that stand for their people; computed, and may be deleted.
    """CREATE TABLE suggestions (
        kind TEXT NOT NULL, face_a INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE,
        face_b INTEGER NOT NULL REFERENCES faces (id) ON DELETE CASCADE, margin REAL NOT NULL,
        PRIMARY KEY (kind, face_a, face_b))""",
    "CREATE INDEX suggestions_by_b ON suggestions (face_b)",
    # What the faces were grouped with the last time, and how many there were.
    """CREATE TABLE grouping (
        only INTEGER PRIMARY KEY CHECK (only = 1), mode TEXT NOT NULL, algorithm TEXT NOT NULL,
        faces INTEGER NOT NULL, newest_id INTEGER NOT NULL, at TEXT NOT NULL)""",
)


@migrations()
def people_and_decisions(db: sqlite_utils.Database) -> None:
    """People without a name are groups that were found, and two people may have one name: SQLite cannot drop a
    condition, so the table is made again (with foreign keys off). Who said which face is whose; what was decided, as
    rows that no computation changes; and every change with the rows as they were before and after it. Who had a name
    before had it from a folder."""
    statements = list(_PEOPLE_AND_DECISIONS)
    for table in FACE_TABLES:
        statements += [
            f"ALTER TABLE {table} ADD COLUMN named_by TEXT",  # 'user', 'xmp', 'folder', 'auto'; NULL where nobody did
            f"UPDATE {table} SET named_by = 'folder' WHERE person_id NOTNULL",
            f"ALTER TABLE {table} ADD COLUMN margin REAL",  # of a face that was grouped: how far over its bar it lies
            f"ALTER TABLE {table} ADD COLUMN is_face INTEGER NOT NULL DEFAULT 1",  # 0: the user said that it is none
        ]
    for statement in statements:
        db.execute(statement)


@migrations()
def people_at_a_glance(db: sqlite_utils.Database) -> None:
    """All that a list of people says of their faces stands in one index, so that no embedding is read for it."""
    db.execute("DROP INDEX faces_by_person")
    db.execute("CREATE INDEX faces_by_person ON faces (person_id, photo_id, named_by, margin, is_face, quality)")
    db.execute("CREATE INDEX people_by_join ON people (joined_into) WHERE joined_into NOTNULL")


@migrations()
def folders_that_name_people(db: sqlite_utils.Database) -> None:
    """What each folder's faces, and what was said of them, were like when it last named them; may be deleted."""
    db.execute("CREATE TABLE folder_digests (digest BLOB PRIMARY KEY)")


@migrations()
def decisions_of_lost_faces(db: sqlite_utils.Database) -> None:
    """What was said of faces that a repair could not keep, by their photo's content and their place in it, until that
    is looked at again; without a place it is the photo that may show somebody twice."""
    db.execute(
        "CREATE TABLE awaited (digest BLOB NOT NULL, box_left REAL, box_top REAL, box_right REAL, box_bottom REAL, "
        "person_id INTEGER REFERENCES people (id) ON DELETE CASCADE, named_by TEXT, is_face INTEGER NOT NULL, "
        "apart TEXT NOT NULL)"
    )
    db.execute("CREATE INDEX awaited_by_digest ON awaited (digest)")


@migrations()
def where_runs_began(db: sqlite_utils.Database) -> None:
    """The newest photo and face when a run began, so that others see how far it is; of runs of before not known."""
    for column in ("newest_photo", "newest_face"):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column} INTEGER")


@migrations()
def removed_faces(db: sqlite_utils.Database) -> None:
    """Which faces were deleted, in this order, for the caches that must follow: SQLite itself notes it, whoever
    deletes. AUTOINCREMENT, so that no number comes twice though the table is emptied. A stamp of before does not say
    how far its file had followed (NULL), and is compared with all faces once. Whoever makes `faces` again makes the
    trigger again, for it goes with its table."""
    for statement in (
        "CREATE TABLE removed (n INTEGER PRIMARY KEY AUTOINCREMENT, face_id INTEGER NOT NULL)",
        "CREATE TRIGGER face_removed AFTER DELETE ON faces BEGIN INSERT INTO removed (face_id) VALUES (OLD.id); END",
        "ALTER TABLE index_stamp ADD COLUMN removed INTEGER",
    ):
        db.execute(statement)


_COUNTS = (
    "CREATE TABLE photo_counts (status TEXT PRIMARY KEY, photos INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO photo_counts SELECT status, count(*) FROM photos GROUP BY status",
    # The conflict clause of whoever writes would hold in here too, so none is used.
    """CREATE TRIGGER photo_counted AFTER INSERT ON photos BEGIN
        INSERT INTO photo_counts SELECT NEW.status, 0
            WHERE NOT EXISTS (SELECT 1 FROM photo_counts WHERE status = NEW.status);
        UPDATE photo_counts SET photos = photos + 1 WHERE status = NEW.status; END""",
    """CREATE TRIGGER photo_discounted AFTER DELETE ON photos BEGIN
        UPDATE photo_counts SET photos = photos - 1 WHERE status = OLD.status; END""",
    """CREATE TRIGGER photo_recounted AFTER UPDATE OF status ON photos WHEN OLD.status != NEW.status BEGIN
        INSERT INTO photo_counts SELECT NEW.status, 0
            WHERE NOT EXISTS (SELECT 1 FROM photo_counts WHERE status = NEW.status);
        UPDATE photo_counts SET photos = photos - 1 WHERE status = OLD.status;
        UPDATE photo_counts SET photos = photos + 1 WHERE status = NEW.status; END""",
    """CREATE TABLE face_counts (
        only INTEGER PRIMARY KEY CHECK (only = 1), faces INTEGER NOT NULL, alone INTEGER NOT NULL)""",
    "INSERT INTO face_counts SELECT 1, count(*), count(*) - count(person_id) FROM faces",
    """CREATE TRIGGER face_counted AFTER INSERT ON faces BEGIN
        UPDATE face_counts SET faces = faces + 1, alone = alone + (NEW.person_id IS NULL); END""",
    """CREATE TRIGGER face_discounted AFTER DELETE ON faces BEGIN
        UPDATE face_counts SET faces = faces - 1, alone = alone - (OLD.person_id IS NULL); END""",
    """CREATE TRIGGER face_recounted AFTER UPDATE OF person_id ON faces
        WHEN (OLD.person_id IS NULL) != (NEW.person_id IS NULL) BEGIN
        UPDATE face_counts SET alone = alone + (NEW.person_id IS NULL) - (OLD.person_id IS NULL); END""",
    # Few rows of many: an index of them alone.
    "CREATE INDEX photos_of_note ON photos (status, path) WHERE status NOT IN ('ok', 'no_face')",
    "CREATE INDEX photos_without_date ON photos (id) WHERE taken IS NULL AND status = 'ok'",
    "CREATE INDEX faces_that_are_none ON faces (id, person_id) WHERE NOT is_face",
)


@migrations()
def counts(db: sqlite_utils.Database) -> None:
    """How many photos have each status, and how many faces there are and are nobody's: SQLite counts them itself, in
    the transaction that changes them. And what is asked about few rows of millions finds them in an index. Whoever
    makes `photos` or `faces` again makes these again."""
    for statement in _COUNTS:
        db.execute(statement)


@migrations()
def vector_store(db: sqlite_utils.Database) -> None:
    """Where a vector store beside the gallery is, and how far it has followed; `StoreStamp` says what means what."""
    db.execute(
        "CREATE TABLE store (only INTEGER PRIMARY KEY CHECK (only = 1), address TEXT NOT NULL, kind TEXT NOT NULL, "
        "model TEXT NOT NULL, dim INTEGER NOT NULL, state TEXT NOT NULL, token INTEGER NOT NULL, "
        "next_token INTEGER NOT NULL, count INTEGER NOT NULL, newest_id INTEGER NOT NULL, removed INTEGER NOT NULL)"
    )


@migrations()
def overwritten_when_deleted(db: sqlite_utils.Database) -> None:
    """Whether all that was deleted since the file was made was overwritten at once. In a file of before, a migration
    may have left something behind the end of a long value, where nobody looks: it is rewritten once."""
    db.execute("CREATE TABLE overwritten (only INTEGER PRIMARY KEY CHECK (only = 1))")
    db.execute("INSERT INTO overwritten SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM photos)")


@migrations()
def questions_by_their_first_face(db: sqlite_utils.Database) -> None:
    """A face that is deleted takes the questions about it along, without a look at all of them."""
    db.execute("CREATE INDEX suggestions_by_a ON suggestions (face_a)")


def triggers_of_migrations() -> dict[str, str]:
    """The statement of each trigger that a gallery has, by its name."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        migrations.apply(fresh)
        return triggers(fresh)


def merge_spellings(conn: sqlite3.Connection) -> None:
    """Brings all names into the composed form; the faces of two people who then have one name are one person's."""
    for person, name in conn.execute("SELECT id, name FROM people WHERE name NOTNULL ORDER BY id").fetchall():
        normal = names.normal(name)
        if normal == name:
            continue
        same = conn.execute("SELECT id FROM people WHERE name = ?", (normal,)).fetchone()
        if same:
            for table in FACE_TABLES if columns(conn, "set_aside") else FACE_TABLES[:1]:
                conn.execute(f"UPDATE {table} SET person_id = ? WHERE person_id = ?", (same[0], person))
            conn.execute("DELETE FROM people WHERE id = ?", (person,))
        else:
            conn.execute("UPDATE people SET name = ? WHERE id = ?", (normal, person))
