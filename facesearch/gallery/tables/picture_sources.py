"""What pictures of faces and photos are made from: the photo of each, whether it may be shown, and its bytes."""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from facesearch.errors import ExitCode, FaceSearchError, PhotoError
from facesearch.files import printable
from facesearch.gallery.tables.sqlite import FACE_TABLES, columns, from_sql, marks, parts
from facesearch.geometry.face import Box
from facesearch.geometry.squares import is_in
from facesearch.photos.addresses import is_remote, is_under
from facesearch.photos.file import LoadedPhoto, PhotoFile, load_named_photo
from facesearch.photos.status import Status

_SHOWN = (Status.OK, Status.NO_FACE)
_WHY_NOT = {
    Status.FORGOTTEN: "was forgotten",
    Status.MISSING: "is gone",
    Status.EXCLUDED: "is left out of the gallery's folders now",
}

_FACE = (
    "SELECT {table}.id, box_left, box_top, box_right, box_bottom, photos.id, path, digest, status, width, height "
    "FROM {table} JOIN photos ON photos.id = photo_id"
)


class PhotoGoneError(FaceSearchError):
    """The photo cannot be shown any more: it is gone, or another one has taken its place."""

    exit_code = ExitCode.NO


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """A photo of the gallery: where its file is, the digest of its content, its status, and its width and height, 0
    where they are not known."""

    photo_id: int
    path: str
    digest: bytes
    status: Status
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FaceSource:
    """A face of the gallery, whose box is in pixels of its upright photo."""

    face_id: int
    box: Box
    photo: PhotoSource

    @property
    def can_be_cut(self) -> bool:
        """Whether the box is one of a place in the photo."""
        return is_in(self.box, self.photo.size)


class PictureSources:
    """Reads them through an open connection."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def faces(self, ids: Sequence[int]) -> dict[int, FaceSource]:
        """Those of these faces that are stored, by id."""
        return self._faces("{table}.id IN ({marks})", ids)

    def of_photo(self, photo: int) -> dict[int, FaceSource]:
        """The faces of a photo, by id."""
        return self._faces("photo_id IN ({marks})", [photo])

    def photo(self, photo: int) -> PhotoSource | None:
        """The photo with this id; None where there is none."""
        row = self._conn.execute(
            "SELECT id, path, digest, status, width, height FROM photos WHERE id = ?", (photo,)
        ).fetchone()
        return _photo(row) if row else None

    def roots(self) -> tuple[str, ...]:
        """The folders and photos that the gallery looks after."""
        return tuple(from_sql(path) for (path,) in self._conn.execute("SELECT path FROM roots"))

    def _faces(self, where: str, values: Sequence[int]) -> dict[int, FaceSource]:
        found: dict[int, FaceSource] = {}
        for table in self._tables:
            for part in parts(values):
                condition = where.format(table=table, marks=marks(part))
                for row in self._conn.execute(f"{_FACE.format(table=table)} WHERE {condition}", part):
                    found[row[0]] = _face(row)
        return found

    @cached_property
    def _tables(self) -> list[str]:
        """Where faces lie; an earlier facesearch set none aside."""
        return [table for table in FACE_TABLES if columns(self._conn, table)]


def load_source(photo: PhotoSource, roots: Sequence[str]) -> LoadedPhoto:
    """The photo's bytes, as it was when it was indexed. Its path must lie under one of the roots; links are followed,
    as `index` does, wherever they lead, but only a file with the very content that was indexed is shown. Raises
    PhotoGoneError."""
    shown = printable(photo.path)
    if photo.status not in _SHOWN:
        raise PhotoGoneError(f"{shown} {_WHY_NOT.get(photo.status, 'could not be read')}; nothing of it is shown.")
    if not any(_is_under(photo.path, root) for root in roots):
        raise PhotoGoneError(f"{shown} is in none of the gallery's folders any more; nothing of it is shown.")
    try:
        loaded = load_named_photo(PhotoFile(photo.path, 0, 0))
    except PhotoError as error:
        raise PhotoGoneError(f"{shown} cannot be shown: {error}; see that it is there, and index again.") from error
    if loaded.digest != photo.digest:
        raise PhotoGoneError(f"{shown} has changed since it was indexed; index again.")
    return loaded


def _face(row: Sequence[Any]) -> FaceSource:
    return FaceSource(row[0], Box(*row[1:5]), _photo(row[5:]))


def _photo(row: Sequence[Any]) -> PhotoSource:
    photo, path, digest, status, width, height = row
    try:
        return PhotoSource(photo, from_sql(path), bytes(digest or b""), Status(status), (width or 0, height or 0))
    except (TypeError, ValueError) as error:  # SQLite gives what it finds, of whatever kind
        raise sqlite3.DatabaseError("a photo is not as it was stored") from error


def _is_under(path: str, root: str) -> bool:
    """Whether an absolute path without steps back is a root or lies under it."""
    if not is_remote(path) and (path != os.path.normpath(path) or not os.path.isabs(path)):
        return False
    return is_under(path, root)
