"""Deletes faces, photos and roots from a gallery's database, and the bytes that deletion leaves in its files."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import FaceSearchError
from facesearch.gallery.tables.forgetting_log import forget_in_log
from facesearch.gallery.tables.free_space import sweep_apart
from facesearch.gallery.tables.people import People
from facesearch.gallery.tables.sqlite import (
    BELOW,
    BUSY_SECONDS,
    FACE_TABLES,
    GREATEST_ID,
    below,
    columns,
    explained,
    faces_of_photo,
    from_sql,
    marks,
    now,
    temporary_files_in,
    to_sql,
)
from facesearch.people import names

LOST_A_FACE = (
    "a forgotten face"  # in the column `needs` of a photo that still shows others: `--again-forgotten` brings it back
)
_REWRITTEN_UP_TO = 64 << 20  # bytes: half a second
_OF_NOTE = "status NOT IN ('ok', 'no_face')"  # as the index of those few says it
_UNDER = f"(path = ? OR {BELOW[1:]}"


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo as far as it matters for its removal; `has_twin` says of a missing one that its content lies at another
    path, too."""

    id: int
    path: str
    faces: int
    has_twin: bool


class Removal:
    """Deletes through an open connection, inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    @property
    def _tables(self) -> list[str]:
        """Where faces may lie; an earlier facesearch set none aside."""
        return [table for table in FACE_TABLES if columns(self._conn, table)]

    # What is stored

    def people_called(self, who: str) -> list[int]:
        """The ids of all whom a name may mean, in whichever of Unicode's forms it was typed or stored; of an id such
        as @17, whom it stands for."""
        if found := names.AN_ID.fullmatch(who):
            root = People(self._conn).root(min(int(found[1]), GREATEST_ID))
            return [] if root is None else [root]
        live = "AND joined_into IS NULL" if "joined_into" in columns(self._conn, "people") else ""
        stored = self._conn.execute(f"SELECT id, name FROM people WHERE name NOTNULL {live} ORDER BY id")
        return [person for person, name in stored if names.normal(name) in _spellings(who)]

    def photos_of(self, people: Sequence[int]) -> list[StoredPhoto]:
        """The photos that show one of these people, each with how many faces of theirs."""
        faces = " UNION ALL ".join(
            f"SELECT photo_id FROM {table} WHERE person_id IN ({marks(people)})" for table in self._tables
        )
        rows = self._conn.execute(
            f"SELECT photos.id, path, count(*) FROM ({faces}) JOIN photos ON photos.id = photo_id "
            "GROUP BY photos.id ORDER BY path",
            [*people] * len(self._tables),
        )
        return [StoredPhoto(photo, from_sql(path), faces, False) for photo, path, faces in rows]

    def is_known(self, path: str) -> bool:
        """Whether this is the path of a photo, of a root, or of a folder that holds one of them."""
        return any(
            self._conn.execute(f"SELECT 1 FROM {table} WHERE {_UNDER} LIMIT 1", _under(path)).fetchone()
            for table in ("photos", "roots")
        )

    def photo(self, path: str) -> list[StoredPhoto]:
        """The photo with this path, and its copies."""
        return self._photos("path = ?1 OR digest = (SELECT digest FROM photos WHERE path = ?1)", to_sql(path))

    def under(self, folder: str) -> list[StoredPhoto]:
        """The photos under a folder, or the photo that has its path."""
        return self._photos(_UNDER, *_under(folder))

    def missing(self) -> list[StoredPhoto]:
        """The photos that were missing when they were last looked for."""
        twin = (
            "EXISTS (SELECT 1 FROM photos AS other WHERE other.digest = photos.digest AND other.id != photos.id "
            "AND other.status != 'missing')"
        )
        return self._photos(f"status = 'missing' AND {_OF_NOTE}", has_twin=twin)

    def _photos(self, where: str, *values: object, has_twin: str = "0") -> list[StoredPhoto]:
        rows = self._conn.execute(
            # +: sorted afterwards, or SQLite would look through the paths of all photos in their order
            f"SELECT id, path, {faces_of_photo(self._conn)}, {has_twin} FROM photos WHERE {where} ORDER BY +path",
            values,
        )
        return [StoredPhoto(photo, from_sql(path), faces, bool(twin)) for photo, path, faces, twin in rows]

    # What is deleted

    def people(self, people: Sequence[int]) -> None:
        """Deletes the faces of these people, and them, with all who were joined into them. A photo that shows nobody
        else is forgotten."""
        photos = [(photo.id,) for photo in self.photos_of(people)]
        for table in self._tables:
            self._conn.execute(f"DELETE FROM {table} WHERE person_id IN ({marks(people)})", people)
        self._conn.execute(
            "WITH RECURSIVE gone (id) AS (SELECT id FROM people WHERE id IN "
            f"({marks(people)}) UNION SELECT people.id FROM people JOIN gone ON joined_into = gone.id) "
            "DELETE FROM people WHERE id IN gone",
            people,
        )
        faces = faces_of_photo(self._conn)
        self._conn.executemany(
            f"UPDATE photos SET face_count = {faces}, status = iif({faces} > 0, status, 'forgotten'), "
            f"taken = iif({faces} > 0, taken, NULL), needs = ? "
            "WHERE id = ?",
            [(LOST_A_FACE, *photo) for photo in photos],
        )
        self._tidy()

    def photos(self, gone: Sequence[StoredPhoto], kept: Sequence[StoredPhoto]) -> None:
        """Deletes the faces of all these photos: of those that are gone every trace, while those that are kept are
        remembered as forgotten, so that they are not looked at again."""
        self._conn.executemany("DELETE FROM photos WHERE id = ?", [(photo.id,) for photo in gone])
        for table in (*self._tables, "marks"):
            self._conn.executemany(f"DELETE FROM {table} WHERE photo_id = ?", [(photo.id,) for photo in kept])
        self._conn.executemany(
            "UPDATE photos SET status = 'forgotten', reason = NULL, cause = NULL, needs = NULL, taken = NULL, "
            "face_count = 0 "
            "WHERE id = ?",
            [(photo.id,) for photo in kept],
        )
        self._tidy()

    def roots(self, roots: Sequence[str]) -> None:
        """From now on the gallery does not look after these folders."""
        self._conn.executemany("DELETE FROM roots WHERE path = ?", [(to_sql(root),) for root in roots])

    def _tidy(self) -> None:
        """Deletes people of whom there is no face any more, what was said of all that is gone, and each root that is
        itself a forgotten photo: `repair` would index it again."""
        shown = " OR ".join(
            f"EXISTS (SELECT 1 FROM {table} WHERE person_id = people.id)" for table in (*self._tables, "marks")
        )
        self._conn.execute(  # the id of who was joined into somebody still answers
            f"WITH RECURSIVE kept (id) AS (SELECT id FROM people WHERE {shown} UNION SELECT people.id FROM people "
            "JOIN kept ON joined_into = kept.id) DELETE FROM people WHERE id NOT IN kept"
        )
        forget_in_log(self._conn)
        self._conn.execute(
            "DELETE FROM roots WHERE EXISTS (SELECT 1 FROM photos WHERE path = roots.path AND status = 'forgotten')"
        )
        self.begin_scrubbing()

    def begin_scrubbing(self) -> None:
        """Notes that bytes of what is deleted or replaced here may lie in the files until `scrub`."""
        self._conn.execute("INSERT OR IGNORE INTO unfinished VALUES (1, ?)", (now(),))

    def is_found_elsewhere(self, root: str) -> bool:
        """Whether each photo that was under a root has its content at a path elsewhere now, or never had any."""
        values = _under(root)
        holds = (
            f"SELECT 1 FROM photos WHERE {_UNDER} AND (digest NOTNULL OR face_count > 0) AND NOT EXISTS (SELECT 1 "
            f"FROM photos AS other WHERE other.digest = photos.digest AND other.status != 'missing' AND NOT "
            f"{_UNDER.replace('path', 'other.path')})"
        )
        return self._conn.execute(f"{holds} LIMIT 1", (*values, *values)).fetchone() is None

    def moved_root(self, root: str) -> None:
        """Deletes a root whose photos are elsewhere, and what is known of them there."""
        self._conn.execute(f"DELETE FROM photos WHERE {_UNDER}", _under(root))
        self.roots([root])

    # The bytes in the files

    def is_unfinished(self) -> bool:
        """Whether bytes of what was deleted may still lie in the database's files."""
        known = "SELECT 1 FROM sqlite_master WHERE name = 'unfinished'"
        if not self._conn.execute(known).fetchone():  # an earlier facesearch's
            return False
        return self._conn.execute("SELECT 1 FROM unfinished").fetchone() is not None

    def scrub(self, is_wal: bool, wait_seconds: float) -> None:
        """Empties the database's log and overwrites what deletion leaves in its file, so that no byte of what was
        deleted stays in them. Raises FaceSearchError while somebody reads what was there before, and when the disk
        refuses."""
        with explained(self._path), temporary_files_in(self._path.parent), self._waiting(wait_seconds):
            has_left = self._drop_what_migration_left()
            if has_left or not is_wal or not self._is_overwritten() or self._is_small():
                self._rewrite(is_wal)
            else:
                self._empty_log(is_wal)
                if not sweep_apart(self._path):
                    self._rewrite(is_wal)
            self._conn.execute("DELETE FROM unfinished")
            self._conn.commit()

    def _is_overwritten(self) -> bool:
        """Whether all that was deleted since the file was made, or rewritten, was overwritten at once."""
        return self._conn.execute("SELECT 1 FROM overwritten").fetchone() is not None

    def _is_small(self) -> bool:
        """Whether what is stored is so little that to rewrite it takes no longer than to look through it."""
        page, pages, free = (
            self._conn.execute(f"PRAGMA {fact}").fetchone()[0]
            for fact in ("page_size", "page_count", "freelist_count")
        )
        return int(page * (pages - free)) <= _REWRITTEN_UP_TO

    def _rewrite(self, is_wal: bool) -> None:
        self._conn.execute("VACUUM")
        self._conn.execute("INSERT OR IGNORE INTO overwritten VALUES (1)")
        self._conn.commit()
        self._empty_log(is_wal)

    def _empty_log(self, is_wal: bool) -> None:
        is_busy, *_ = self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy and is_wal:
            raise FaceSearchError(f"{self._path} is being read, so its log could not be emptied.")

    def _drop_what_migration_left(self) -> bool:
        """Deletes the second copy of embeddings that are in their faces now; whether there was one. That they are
        overwritten is left to the rewriting that follows: it would write as many bytes again."""
        if not columns(self._conn, "migrated") or self._conn.execute("SELECT 1 FROM migration").fetchone():
            return False
        self._conn.execute("PRAGMA secure_delete = OFF")
        dropped = self._conn.execute("DELETE FROM migrated").rowcount
        if dropped:  # whoever goes on, should this be cut off, must know
            self._conn.execute("DELETE FROM overwritten")
        self._conn.commit()
        self._conn.execute("PRAGMA secure_delete = ON")
        return dropped > 0

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Inside, SQLite waits so long for readers."""
        self._conn.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        try:
            yield
        finally:
            self._conn.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _spellings(name: str) -> tuple[str, ...]:
    """The stored names that a typed one may mean: the name as it is shown, or as the bytes of a folder."""
    return tuple(dict.fromkeys((names.as_asked(name), names.of_folder(os.path.join(name, "")))))


def _under(folder: str) -> tuple[object, ...]:
    """The values for the condition _UNDER."""
    return to_sql(folder), *below(folder)
