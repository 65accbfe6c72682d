"""Names from folders: at the end of a run the faces in each folder that is named after a person are looked at
together, for whom the folder means can be told from bystanders only then.

What a user or a photo's own file says of a face is never touched. A folder whose faces, and what is said of them, are
as they were when it was named is passed over: no embedding is read for it."""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.updating import Part
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.tables.sqlite import BELOW, FACE_TABLES, below, from_sql, marks, parts
from facesearch.people.folders import Flags, FolderFaces, name_at, of_the_person
from facesearch.photos import places
from facesearch.photos.addresses import parts_inside

_FOLDER = "folder"
_SAID = ("user", "xmp")  # they count more than a folder


@dataclass(frozen=True, slots=True)
class _Face:
    """A face in a photo under a folder; what a computation said of it does not count."""

    id: int
    photo: int
    content: bytes
    person: int | None
    named_by: str | None
    is_face: int


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder's name and all faces in its photos, by id; nobody may be known by that name yet."""

    name: str
    faces: tuple[_Face, ...]
    person: int | None
    apart: frozenset[int]  # faces that are not that person's

    @property
    def digest(self) -> bytes:
        """Of all that the names of these faces follow from, and of these."""
        about = self.name, self.person, [(f.id, f.photo, f.person, f.named_by, f.is_face) for f in self.faces]
        return hashlib.blake2b(repr((about, sorted(self.apart))).encode(), digest_size=16).digest()


class PeopleFromFolders:
    """Names the faces in the photos of these parts after their folders at a level (see folders.level_of)."""

    def __init__(self, db: Database, parts_of_run: Sequence[Part], level: int) -> None:
        self._db, self._conn = db, db.connection
        self._parts, self._level = parts_of_run, level
        self.have_changed = True  # whether a folder has to be looked at, as far as that is known

    def name_alone(self) -> int:
        """Names the faces that are alone in their photos, for which no embedding is needed; returns how many."""
        changed = list(self._changed())
        self.have_changed = bool(changed)
        with self._db.transaction():  # one for all folders, which are many
            return sum(self._name(folder, of_the_person(_arrays(folder), None), False) for folder in changed)

    def name(self, settings: GallerySettings) -> int:
        """Names whoever fits in the photos with several faces too, and takes the name of the folder from all others;
        returns how many faces changed."""
        changed = 0
        if not self.have_changed:
            return changed
        judge = Judge(self._db, settings)
        with self._db.transaction():
            for folder in self._changed():
                is_theirs = of_the_person(self._with_embeddings(folder, judge), _threshold(judge))
                changed += self._name(folder, is_theirs, True)
            self._note()
        return changed

    def _changed(self) -> Iterator[_Folder]:
        known = {digest for (digest,) in self._conn.execute("SELECT digest FROM folder_digests")}
        return (folder for folder in list(self._folders()) if folder.digest not in known)

    def _note(self) -> None:
        """Notes what the folders are like now; after a run over all roots, what they were like before is not needed
        any more."""
        digests = [(folder.digest,) for folder in self._folders()]
        whole = {part.root for part in self._parts if part.folder == part.root}
        if whole.issuperset(self._db.roots.paths()):
            self._conn.execute("DELETE FROM folder_digests")
        self._conn.executemany("INSERT OR IGNORE INTO folder_digests VALUES (?)", digests)

    # What is there

    def _folders(self) -> Iterator[_Folder]:
        found: dict[str, list[int]] = {}
        for part in self._parts:
            for photo, path in _photos(self._conn, self._scope(part)):
                if (name := name_at(path, part.root, self._level)) is not None:
                    found.setdefault(name, []).append(photo)
        for name, photos in sorted(found.items()):
            faces = tuple(sorted(self._faces(sorted(set(photos))), key=lambda face: face.id))
            if faces:
                person = self._db.people.of_folder(name) or _as_renamed(faces)
                pairs = [] if person is None else self._db.decisions.apart_from([person])
                yield _Folder(name, faces, person, frozenset(face for face, _ in pairs) & {f.id for f in faces})

    def _scope(self, part: Part) -> str:
        """The folder with all photos that have a say in the names of a part: a folder's name is learned from all of
        it."""
        if part.root == part.folder or not self._level:
            return os.path.dirname(part.root) if places.is_file(part.root) else part.folder
        inside = parts_inside(part.folder, part.root)
        return os.path.join(part.root, *inside[: self._level])

    def _faces(self, photos: Sequence[int]) -> Iterator[_Face]:
        for some in parts(photos):
            for table in FACE_TABLES:
                rows = self._conn.execute(
                    "SELECT f.id, photo_id, coalesce(digest, ''), person_id, named_by, is_face "
                    f"FROM {table} AS f JOIN photos ON photos.id = photo_id WHERE photo_id IN ({marks(some)})",
                    some,
                )
                for face, photo, digest, person, by, is_face in rows:
                    whose = (person, by) if by in (*_SAID, _FOLDER) else (None, None)
                    yield _Face(face, photo, bytes(digest or b""), whose[0], whose[1], is_face)

    def _with_embeddings(self, folder: _Folder, judge: Judge) -> FolderFaces:
        ids = [face.id for face in folder.faces]
        stored, rows = self._db.faces.embeddings_of(ids, judge.dim)
        embeddings = np.zeros((len(ids), judge.dim), np.float32)  # of faces that wait for an embedding
        embeddings[np.searchsorted(ids, stored)] = rows
        shifts = judge.shifts_of(stored.tolist())
        return _arrays(folder, embeddings, [shifts.get(face, 0.0) for face in ids])

    # What is written

    def _name(self, folder: _Folder, is_theirs: Flags, takes_back: bool) -> int:
        """Writes what has changed, inside of a transaction; how many faces did."""
        rest = [f for f in folder.faces if f.named_by not in _SAID and f.is_face]
        theirs = {f.id for f, each in zip(folder.faces, is_theirs.tolist(), strict=True) if each}
        person = folder.person or (self._db.people.add_of_folder(folder.name) if theirs else None)
        named = [f.id for f in rest if f.id in theirs and (f.person, f.named_by) != (person, _FOLDER)]
        freed = [f.id for f in rest if f.id not in theirs and f.named_by == _FOLDER] if takes_back else []
        for table in FACE_TABLES:
            say = f"UPDATE {table} SET person_id = ?, named_by = ?, margin = NULL WHERE id = ?"
            self._conn.executemany(say, [(person, _FOLDER, face) for face in named])
            self._conn.executemany(say, [(None, None, face) for face in freed])
        return len(named) + len(freed)


def _photos(conn: sqlite3.Connection, folder: str) -> Iterator[tuple[int, str]]:
    for photo, path in conn.execute(f"SELECT id, path FROM photos WHERE status = 'ok' AND {BELOW}", below(folder)):
        yield photo, from_sql(path)


def _as_renamed(faces: Iterable[_Face]) -> int | None:
    """Whom a folder means whose name nobody has (any more): the one whom the user said all are who
    are alone in its photos."""
    in_photo = Counter(face.photo for face in faces if face.is_face)
    people = {f.person for f in faces if f.named_by == "user" and f.person and in_photo[f.photo] == 1}
    return people.pop() if len(people) == 1 else None


def _threshold(judge: Judge) -> float | None:
    return judge.threshold.similarity if judge.threshold else None


def _arrays(folder: _Folder, embeddings: Embeddings | None = None, shifts: Sequence[float] = ()) -> FolderFaces:
    """A face that is none is in no photo; a photo without a digest is its own content."""
    faces = folder.faces
    said = [f.named_by in _SAID for f in faces]
    is_theirs = [folder.person is not None and f.person == folder.person for f in faces]
    contents = [f.content or f.photo.to_bytes(8) for f in faces]
    said_not = [
        not f.is_face or f.id in folder.apart or (by_user and not theirs)
        for f, by_user, theirs in zip(faces, said, is_theirs, strict=True)
    ]
    return FolderFaces(
        np.zeros((len(faces), 1), np.float32) if embeddings is None else embeddings,
        np.array(shifts or [0.0] * len(faces), np.float32),
        np.array([f.photo if f.is_face else -f.id for f in faces], np.int64),
        np.unique(np.array([each.hex() for each in contents]), return_inverse=True)[1].astype(np.int64),
        np.array([a and b for a, b in zip(said, is_theirs, strict=True)], bool),
        np.array(said_not, bool),
    )
