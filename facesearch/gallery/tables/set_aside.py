"""Faces that wait for an embedding of the gallery's model: their photo could not be read when it was changed."""

import sqlite3
from collections.abc import Iterator

from facesearch.arrays import Embeddings
from facesearch.gallery.records.facts import SetAside
from facesearch.gallery.tables.faces import stored_values
from facesearch.gallery.tables.known_faces import KnownFaces, known_faces
from facesearch.gallery.tables.sqlite import columns, from_sql

_OWN = {"checksum", "reason", "embedding"}  # columns that are not the same in both tables of faces
_OF_ONE_PHOTO = {"id", "photo_id", "person_id", "named_by", "margin"}  # not to be copied with a photo
_NEW = "photo_id = ? AND length(embedding) = 0"


class SetAsideFaces:
    """Reads and writes them through an open connection; writes inside of the caller's transactions. They are counted
    with their photos, are named and forgotten as all faces, and take no part in a search."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def count(self) -> int:
        """How many there are; none in the database of an earlier facesearch."""
        if not columns(self._conn, "set_aside"):
            return 0
        return int(self._conn.execute("SELECT count(*) FROM set_aside").fetchone()[0])

    def by_photo(self) -> Iterator[SetAside]:
        """The photos that such faces are in, by path, and why those could not be embedded."""
        if not columns(self._conn, "set_aside"):
            return
        rows = self._conn.execute(
            "SELECT path, min(set_aside.reason), count(*) FROM set_aside JOIN photos ON photos.id = photo_id "
            "GROUP BY photos.id ORDER BY path"
        )
        for path, reason, faces in rows:
            yield SetAside(from_sql(path), reason, faces)

    def waiting(self, is_present: bool) -> Iterator[KnownFaces]:
        """The faces of each photo that was not tried in this run; with `is_present`, of photos that were met on disk
        when they were last looked for."""
        where = "NOT EXISTS (SELECT 1 FROM not_embedded WHERE photo_id = photos.id)"
        return known_faces(self._conn, "set_aside", f"{where} AND status = 'ok'" if is_present else where)

    def set_aside(self) -> int:
        """Moves the faces without a new embedding here, each with the reason that was noted for its photo; how many
        they are."""
        shared = self._shared
        left = "id NOT IN (SELECT face_id FROM migrated)"
        # An empty embedding's checksum.
        summed = "face_checksum(box_left, box_top, box_right, box_bottom, score, landmarks, x'')"
        why = "coalesce((SELECT reason FROM not_embedded WHERE photo_id = faces.photo_id), 'it was not read')"
        self._conn.execute(
            f"INSERT INTO set_aside ({shared}, checksum, reason) SELECT {shared}, {summed}, {why} FROM faces "
            f"WHERE {left}"
        )
        return self._conn.execute(f"DELETE FROM faces WHERE {left}").rowcount

    def embedded(self, found: KnownFaces, embeddings: Embeddings) -> None:
        """The faces of a photo are faces as all others again, with their ids and names. A photo that was missing is
        not."""
        shared = self._shared
        for face_id, face, row in zip(found.ids, found.faces, embeddings, strict=True):
            *_, embedding, summed = stored_values(face, row)
            self._conn.execute(
                f"INSERT INTO faces ({shared}, embedding, checksum) SELECT {shared}, ?, ? FROM set_aside "
                "WHERE id = ?",
                (embedding, summed, face_id),
            )
            self._conn.execute("DELETE FROM set_aside WHERE id = ?", (face_id,))
        self._conn.execute("UPDATE photos SET status = 'ok' WHERE id = ? AND status = 'missing'", (found.photo,))

    def copy(self, photo: int, to_photo: int, person: int | None) -> None:
        """Sets the same faces aside for another photo. New ids come from the table of all faces."""
        if not self._conn.execute("SELECT 1 FROM set_aside WHERE photo_id = ? LIMIT 1", (photo,)).fetchone():
            return
        same = ", ".join(sorted(set(self._shared.split(", ")) - _OF_ONE_PHOTO))
        self._conn.execute(
            f"INSERT INTO faces (photo_id, person_id, named_by, {same}, embedding, checksum) SELECT ?1, ?2, "
            f"iif(?2 IS NULL, NULL, 'folder'), {same}, x'', checksum FROM set_aside WHERE photo_id = ?3 ORDER BY id",
            (to_photo, person, photo),
        )
        why = "(SELECT min(reason) FROM set_aside WHERE photo_id = ?)"
        self._conn.execute(
            f"INSERT INTO set_aside ({self._shared}, checksum, reason) SELECT {self._shared}, checksum, {why} "
            f"FROM faces WHERE {_NEW}",
            (photo, to_photo),
        )
        self._conn.execute(f"DELETE FROM faces WHERE {_NEW}", (to_photo,))

    @property
    def _shared(self) -> str:
        """The columns that say the same in both tables."""
        both = columns(self._conn, "faces") & columns(self._conn, "set_aside")
        return ", ".join(sorted(both - _OWN))
