"""Small pictures of faces, kept beside the database so that a page shows many at once. They are a cache: the file may
be deleted at any time, a damaged one is made anew, and a disk that refuses it costs no more than the cache.

A picture is found by its face's id and by what it was made from, the photo's content and the face's place, so that
one of a photo that has changed since, or of another face that got the id, is never shown. The file has a journal that
SQLite deletes and no write-ahead log, in which bytes of what was forgotten could stay."""

import hashlib
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from facesearch.errors import DamagedGalleryError, FaceSearchError, GalleryError
from facesearch.gallery.tables.picture_sources import FaceSource
from facesearch.gallery.tables.sqlite import BUSY_SECONDS, OF_SQLITE, make_private, marks, parts, temporary_files_in
from facesearch.photos.encoding import AROUND, FACE_SIDE, is_picture

Current: TypeAlias = Callable[[Sequence[int]], Mapping[int, FaceSource]]  # those of some faces that are still stored

_FORMAT = f"{FACE_SIDE} px, {AROUND} around. ".encode()  # another one's pictures are never found
_OURS = 0x46536874  # in the file's header, as its application's number
_PAGE = 16384  # bytes: no picture lies in two pages, and a tenth of the file is left empty; at 4096 a third
_REWRITTEN_UP_TO = 256 << 20  # bytes: 70,000 pictures, two seconds
_SECONDS = 2  # that reading and writing wait for others: it is a cache
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_TABLE = """CREATE TABLE thumbnails (
    face_id INTEGER PRIMARY KEY, stamp BLOB NOT NULL, picture BLOB NOT NULL)"""


class _ForeignError(sqlite3.DatabaseError):
    """The file is a database of something else."""


class Thumbnails:
    """The pictures in one file, 112 pixels a side. Any number of processes read and write it at the same time."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or written yet."""
        self.path = path

    def read(self, faces: Sequence[FaceSource]) -> dict[int, bytes]:
        """The pictures that are there of these faces, by id. Never raises."""
        if not self.path.exists():
            return {}
        wanted = {face.face_id: stamp_of(face) for face in faces}
        found: dict[int, bytes] = {}
        with self._forgiving(), closing(self._connect("ro")) as conn:
            for part in parts(list(wanted)):
                rows = conn.execute(f"SELECT * FROM thumbnails WHERE face_id IN ({marks(part)})", part)
                found |= {face: picture for face, stamp, picture in rows if stamp == wanted[face]}
        return {face: picture for face, picture in found.items() if is_picture(picture)}

    def write(self, pictures: Sequence[tuple[FaceSource, bytes]], current: Current, gone: Sequence[int] = ()) -> None:
        """Keeps pictures of those faces that are as they were: `current` looks while nobody else can write here, so
        that what is forgotten meanwhile is either not written, or is there to be swept out. Those of the faces that
        are `gone` go. Never raises."""
        if not pictures and not (gone and self.path.exists()):
            return
        with self._forgiving(), closing(self._to_write()) as conn, conn:
            conn.execute("BEGIN IMMEDIATE")
            there = current([face.face_id for face, _ in pictures])
            rows = [
                (face.face_id, stamp_of(face), picture)
                for face, picture in pictures
                if there.get(face.face_id) == face
            ]
            conn.executemany("DELETE FROM thumbnails WHERE face_id = ?", ((face,) for face in gone))
            conn.executemany("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", rows)

    def sweep(self, current: Current) -> None:
        """Deletes all pictures but those of faces that are as they were, and each byte of what is deleted; or the
        file, where it is so large that to draw again what is looked at takes less. Raises FaceSearchError when the
        disk refuses that."""
        if not 0 <= self._size() <= _REWRITTEN_UP_TO:
            self.delete()  # a journal may be left of it
            return
        try:
            with temporary_files_in(self.path.parent), closing(self._to_write(BUSY_SECONDS)) as conn:
                _delete_all_but(conn, current)
                conn.execute("VACUUM")  # pages keep copies of rows that have moved to others
        except (OSError, *OF_SQLITE):
            self.delete()

    def _size(self) -> int:
        """The file's size in bytes; -1 where there is none. Raises FaceSearchError when the disk does not say."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return -1
        except OSError as error:
            raise FaceSearchError(f"{self.path} cannot be read ({error.strerror}).") from error

    def delete(self) -> None:
        """Deletes the file. Raises FaceSearchError when the disk refuses."""
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise FaceSearchError(f"{path} cannot be deleted ({error.strerror}).") from error

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Whatever the disk or the gallery refuses is as if there were no cache. A file that is damaged or not ours
        is deleted, and one whose gallery is not there any more."""
        try:
            yield
        except OSError:
            return
        except (FaceSearchError, *OF_SQLITE) as error:
            if _makes_useless(error):
                with suppress(FaceSearchError):
                    self.delete()

    def _to_write(self, seconds: float = _SECONDS) -> sqlite3.Connection:
        """The file, made where there is none. Raises OSError, and what SQLite raises."""
        if self.path.is_symlink():  # nothing is written where it leads to
            self.path.unlink()
        make_private(self.path)
        conn = self._connect("rw", seconds)
        try:
            conn.execute(f"PRAGMA page_size = {_PAGE}")
            conn.execute("PRAGMA synchronous = OFF")  # what a power cut damages is made anew
            conn.execute("PRAGMA secure_delete = ON")
            if conn.execute("PRAGMA application_id").fetchone()[0] == _OURS:
                return conn
            _make(conn)
        except BaseException:
            conn.close()
            raise
        return conn

    def _connect(self, mode: str, seconds: float = _SECONDS) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=seconds, isolation_level=None)


def stamp_of(face: FaceSource) -> bytes:
    """What a face's picture is made from, 16 bytes: the content of its photo, its place, and how it is drawn."""
    place = struct.pack("<4d", *face.box)
    return hashlib.blake2b(_FORMAT + place + face.photo.digest, digest_size=16).digest()


def _makes_useless(error: Exception) -> bool:
    """Whether the file serves nobody any more after this error."""
    if isinstance(error, FaceSearchError):
        return isinstance(error, GalleryError) and not isinstance(error, DamagedGalleryError)
    return isinstance(error, _ForeignError) or getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)


def _make(conn: sqlite3.Connection) -> None:
    """The table, in a file that is empty. Raises _ForeignError for one that is not."""
    with conn:
        conn.execute("BEGIN IMMEDIATE")
        if conn.execute("PRAGMA application_id").fetchone()[0] == _OURS:  # another process was faster
            return
        if conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise _ForeignError
        conn.execute(_TABLE)
        conn.execute(f"PRAGMA application_id = {_OURS}")


def _delete_all_but(conn: sqlite3.Connection, current: Current) -> None:
    with conn:
        conn.execute("BEGIN IMMEDIATE")
        for part in parts(conn.execute("SELECT face_id, stamp FROM thumbnails").fetchall()):
            there = {face: stamp_of(source) for face, source in current([face for face, _ in part]).items()}
            gone = [(face,) for face, stamp in part if there.get(face) != stamp]
            conn.executemany("DELETE FROM thumbnails WHERE face_id = ?", gone)
