"""A change of the gallery's model that is going on: to which one, and the embeddings that are there already. They lie
beside the faces until all are there, and one transaction puts them in their place."""

import sqlite3
from collections.abc import Iterator, Sequence

from facesearch.arrays import Embeddings
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.known_faces import KnownFaces, known_faces
from facesearch.gallery.tables.sqlite import columns

_SAME_FACE = " AND ".join(
    f"twin.{column} = own.{column}" for column in ("box_left", "box_top", "box_right", "box_bottom", "landmarks")
)
_ITS_NEW_ONE = "(SELECT embedding FROM migrated WHERE face_id = faces.id)"


class Migration:
    """Reads and writes it through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def model(self) -> str | None:
        """The model to which the gallery is being changed; None where it is not."""
        if not columns(self._conn, "migration"):  # an earlier facesearch's
            return None
        row = self._conn.execute("SELECT model FROM migration").fetchone()
        return str(row[0]) if row else None

    def begin(self, wanted: GallerySettings) -> int:
        """Begins a change to these networks, or goes on with it; how many embeddings are there already. Those of
        another change that was never finished are deleted."""
        same = self._conn.execute("SELECT 1 FROM migration WHERE identity = ?", (wanted.identity,)).fetchone()
        if not same:
            self.give_up()
            self._conn.execute("INSERT INTO migration VALUES (1, ?, ?)", (wanted.model, wanted.identity))
        return self.count()

    def give_up(self) -> None:
        """Deletes all of it; the faces stay as they are."""
        for table in ("migrated", "migration"):
            self._conn.execute(f"DELETE FROM {table}")

    def count(self) -> int:
        """How many faces have an embedding of the new model."""
        if self.model() is None:
            return 0
        return int(self._conn.execute("SELECT count(*) FROM migrated").fetchone()[0])

    def waiting(self) -> Iterator[KnownFaces]:
        """The faces of each photo that have no embedding of the new model yet."""
        return known_faces(self._conn, "faces", "faces.id NOT IN (SELECT face_id FROM migrated)")

    def save(self, found: KnownFaces, embeddings: Embeddings) -> int:
        """Keeps the new embeddings of a photo's faces, (faces, dim), and gives them to the same faces of its copies;
        how many faces got one."""
        before = self._conn.total_changes
        self._conn.executemany(
            "INSERT OR IGNORE INTO migrated SELECT twin.id, ? FROM faces AS own JOIN photos AS here ON here.id = "
            "own.photo_id JOIN photos AS there ON there.digest = here.digest JOIN faces AS twin ON twin.photo_id = "
            f"there.id WHERE own.id = ? AND {_SAME_FACE}",
            [(row.tobytes(), face) for face, row in zip(found.ids, embeddings, strict=True)],
        )
        return self._conn.total_changes - before

    def note_failures(self, failures: Sequence[tuple[int, str]]) -> None:
        """Notes why photos, by id, could not be embedded in this run."""
        self._conn.executemany("INSERT OR REPLACE INTO not_embedded VALUES (?, ?)", failures)

    def finish(self) -> None:
        """Puts the new embeddings in the place of the old ones. All faces that are left must have one. The second
        copies stay until the database is rewritten, which must follow."""
        self._conn.execute(
            f"UPDATE faces SET embedding = {_ITS_NEW_ONE}, checksum = face_checksum(box_left, box_top, box_right, "
            f"box_bottom, score, landmarks, {_ITS_NEW_ONE})"
        )
        self._conn.execute("DELETE FROM migration")
