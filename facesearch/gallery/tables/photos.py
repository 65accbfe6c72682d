"""The photos in a gallery's database: one row a path, with its status and the cause of a failure."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from facesearch.arrays import Embeddings
from facesearch.gallery.records.answers import PhotoOfPeople
from facesearch.gallery.records.run import Outcome
from facesearch.gallery.tables.faces import Faces
from facesearch.gallery.tables.people import People
from facesearch.gallery.tables.removal import LOST_A_FACE
from facesearch.gallery.tables.scope import THERE, Scope
from facesearch.gallery.tables.set_aside import SetAsideFaces
from facesearch.gallery.tables.sqlite import BELOW, below, columns, from_sql, inside, marks, parts, to_sql
from facesearch.geometry.face import Face
from facesearch.people import names
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import ABSENT, FAILURES, Cause, Status

# What a photo's content alone decides, so that a copy has it too; so does a failure whose cause is the file.
_SETTLED = (Status.OK, Status.NO_FACE, Status.FORGOTTEN)
_DISPLACED = " displaced"  # after its id the path of a photo that is set aside; real paths begin with a slash
_OF_NOTE = "status NOT IN ('ok', 'no_face')"  # the condition of the index photos_of_note
_KNOWN = "SELECT id, path, size, mtime_ns, status, face_count, {ctime_ns}, reason, {cause}, {needs} FROM photos"
_OTHERWISE = {"ctime_ns": "0", "cause": "NULL", "needs": "NULL"}  # in the tables of an earlier facesearch


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """What was found in a photo, as it is to be stored. `size` is width and height in pixels; `embeddings` has one
    row for each of `faces`, (n, dim); `person` names all of them. `taken` is its date (as `photos.dates` says),
    empty where it has none and None where that is not known. Of a failure `reason` is half a sentence, and `cause`
    and `needs` say when it is worth trying again."""

    file: PhotoFile
    status: Status
    digest: bytes | None = None
    reason: str | None = None
    cause: Cause | None = None
    needs: str = ""
    size: tuple[int, int] | None = None
    taken: str | None = None
    faces: Sequence[Face] = ()
    embeddings: Embeddings | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo as the database has it."""

    id: int
    path: str
    size: int
    mtime_ns: int
    status: Status
    faces: int
    ctime_ns: int = 0
    reason: str | None = None
    cause: Cause | None = None
    needs: str = ""

    @property
    def status_on_disk(self) -> Status:
        """What it is again when it turns up somewhere."""
        if self.status not in ABSENT:
            return self.status
        return Status.OK if self.faces else Status.NO_FACE

    @property
    def has_lost_a_face(self) -> bool:
        """Whether one of several people in it was forgotten."""
        return self.status not in FAILURES and self.needs == LOST_A_FACE

    def agrees_with(self, file: PhotoFile) -> bool:
        """Whether size and times say that the file is unchanged. A ctime that is not known says nothing."""
        is_unchanged = file.ctime_ns == self.ctime_ns or not file.ctime_ns or not self.ctime_ns
        return is_unchanged and (file.size, file.mtime_ns) == (self.size, self.mtime_ns)


class Photos:
    """Reads and writes photos through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection, faces: Faces, set_aside: SetAsideFaces, people: People) -> None:
        self._conn, self._faces, self._without_embedding, self._people = conn, faces, set_aside, people

    # What is known

    def known(self, paths: Sequence[str]) -> dict[str, KnownPhoto]:
        """What is known of these paths, by path."""
        found = {}
        for part in parts([to_sql(path) for path in paths]):
            for row in self._conn.execute(f"{self._known} WHERE path IN ({marks(part)})", part):
                photo = _known_photo(row)
                found[photo.path] = photo
        return found

    def has_content(self, known: KnownPhoto, digest: bytes) -> bool:
        """Whether the photo was stored with this digest."""
        statement = "SELECT EXISTS (SELECT 1 FROM photos WHERE id = ? AND digest = ?)"
        return bool(self._conn.execute(statement, (known.id, digest)).fetchone()[0])

    def known_content(self, digest: bytes, path: str = "") -> KnownPhoto | None:
        """A photo with the same bytes that need not be analysed again: the one that has this path, else one that is
        on disk before one that is missing, left out or forgotten."""
        row = self._conn.execute(
            f"{self._known} WHERE digest = ? AND (status IN ({marks(_SETTLED)}) OR status IN ({marks(ABSENT)}) AND "
            f"face_count > 0 OR status IN ({marks(FAILURES)}) AND cause = ?) "
            "ORDER BY path != ?, status IN ('missing', 'excluded'), status = 'forgotten', id LIMIT 1",
            (digest, *_SETTLED, *ABSENT, *FAILURES, Cause.FILE, to_sql(path)),
        ).fetchone()
        return _known_photo(row) if row else None

    def id_of(self, path: str) -> int | None:
        """The id of the photo with this path; None where there is none."""
        row = self._conn.execute("SELECT id FROM photos WHERE path = ?", (to_sql(path),)).fetchone()
        return row[0] if row else None

    def has_id(self, photo: int) -> bool:
        """Whether there is a photo with this id."""
        return self._conn.execute("SELECT 1 FROM photos WHERE id = ?", (photo,)).fetchone() is not None

    def newest(self) -> int:
        """The greatest id of a photo, 0 where there is none."""
        return int(self._conn.execute("SELECT coalesce(max(id), 0) FROM photos").fetchone()[0])

    def present(self, root: str) -> Iterator[str]:
        """The photos under a folder that were on disk when they were last looked for."""
        rows = self._conn.execute(
            f"SELECT path FROM photos WHERE status NOT IN ('missing', 'excluded', 'forgotten') AND {BELOW}",
            below(root),
        )
        return (from_sql(path) for (path,) in rows)

    def sizes(self) -> frozenset[int]:
        """How many bytes photos have whose content is known: a file of another size is none of them."""
        return frozenset(
            row[0] for row in self._conn.execute("SELECT DISTINCT size FROM photos WHERE digest NOTNULL")
        )

    def counts(self) -> dict[str, int]:
        """How many photos have each status."""
        statement = "SELECT status, photos FROM photo_counts WHERE photos ORDER BY photos DESC, status"
        if not columns(self._conn, "photo_counts"):  # an earlier facesearch's
            statement = "SELECT status, count(*) FROM photos GROUP BY status ORDER BY count(*) DESC, status"
        return dict(self._conn.execute(statement).fetchall())

    def has_any(self, scope: Scope) -> bool:
        """Whether a photo with a face is in the scope."""
        where, values = scope.condition(self._conn)
        return self._conn.execute(f"SELECT 1 FROM photos WHERE {where} LIMIT 1", values).fetchone() is not None

    def undated(self, scope: Scope) -> int:
        """How many photos with faces of the scope's folder have no date, or none that is known."""
        where, values = scope.of_folder()
        undated = "AND coalesce(taken, '') = ''" if "taken" in columns(self._conn, "photos") else ""
        return int(self._conn.execute(f"SELECT count(*) FROM photos WHERE {where} {undated}", values).fetchone()[0])

    def with_people(
        self, people: Sequence[int], scope: Scope, first: int = 0, n: int | None = None
    ) -> tuple[int, tuple[PhotoOfPeople, ...]]:
        """How many photos of a scope show all the people with these ids, by their faces or where they were marked
        without one; and n of them from the one with this number, or all: newest first, those without a date last."""
        where, values = scope.condition(self._conn, THERE)
        taken = "taken" if "taken" in columns(self._conn, "photos") else "NULL"
        shown = self._people.shown
        shows = f"id IN (SELECT photo_id FROM ({shown}) WHERE person_id = ?)"
        rows = self._conn.execute(
            f"SELECT id, path, {taken} FROM photos WHERE {where} {f'AND {shows} ' * len(people)}"
            f"ORDER BY coalesce({taken}, '') DESC, path",
            [*values, *people],
        ).fetchall()
        labels = [self._people.label(person) for person in people]
        unnamed = [label for label in labels if names.AN_ID.fullmatch(label)]
        return len(rows), tuple(
            PhotoOfPeople(from_sql(path), (*self._people.in_photo(i), *unnamed), date or None, i)
            for i, path, date in rows[first : None if n is None else first + n]
        )

    def unread(self) -> Iterator[Outcome]:
        """The photos whose content is not known, by path: failures, and files of kinds that nothing here reads."""
        rows = self._conn.execute(
            f"{self._known} WHERE {_OF_NOTE} AND status IN ({marks(FAILURES)}) ORDER BY path", FAILURES
        )
        for photo in map(_known_photo, rows):
            yield Outcome(photo.path, photo.status, 0, reason=photo.reason, cause=photo.cause)

    # What a run writes

    def save(self, row: PhotoRow, is_new: bool = False) -> int:
        """Stores what was found in a photo, in place of what its path held before; its id. With `is_new` the caller
        knows that it held nothing."""
        photo = self._insert(row, len(row.faces), is_new)
        self._faces.add(photo, self._people.id_of(row.person), row.faces, row.embeddings)
        return photo

    def move(self, known: KnownPhoto, file: PhotoFile) -> None:
        """The photo lies at another path now, or was only touched; its faces stay as they are."""
        if known.path != file.path:
            self._set_aside(file.path)
        self._conn.execute(
            "UPDATE photos SET path = ?, size = ?, mtime_ns = ?, ctime_ns = ?, status = ? WHERE id = ?",
            (to_sql(file.path), file.size, file.mtime_ns, file.ctime_ns, known.status_on_disk, known.id),
        )
        self._mark_seen([known.id])

    def copy(self, known: KnownPhoto, file: PhotoFile, person: str | None = None) -> None:
        """The photo lies at a second path too: its faces are stored for that one as well."""
        digest, taken, *size = self._conn.execute(
            "SELECT digest, taken, width, height FROM photos WHERE id = ?", (known.id,)
        ).fetchone()
        why = (known.reason, known.cause, known.needs)
        photo = self._insert(
            PhotoRow(file, known.status_on_disk, digest, *why, (size[0], size[1]), taken), known.faces
        )
        who = self._people.id_of(person)
        self._faces.copy(known.id, photo, who)
        self._without_embedding.copy(known.id, photo, who)

    def _insert(self, row: PhotoRow, face_count: int, is_new: bool = False) -> int:
        file = row.file
        if not is_new:
            self._set_aside(file.path)
        lies = (to_sql(file.path), file.size, file.mtime_ns, file.ctime_ns)
        why = (row.reason, row.cause, row.needs or None)
        width, height = row.size or (None, None)
        cursor = self._conn.execute(
            "INSERT INTO photos (path, size, mtime_ns, ctime_ns, digest, status, reason, cause, needs, width, "
            "height, taken, face_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*lies, row.digest, row.status, *why, width, height, row.taken, face_count),
        )
        photo = int(cursor.lastrowid or 0)
        self._conn.execute("INSERT OR IGNORE INTO seen VALUES (?)", (photo,))
        return photo

    def _set_aside(self, path: str) -> None:
        """Sets aside the photo that had this path: its content may lie at another path now, as when photos are
        renumbered, and is then not embedded again. `delete_displaced` deletes it."""
        self._conn.execute(
            "UPDATE photos SET path = id || ?, status = iif(status = 'forgotten', status, 'missing') WHERE path = ?",
            (_DISPLACED, to_sql(path)),
        )

    def delete_displaced(self) -> None:
        """Deletes the photos whose path another content has taken and that were found nowhere else."""
        begins_with_a_digit = "path >= '0' AND path < ':'"  # few of millions, in the order of the index
        self._conn.execute(f"DELETE FROM photos WHERE {begins_with_a_digit} AND path = id || ?", (_DISPLACED,))

    def note_ctimes(self, files: Iterable[tuple[KnownPhoto, PhotoFile]]) -> None:
        """Notes the ctime of photos that an earlier facesearch stored without it."""
        values = [(file.ctime_ns, known.id) for known, file in files if file.ctime_ns and not known.ctime_ns]
        self._conn.executemany("UPDATE photos SET ctime_ns = ? WHERE id = ?", values)

    def not_looked_at_for_dates(self, most: int, after: int = 0) -> list[tuple[int, str]]:
        """Ids, ascending and greater than `after`, and paths of photos with faces of which nobody has looked whether
        they have a date, at most so many."""
        not_looked_at = "AND taken IS NULL" if "taken" in columns(self._conn, "photos") else ""
        rows = self._conn.execute(
            f"SELECT id, path FROM photos WHERE status = 'ok' {not_looked_at} AND id > ? ORDER BY id LIMIT ?",
            (after, most),
        )
        return [(photo, from_sql(path)) for photo, path in rows]

    def note_dates(self, dates: Iterable[tuple[int, str]]) -> None:
        """Notes when photos were taken, by id; empty where they do not say."""
        self._conn.executemany("UPDATE photos SET taken = ? WHERE id = ?", [(taken, i) for i, taken in dates])

    def mark_seen(self, photos: Iterable[KnownPhoto]) -> None:
        """Notes that this run has met these photos on disk, for `unseen`."""
        self._mark_seen([photo.id for photo in photos])

    def _mark_seen(self, ids: Iterable[int]) -> None:
        self._conn.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(i,) for i in ids])

    def unseen(self, root: str, is_deep: bool = True) -> dict[str, tuple[int, Status]]:
        """The photos under a folder (or without `is_deep` directly in it) that this run has not met, by path, with
        their ids and statuses; without those that are known to be missing or are forgotten, wherever they are."""
        inner = len(inside(root)[0]) + 1  # where the name of what is in it begins
        shallow = "" if is_deep else f"AND (typeof(path) = 'blob' OR instr(substr(path, {inner}), '{os.sep}') = 0)"
        rows = self._conn.execute(
            "SELECT path, id, status FROM photos WHERE status NOT IN ('missing', 'forgotten') AND id NOT IN "
            f"(SELECT id FROM seen) AND {BELOW} {shallow}",
            below(root),
        )
        found = {from_sql(path): (photo, Status(status)) for path, photo, status in rows}
        return found if is_deep else {path: each for path, each in found.items() if os.path.dirname(path) == root}

    def mark(self, photos: Iterable[int], status: Status) -> None:
        """Notes that the photos with these ids are missing or excluded. Their faces are kept, and found no longer."""
        self._conn.executemany("UPDATE photos SET status = ? WHERE id = ?", [(status, i) for i in photos])

    @cached_property
    def _known(self) -> str:
        """The statement that reads what is known of photos, from tables of an earlier facesearch too."""
        there = columns(self._conn, "photos")
        return _KNOWN.format(**{name: name if name in there else otherwise for name, otherwise in _OTHERWISE.items()})


def _known_photo(row: Sequence[Any]) -> KnownPhoto:
    photo_id, path, size, mtime_ns, status, faces, ctime_ns, reason, cause, needs = row
    for value, kind in ((status, Status), (cause or Cause.FILE, Cause)):
        if value not in tuple(kind):
            raise sqlite3.DatabaseError(f"the photo {photo_id} has the unknown {kind.__name__.lower()} {value!r}")
    why = (reason, Cause(cause) if cause else None, str(needs or ""))
    return KnownPhoto(photo_id, from_sql(path), size, mtime_ns, Status(status), faces, ctime_ns, *why)
