"""The faces in a gallery's database."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.gallery.records.answers import Match
from facesearch.gallery.tables.alike import Candidate
from facesearch.gallery.tables.removed import Removed
from facesearch.gallery.tables.scope import Scope
from facesearch.gallery.tables.sqlite import checksum, columns, complete, from_sql, marks, parts
from facesearch.geometry.face import Box, Face
from facesearch.people import names
from facesearch.people.cohort import JudgedFaces, Shifts

# Above 0 for who has a name, below 0 for who has none, 0 for a face that is nobody's.
_PERSON = "coalesce((SELECT iif(name IS NULL, -id, id) FROM people WHERE id = person_id), 0)"
_COUNT_ALL = "SELECT count(*) FROM faces"  # in an earlier facesearch's database
_ROWS_AT_ONCE = 50_000  # embeddings read at once: 25 MB at 128 dimensions


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """One photo's faces: its path, width and height, and a row a face of boxes, (n, 4), and embeddings, (n, dim), and
    how much higher their own thresholds lie, (n,)."""

    path: str
    size: tuple[int, int]
    boxes: NDArray[np.float64]
    embeddings: Embeddings
    shifts: Shifts


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """Faces as they were stored: their boxes, scores and qualities (None where not known), whether the user said that
    they are none, and embeddings, (n, dim)."""

    boxes: tuple[Box, ...]
    scores: tuple[float, ...]
    qualities: tuple[float | None, ...]
    are_faces: tuple[bool, ...]
    embeddings: Embeddings


@dataclass(frozen=True, slots=True)
class FacesOfPeople:
    """Faces of some people: their ids and the ids of the people, (n,) each, their boxes, and their embeddings,
    (n, dim)."""

    ids: NDArray[np.int64]
    people: NDArray[np.int64]
    boxes: tuple[Box, ...]
    embeddings: Embeddings


class Faces:
    """Reads and writes faces through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn, self._removed = conn, Removed(conn)

    def add(self, photo: int, person: int | None, faces: Sequence[Face], embeddings: Embeddings | None) -> None:
        """Stores the faces of a photo, with the same person for all. `embeddings` is (len(faces), dim), float32."""
        rows: Iterable[NDArray[np.float32]] = () if embeddings is None else np.ascontiguousarray(embeddings)
        self._conn.executemany(
            "INSERT INTO faces (photo_id, person_id, named_by, quality, box_left, box_top, box_right, box_bottom, "
            "score, landmarks, embedding, checksum) VALUES (?1, ?2, iif(?2 IS NULL, NULL, 'folder'), ?3, ?4, ?5, "
            "?6, ?7, ?8, ?9, ?10, ?11)",
            [(photo, person, face.quality, *stored_values(face, row)) for face, row in zip(faces, rows, strict=True)],
        )

    def copy(self, photo: int, to_photo: int, person: int | None) -> None:
        """Stores the faces of a photo for another one, too."""
        self._conn.execute(
            "INSERT INTO faces (photo_id, person_id, named_by, quality, box_left, box_top, box_right, box_bottom, "
            "score, landmarks, embedding, checksum) SELECT ?1, ?2, iif(?2 IS NULL, NULL, 'folder'), quality, "
            "box_left, box_top, box_right, box_bottom, score, landmarks, embedding, checksum FROM faces "
            "WHERE photo_id = ?3 ORDER BY id",
            (to_photo, person, photo),
        )

    def count(self) -> int:
        """How many faces are stored, those of missing photos too."""
        counted = "SELECT faces FROM face_counts" if columns(self._conn, "face_counts") else _COUNT_ALL
        row = self._conn.execute(counted).fetchone()
        return int(complete(row or (None,), "how many faces there are")[0])

    def newest(self) -> int:
        """The greatest id of a face, 0 when there is none."""
        return int(self._conn.execute("SELECT coalesce(max(id), 0) FROM faces").fetchone()[0])

    def newest_removed(self) -> int:
        """The number of the latest deletion of a face."""
        return self._removed.newest()

    def removed_after(self, n: int) -> NDArray[np.int64]:
        """The ids of the faces that were deleted after that number and are not there again, ascending."""
        return self._removed.after(n)

    def newer(self, after: int) -> int:
        """How many faces have a greater id."""
        if after <= 0:
            return self.count()
        return int(self._conn.execute("SELECT count(*) FROM faces WHERE id > ?", (after,)).fetchone()[0])

    def stamp(self) -> tuple[int, int, int]:
        """What is another one after each face that came or went."""
        return self.count(), self.newest(), self.newest_removed()

    def ids(self) -> NDArray[np.int64]:
        """All ids, ascending."""
        rows = self._conn.execute("SELECT id FROM faces ORDER BY id")
        return np.fromiter((row[0] for row in rows), np.int64)

    def embeddings(self, dim: int, after: int = 0) -> Iterator[tuple[NDArray[np.int64], Embeddings]]:
        """Ids, ascending, and embeddings of the faces after that id, some ten thousand at a time."""
        while True:
            rows = self._conn.execute(
                "SELECT id, embedding FROM faces WHERE id > ? ORDER BY id LIMIT ?", (after, _ROWS_AT_ONCE)
            ).fetchall()
            if not rows:
                return
            ids = np.array([row[0] for row in rows], np.int64)
            if ids[0] <= after or (np.diff(ids) <= 0).any():  # or this would never end
                raise sqlite3.DatabaseError("the faces are out of order")
            yield ids, _matrix([row[1] for row in rows], dim)
            after = int(ids[-1])

    def embeddings_of(self, ids: Sequence[int], dim: int) -> tuple[NDArray[np.int64], Embeddings]:
        """Those of these faces that are stored, with their embeddings."""
        rows: list[tuple[int, bytes]] = []
        for part in parts(ids):
            statement = f"SELECT id, embedding FROM faces WHERE id IN ({marks(part)})"
            rows += self._conn.execute(statement, part).fetchall()
        return np.array([row[0] for row in rows], np.int64), _matrix([row[1] for row in rows], dim)

    def of_photo(self, photo: int, dim: int) -> StoredFaces:
        """The faces of the photo with this id, in the order in which they were stored."""
        return self._stored("photo_id = ? ORDER BY id", (photo,), dim)

    def one(self, face: int, dim: int) -> tuple[int, str, StoredFaces] | None:
        """The face with this id, alone, the id of its photo and the photo's path; None where no such face has an
        embedding."""
        row = self._conn.execute(
            "SELECT photo_id, path FROM faces JOIN photos ON photos.id = photo_id WHERE faces.id = ?", (face,)
        ).fetchone()
        return (row[0], from_sql(row[1]), self._stored("id = ?", (face,), dim)) if row else None

    def best_of_person(self, person: int, most: int, dim: int) -> tuple[list[str], StoredFaces]:
        """The faces of the person with this id, at most so many, the largest first, and the path of each's photo.
        Photos that are missing count too: it is the face that is asked about."""
        where = f"person_id = ? {self._is_one} "
        order = "ORDER BY min(box_right - box_left, box_bottom - box_top) DESC, id LIMIT ?"
        found = self._stored(where + order, (person, most), dim)
        paths = self._conn.execute(
            f"SELECT (SELECT path FROM photos WHERE id = photo_id) FROM faces WHERE {where}{order}", (person, most)
        )
        return [from_sql(path) for (path,) in paths], found

    def _stored(self, where: str, values: Sequence[Any], dim: int) -> StoredFaces:
        quality = "quality" if "quality" in columns(self._conn, "faces") else "NULL"
        is_face = "is_face" if self._is_one else "1"
        rows = self._conn.execute(
            f"SELECT box_left, box_top, box_right, box_bottom, score, {quality}, {is_face}, embedding FROM faces "
            f"WHERE {where}",
            values,
        ).fetchall()
        boxes, scores = tuple(Box(*row[:4]) for row in rows), tuple(row[4] for row in rows)
        qualities, are_faces = tuple(row[5] for row in rows), tuple(bool(row[6]) for row in rows)
        return StoredFaces(boxes, scores, qualities, are_faces, _matrix([row[7] for row in rows], dim))

    def known(self, dim: int, after: int = 0) -> Iterator[JudgedFaces]:
        """The faces after that id and who they are, some ten thousand at a time."""
        for ids, embeddings in self.embeddings(dim, after):
            rows = self._conn.execute(
                f"SELECT {_PERSON}, photo_id FROM faces WHERE id BETWEEN ? AND ? ORDER BY id",
                (int(ids[0]), int(ids[-1])),
            ).fetchall()
            people, photos = np.array(rows, np.int64).reshape(len(ids), 2).T
            yield JudgedFaces(ids, people, photos, embeddings)

    def known_of(self, ids: Sequence[int], dim: int) -> JudgedFaces:
        """Those of these faces that are stored, by id, and who they are."""
        rows: list[tuple[int, int, int, bytes]] = []
        for part in parts(sorted(ids)):
            rows += self._conn.execute(
                f"SELECT id, {_PERSON}, photo_id, embedding FROM faces WHERE id IN ({marks(part)}) ORDER BY id",
                part,
            )
        found, people, photos = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3).T
        return JudgedFaces(found, people, photos, _matrix([row[3] for row in rows], dim))

    def largest_of_people(self, with_name: bool) -> list[int]:
        """For each person with a name, or for each without one, the id of the face with the largest box, in the order
        of these ids."""
        which = "NOTNULL" if with_name else "IS NULL"
        rows = self._conn.execute(  # SQLite gives the id of the row in which the greatest area is
            "SELECT id, max((box_right - box_left) * (box_bottom - box_top)) FROM faces "
            f"WHERE person_id IN (SELECT id FROM people WHERE name {which}) {self._is_one} GROUP BY person_id"
        )
        return sorted(row[0] for row in rows)

    def of_nobody(self) -> list[int]:
        """The ids of the faces that are nobody's, ascending."""
        where = f"person_id IS NULL {self._is_one}"
        return [row[0] for row in self._conn.execute(f"SELECT id FROM faces WHERE {where} ORDER BY id")]

    def by_photo(self, dim: int) -> Iterator[PhotoFaces]:
        """The faces of each photo that is there, in the order of the paths; of copies of a photo only one's. Without
        collages, whose faces may be one person's, and what the user said is no face."""
        has_shifts = columns(self._conn, "own_thresholds")
        collages = "AND photo_id NOT IN (SELECT photo_id FROM repeats)" if columns(self._conn, "repeats") else ""
        shift = "(SELECT shift FROM own_thresholds WHERE face_id = faces.id)" if has_shifts else "0"
        rows = self._conn.execute(
            f"SELECT path, width, height, box_left, box_top, box_right, box_bottom, embedding, coalesce({shift}, 0) "
            f"FROM photos JOIN faces ON photo_id = photos.id WHERE status = 'ok' {self._is_one} {collages} "
            "AND NOT EXISTS (SELECT 1 FROM photos AS other WHERE other.digest = photos.digest "
            "AND other.status = 'ok' AND other.id < photos.id) ORDER BY path, faces.id"
        )
        for (path, width, height), faces in groupby(rows, key=itemgetter(0, 1, 2)):
            found = list(faces)
            boxes = np.array([row[3:7] for row in found], np.float64)
            embeddings = _matrix([row[7] for row in found], dim)
            yield PhotoFaces(
                from_sql(path), (width, height), boxes, embeddings, np.array([row[8] for row in found], np.float32)
            )

    def matches(
        self, similarities: Mapping[int, float], judged: Mapping[int, float] | None = None
    ) -> list[Candidate]:
        """The faces with these ids, by their judged values, which are the similarities where there are no others,
        highest first. Without those that are no longer stored or whose photo is missing."""
        judged = similarities if judged is None else judged
        found = []
        quality = "quality" if "quality" in columns(self._conn, "faces") else "NULL"
        taken = "taken" if "taken" in columns(self._conn, "photos") else "NULL"
        for part in parts(list(similarities)):
            rows = self._conn.execute(
                "SELECT digest, width, height, faces.id, people.name, people.id, "
                f"{self._is_stranger}, photo_id, path, {taken}, {quality}, box_left, box_top, box_right, box_bottom "
                "FROM faces JOIN photos ON photos.id = photo_id LEFT JOIN people ON people.id = person_id "
                f"WHERE faces.id IN ({marks(part)}) AND photos.status = 'ok' {self._is_one}",
                part,
            )
            for digest, width, height, face, *row in rows:
                match = _match(face, row, similarities[face], judged[face])
                found.append(Candidate(match, bytes(digest or b""), (width or 0, height or 0)))
        return sorted(found, key=lambda each: (-each.match.judged, -each.match.similarity, each.match.face_id))

    def ids_within(self, scope: Scope) -> NDArray[np.int64]:
        """The ids of the faces in those photos, ascending."""
        where, values = scope.condition(self._conn)
        rows = self._conn.execute(
            f"SELECT faces.id FROM faces JOIN photos ON photos.id = photo_id WHERE {where} {self._is_one} "
            "ORDER BY faces.id",
            values,
        )
        return np.fromiter((row[0] for row in rows), np.int64)

    def of_people(
        self, people: Sequence[int], scope: Scope, min_quality: float, dim: int, *, most: int
    ) -> FacesOfPeople:
        """The faces of these people in those photos whose quality is not known or high enough; at most so many of
        each, evenly over all of theirs. No id of a face is read from its row but from an index."""
        where, values = scope.condition(self._conn)
        if "quality" in columns(self._conn, "faces"):
            where, values = f"{where} AND coalesce(quality, 1) >= ?", [*values, min_quality]
        rows: list[tuple[Any, ...]] = []
        for part in parts([face for person in people for face in self._some_of(person, most)]):
            rows += self._conn.execute(
                "SELECT faces.id, person_id, embedding, box_left, box_top, box_right, box_bottom FROM faces "
                f"JOIN photos ON photos.id = photo_id WHERE faces.id IN ({marks(part)}) AND {where} {self._is_one}",
                [*part, *values],
            )
        ids, who = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T
        return FacesOfPeople(ids, who, tuple(Box(*row[3:]) for row in rows), _matrix([row[2] for row in rows], dim))

    def _some_of(self, person: int, most: int) -> Sequence[int]:
        ids = [row[0] for row in self._conn.execute("SELECT id FROM faces WHERE person_id = ?", (person,))]
        return ids if len(ids) <= most else np.sort(ids)[np.linspace(0, len(ids) - 1, most).astype(int)].tolist()

    @cached_property
    def _is_one(self) -> str:
        """The condition that leaves out what the user said is no face."""
        return "AND is_face" if "is_face" in columns(self._conn, "faces") else ""

    @cached_property
    def _is_stranger(self) -> str:
        return "people.kind = 'stranger'" if "kind" in columns(self._conn, "people") else "0"


def _match(face: int, row: Sequence[Any], similarity: float, judged: float) -> Match:
    person, who, stranger, photo, path, date, good, *box = row
    return Match(
        *(person and names.normal(person), similarity, from_sql(path), Box(*box), face),
        judged,
        quality=good if isinstance(good, float) else None,
        taken=date or None,
        person_id=who,
        is_stranger=bool(stranger),
        photo_id=photo,
    )


def stored_values(face: Face, row: NDArray[np.float32]) -> tuple[Any, ...]:
    """A face's columns from its box on, its checksum last."""
    box = tuple(float(edge) for edge in face.box)
    landmarks, embedding = np.array(face.landmarks, np.float32).tobytes(), row.tobytes()
    return *box, float(face.score), landmarks, embedding, checksum(box, float(face.score), landmarks, embedding)


def _matrix(blobs: Sequence[bytes], dim: int) -> Embeddings:
    try:
        return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), dim)
    except (TypeError, ValueError) as error:  # SQLite gives what it finds, of whatever kind
        raise sqlite3.DatabaseError("an embedding is not as it was stored") from error
