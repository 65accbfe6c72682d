"""The names of a gallery for other programs: as records, and as sidecars of XMP beside the photos or in a folder.
Photos are never written, and a sidecar that is there keeps everything else."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import PhotoError
from facesearch.files import folder_for, new_file, whole_file
from facesearch.gallery.database import Database
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.sqlite import FACE_TABLES, columns, from_sql
from facesearch.people.files import Folders, is_for_photo
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import Box, Region
from facesearch.people.sidecar import Shown
from facesearch.photos.addresses import is_remote
from facesearch.photos.packets import noted_in

_ENDING = ".xmp"
OnPhoto = Callable[[int, int], None]
Where = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class NamedFace:
    """A face with a name: its person's id, the photo's absolute path, the box in pixels of the photo as it is seen,
    and who said so: `user`, `xmp`, `folder` or `auto`; `mark` where there is no face that could be found."""

    person: int
    name: str
    photo: str
    box: Box
    named_by: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sidecars:
    """How many sidecars are `new`, how many were there and took names (`merged`), or had them all (`known`); and the
    photos that have none now, with the reason of each."""

    new: int
    merged: int
    known: int
    failed: tuple[tuple[str, str], ...] = ()


def named_faces(db: Database) -> list[NamedFace]:
    """All faces of people with a name, and the places where such people were marked, by path, then from left to
    right; of photos that are there."""
    return sorted(_rows(db), key=lambda face: (os.fsencode(face.photo), face.box, face.person))


def _rows(db: Database) -> Iterator[NamedFace]:
    for table in (*FACE_TABLES, "marks"):
        there = columns(db.connection, table)  # those of an earlier facesearch may be fewer
        if not there:
            continue
        by = "'mark'" if table == "marks" else "coalesce(named_by, 'auto')" if "named_by" in there else "'folder'"
        only = "AND is_face" if "is_face" in there else ""
        rows = db.connection.execute(
            f"SELECT people.id, name, path, box_left, box_top, box_right, box_bottom, {by}, width, height "
            f"FROM {table} JOIN people ON person_id = people.id JOIN photos ON photo_id = photos.id "
            f"WHERE name NOTNULL AND status IN ('ok', 'no_face') AND width > 0 AND height > 0 {only}"
        )
        for person, name, path, *box, named_by, width, height in rows:
            left, top, right, bottom = box
            yield NamedFace(person, name, from_sql(path), (left, top, right, bottom), named_by, (width, height))


def write_sidecars(
    storage: Storage, where: Where | None, keywords: bool, on_photo: OnPhoto = lambda done, total: None
) -> Sidecars:
    """Writes a sidecar for each photo with named people: beside it, or at the path that `where` gives for the photo,
    without the ending. `on_photo` hears how many, of how many, are done."""
    with storage.reading() as (db, _), db.snapshot():
        faces = named_faces(db)
    photos: dict[str, list[NamedFace]] = {}
    for face in faces:
        photos.setdefault(face.photo, []).append(face)
    done = {"new": 0, "merged": 0, "known": 0}
    failed: list[tuple[str, str]] = []
    with Parsers() as parsers:
        writer = _Writer(parsers, where, keywords, _stems(photos))
        for number, (photo, shown) in enumerate(photos.items(), 1):
            try:
                done[writer.write(photo, shown)] += 1
            except OSError as error:
                failed.append((photo, error.strerror or str(error)))
            except PhotoError as error:
                failed.append((photo, error.reason))
            on_photo(number, len(photos))
    return Sidecars(**done, failed=tuple(failed))


def _stems(photos: dict[str, list[NamedFace]]) -> dict[str, int]:
    """How many photos would have one NAME.xmp."""
    found: dict[str, int] = {}
    for photo in photos:
        stem = os.path.splitext(photo)[0].lower()
        found[stem] = found.get(stem, 0) + 1
    return found


class _Writer:
    """Writes sidecars, one after the other."""

    def __init__(self, parsers: Parsers, where: Where | None, keywords: bool, stems: dict[str, int]) -> None:
        self._parsers, self._where, self._keywords, self._stems = parsers, where, keywords, stems
        self._folders = Folders(parsers)

    def write(self, photo: str, faces: list[NamedFace]) -> str:
        """One photo's; `new`, `merged` or `known`. Raises OSError and PhotoError."""
        shown = Shown(
            tuple(_region(face) for face in faces), faces[0].size, noted_in(photo).orientation, self._keywords
        )
        path, before = self._target(photo)
        after = self._parsers.merged(before, shown)
        if after == before:
            return "known"
        folder_for(path)
        if before is None:
            with new_file(path) as file:  # in one piece, as it is small; an empty one counts as none the next time
                file.write(after)
            return "new"
        _replace(path, before, after)
        return "merged"

    def _target(self, photo: str) -> tuple[Path, bytes | None]:
        """Where the sidecar is, with its bytes; None for a new one."""
        if is_remote(photo) and not self._where:
            raise OSError(0, "nothing is written to an address; name a folder for the sidecars in place of beside")
        beside = self._where(photo) if self._where else Path(photo)
        path = beside.with_name(beside.name + _ENDING)
        for found, data in self._folders.sidecars(str(beside)) if beside.parent.is_dir() else ():
            if found.is_symlink():
                raise OSError(0, f"its sidecar {found.name} is a link, which is not replaced")
            if found.name.lower() == path.name.lower():
                return found, data
            if self._stems[os.path.splitext(photo)[0].lower()] == 1 and is_for_photo(
                self._parsers.described([data]), photo
            ):
                return found, data
        if os.path.lexists(path):
            raise OSError(0, f"{path.name} is there and cannot be read")
        return path, None


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Puts a sidecar in the place of the one that was read, with its rights. Raises OSError where another program has
    changed that since."""
    rights = stat.S_IMODE(path.lstat().st_mode)

    def check() -> None:
        if path.is_symlink() or path.read_bytes() != before:
            raise OSError(0, f"{path.name} was changed by another program meanwhile")

    with whole_file(path, private=False, before_replacing=check) as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), rights)
        file.write(after)


def _region(face: NamedFace) -> Region:
    """The box in shares of the photo; a face may reach beyond its border."""
    width, height = face.size
    left, top, right, bottom = face.box
    shares = (left / width, top / height, right / width, bottom / height)
    clipped = tuple(min(max(share, 0.0), 1.0) for share in shares)
    return Region(face.name, (clipped[0], clipped[1], clipped[2], clipped[3]), is_upright=True)
