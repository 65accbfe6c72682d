"""Pictures of what a gallery holds: faces, and whole photos in the size of a screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facesearch.errors import PhotoError
from facesearch.files import printable
from facesearch.gallery.references import UnknownFaceError, UnknownPhotoError
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.picture_sources import FaceSource, PhotoGoneError, PhotoSource, load_source
from facesearch.geometry.squares import square_about
from facesearch.home import gallery_words
from facesearch.photos.encoding import AROUND, FACE_SIDE
from facesearch.photos.pool import Decoders

_MOST_OTHERS = 8  # faces of the same photo that are made ready, too: most photos have fewer


@dataclass(frozen=True, slots=True)
class FaceToShow:
    """A face, and its picture where that is kept; None where it is to be made of the photo."""

    source: FaceSource
    picture: bytes | None


class Showing(Storage):
    """A gallery whose faces and photos are shown, always as pictures that are made anew (see photos.encoding), by
    their ids alone. Those of faces in the size of a list are kept (see thumbnails)."""

    def face_to_show(self, face: int, side: int = FACE_SIDE) -> FaceToShow:
        """The face with this id, whose picture is to have this side in pixels. Raises UnknownFaceError where there
        is none, PhotoGoneError where nothing of it can be shown."""
        with self.reading() as (db, _):
            source = db.pictures.faces([face]).get(face)
        if source is None:
            raise UnknownFaceError(f"The gallery '{self.name}' has no face {face}; it may have been deleted.")
        if not source.can_be_cut:
            raise PhotoGoneError(
                f"Face {face} lies outside of its photo; run: facesearch check{gallery_words(self.name)}."
            )
        kept = self.thumbnails.read([source]) if side == FACE_SIDE else {}
        return FaceToShow(source, kept.get(face))

    def photo_to_show(self, photo: int) -> PhotoSource:
        """The photo with this id. Raises UnknownPhotoError where there is none."""
        with self.reading() as (db, _):
            source = db.pictures.photo(photo)
        if source is None:
            raise UnknownPhotoError(f"The gallery '{self.name}' has no photo {photo}; it may have been deleted.")
        return source

    def make_face_pictures(self, faces: Sequence[FaceSource], side: int, decoders: Decoders) -> list[bytes]:
        """Faces of one photo, each with a little around it, as WebP with this side in pixels. The photo is decoded
        once, and what is made in the size of a list is kept, of other faces in it too. Raises PhotoGoneError where
        the photo is not as it was indexed."""
        photo = faces[0].photo
        with self.reading() as (db, _):
            roots = db.pictures.roots()
            others = _others(faces, db.pictures.of_photo(photo.photo_id)) if side == FACE_SIDE else []
        loaded = load_source(photo, roots)
        wanted = [*faces, *others]
        try:
            made = decoders.face_pictures(loaded.data, [face.box for face in wanted], side, loaded.size)
        except PhotoError as error:
            raise _cannot_be_shown(photo, error) from error
        if side == FACE_SIDE:
            self.thumbnails.write(list(zip(wanted, made, strict=True)), self.still_stored)
        return made[: len(faces)]

    def make_photo_picture(self, photo: PhotoSource, side: int, decoders: Decoders) -> bytes:
        """A photo as WebP whose longest side has at most so many pixels. Raises as `make_face_pictures`."""
        with self.reading() as (db, _):
            roots = db.pictures.roots()
        loaded = load_source(photo, roots)
        try:
            return decoders.photo_picture(loaded.data, side, loaded.size)
        except PhotoError as error:
            raise _cannot_be_shown(photo, error) from error

    def still_stored(self, faces: Sequence[int]) -> Mapping[int, FaceSource]:
        """Those of these faces that are stored now, by id, in the file that is the gallery's now."""
        with self.reading() as (db, _):
            return db.pictures.faces(faces)


def _others(faces: Sequence[FaceSource], of_photo: Mapping[int, FaceSource]) -> list[FaceSource]:
    """The other faces of a photo that are as large as the smallest of these, for which it is decoded in any case."""
    least = min(map(_shown, faces))
    wanted = {face.face_id for face in faces}
    found = [
        face for key, face in of_photo.items() if key not in wanted and face.can_be_cut and _shown(face) >= least
    ]
    return found[:_MOST_OTHERS]


def _shown(face: FaceSource) -> float:
    square = square_about(face.box, AROUND)
    return square.right - square.left


def _cannot_be_shown(photo: PhotoSource, error: PhotoError) -> PhotoGoneError:
    return PhotoGoneError(f"{printable(photo.path)} cannot be shown: {error}.")
