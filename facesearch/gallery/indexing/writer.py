"""What was found in photos, into the database: the one writer of a run."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from facesearch.faces.analyser import Analysed
from facesearch.flow.stages import Failed, Found
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.selection import outcome_of
from facesearch.gallery.records.run import Outcome
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.tables.picture_sources import FaceSource
from facesearch.gallery.tables.same_faces import carry_over, is_any_awaited, take_up
from facesearch.geometry.face import Box
from facesearch.models.cards import DetectorCard
from facesearch.photos.status import FAILURES, Cause, Status

Row: TypeAlias = Found[None, Analysed] | Failed[None] | Outcome


class Writer:
    """Stores rows, each batch in one transaction."""

    def __init__(self, db: Database, options: IndexOptions, detector: DetectorCard) -> None:
        self._db, self._options, self._detector = db, options, detector
        self._replaced: list[int] = []  # faces of photos of this batch that have changed
        self._is_any_awaited = False

    def write(self, rows: Sequence[Row]) -> list[Outcome]:
        """Stores a batch whole or not at all; one outcome a row. What passed by is stored already."""
        if all(isinstance(row, Outcome) for row in rows):
            return [row for row in rows if isinstance(row, Outcome)]
        self._replaced = []
        with self._db.transaction():
            self._is_any_awaited = is_any_awaited(self._db.connection)
            outcomes = [self._write(row) for row in rows]
        self._keep_pictures([row for row in rows if isinstance(row, Found)])
        return outcomes

    def _write(self, row: Row) -> Outcome:
        if isinstance(row, Found):
            return self._write_faces(row)
        return self._write_failure(row) if isinstance(row, Failed) else row

    def _write_faces(self, row: Found[None, Analysed]) -> Outcome:
        file, found = row.file, row.result
        status = Status.OK if found.faces else Status.NO_FACE
        reason = row.note or self._why_none(row)
        before = self._db.photos.id_of(file.path)
        self._replaced += self._db.pictures.of_photo(before) if before is not None else ()
        photo = self._db.photos.save(
            PhotoRow(
                file,
                status,
                digest=row.digest,
                reason=reason,
                size=row.size,
                taken=row.taken,
                faces=found.faces,
                embeddings=found.embeddings,
            ),
            is_new=before is None,
        )
        if self._is_any_awaited:
            take_up(self._db.connection, photo, row.digest)
        if before is not None:
            carry_over(self._db.connection, before, photo, self._model)
        return Outcome(file.path, status, len(found.faces), reason=reason)

    def _keep_pictures(self, rows: Sequence[Found[None, Analysed]]) -> None:
        """Keeps the small pictures of new faces, now that they have ids, in place of those of faces that went."""
        if self._options.thumbnails is None:
            return
        pictures: list[tuple[FaceSource, bytes]] = []
        for row in rows:
            stored = self._stored(row.file.path) if any(row.result.pictures) else {}
            for face, picture in zip(row.result.faces, row.result.pictures, strict=False):
                source = stored.get(Box(*map(float, face.box)))
                pictures += [(source, picture)] if source and picture else []
        current = {face.face_id: face for face, _ in pictures}
        self._options.thumbnails.write(pictures, lambda _: current, self._replaced)

    def _stored(self, path: str) -> dict[Box, FaceSource]:
        """The faces of a photo by their boxes."""
        photo = self._db.photos.id_of(path)
        return {face.box: face for face in self._db.pictures.of_photo(photo or 0).values()}

    @property
    def _model(self) -> str:
        settings = self._db.settings.read()
        return settings.model if settings else ""

    def _why_none(self, row: Found[None, Analysed]) -> str | None:
        """Why no face can be found in a photo as small as this."""
        width, height = row.seen_size
        if min(width, height) >= self._detector.min_face_px:
            return None
        shrunk = "" if row.seen_size == row.size else f", looked at in {width} x {height}"
        return f"{row.size[0]} x {row.size[1]} pixels{shrunk}, smaller than the smallest face"

    def _write_failure(self, row: Failed[None]) -> Outcome:
        """Stores why a photo cannot be used; `unchanged` if that was known. What is known of a file that cannot be
        read for now is kept: its content may well be as it was."""
        file, error = row.file, row.error
        status, cause = Status(error.status), Cause(error.cause)
        known = self._db.photos.known([file.path]).get(file.path)
        if known and known.status not in FAILURES and cause == Cause.MACHINE and row.digest is None:
            self._db.photos.mark_seen([known])
            if known.status == Status.FORGOTTEN:
                return outcome_of(file, known, "unchanged")
            reason = f"{error.reason}; what is known of it is kept"
            return Outcome(file.path, status, known.faces, "unchanged", reason, cause)
        needs = error.needs
        if cause == Cause.OPTION and not needs:  # whatever it is, it is more than this
            needs = str(math.nextafter(self._options.max_megapixels, math.inf))
        self._db.photos.save(PhotoRow(file, status, row.digest, error.reason, cause, needs))
        is_as_before = known and (known.status, known.size, known.mtime_ns) == (status, file.size, file.mtime_ns)
        return Outcome(file.path, status, 0, "unchanged" if is_as_before else "indexed", error.reason, cause)
